#!/bin/sh
# Root in that container is the user `app` on this machine, and its other users are numbers that nobody has.
set -eu
. ./lib.txt
answer 8081
pid=$(podman_app container inspect --format '{{.State.Pid}}' app)
test "$(stat -c %U "/proc/$pid")" = app
awk '{ print $1, $2, $3 }' "/proc/$pid/uid_map" >"$kept/map"
printf '0 2000 1\n1 200000 65536\n' | cmp - "$kept/map"
