#!/bin/sh
# podman, bubblewrap and the like give a container a root of its own by pivot_root, which the root of an initramfs
# refuses. This machine's root is an ordinary mount.
set -eu
unshare -m sh -c 'mount -o rbind / /mnt && cd /mnt && pivot_root . mnt && test -d /mnt/proc'
