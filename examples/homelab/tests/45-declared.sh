#!/bin/sh
# The container that is declared in a file of Podman's format is a service: it answers, is well, and comes back when killed.
set -eu
. ./lib.txt
until_ok 170 answer 8082
answer 8082 | grep '^good day, visitor [0-9]'
rc-service hello status
/etc/hoopy/health.d/container-hello
before=$(podman container inspect --format '{{.Id}} {{.State.Pid}}' hello)
kill -KILL "${before#* }"
again() {
	now=$(podman container inspect --format '{{.Id}} {{.State.Pid}}' hello)
	[ "${now#* }" != 0 ] && [ "$now" != "$before" ]
}
until_ok 80 again
test "${now% *}" = "${before% *}"
until_ok 80 answer 8082
