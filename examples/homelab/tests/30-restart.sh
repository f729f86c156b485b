#!/bin/sh
# A service whose process is killed comes back, and so does one whose podman is killed.
set -eu
. ./lib.txt
pid() {
	podman container inspect --format '{{.State.Pid}}' notes
}
another() {
	new=$(pid) && [ "$new" != 0 ] && [ "$new" != "$before" ] && kill -0 "$new"
}
before=$(pid)
kill -KILL "$before"
until_ok 80 another
until_ok 80 answer 8080

supervised() {
	cut -d ' ' -f 1 </etc/sv/web/supervise/pid
}
before=$(supervised)
kill -KILL "$before"
changed() {
	[ -n "$(supervised)" ] && [ "$(supervised)" != "$before" ]
}
until_ok 80 changed
until_ok 80 answer 8080
