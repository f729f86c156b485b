#!/bin/sh
# From inside the toolbox a service of the host is restarted and edited; its package cache and home are on the array.
set -eu
. ./lib.txt
before=$(cat /etc/sv/web/supervise/pid)
toolbox sv restart web
test "$(cat /etc/sv/web/supervise/pid)" != "$before"
toolbox sed -i 's/GREETING=hello/GREETING=welcome/' /host/etc/sv/web/run
grep -q welcome /etc/sv/web/run
sed -i 's/GREETING=welcome/GREETING=hello/' /etc/sv/web/run
toolbox sh -c 'echo package >/etc/apk/cache/x && echo here >/root/file'
test -f /array/toolbox/cache/x
test "$(cat /array/toolbox/root/file)" = here
podman stop --time 1 toolbox >/dev/null
