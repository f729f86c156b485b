#!/bin/sh
# Follows a link of the lent directory that leads to the host's root.
#
# bind: yes
# must get: the link leads into the image
[ -e /mnt/outside/bin/busybox ] && [ "$(ls /mnt/outside)" = "$(ls /)" ] && echo the link leads into the image
[ ! -e /mnt/outside/usr/bin/env ] || echo "ESCAPED: it leads to the host"
