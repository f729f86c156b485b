#!/bin/sh
# The three services are up, each in its container, and one answers at its port. It asks the other by its name.
set -eu
. ./lib.txt
until_ok 170 answer 8080 || { sv status /run/service/*; tail -n 5 /array/log/*/current; exit 1; }
said=$(answer 8080)
echo "$said"
case $said in
"hello, visitor "[0-9]*) ;;
*) exit 1 ;;
esac
test "$(podman container inspect --format '{{.State.Running}} {{.HostConfig.Memory}}' web)" = 'true 67108864'
# The other one is no business of the world's
! wget -q -T 2 -O - http://127.0.0.1:80/
