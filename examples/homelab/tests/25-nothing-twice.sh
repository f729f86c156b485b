#!/bin/sh
# Containers, images and what volumes hold are the same after a reboot: nothing is made a second time.
set -eu
. ./lib.txt
until_ok 170 answer 8081
until_ok 170 answer 8082
now() {
	podman ps --all --filter name=notes --filter name=web --filter name=hello --format '{{.ID}} {{.Names}} {{.CreatedAt}}' | sort
	podman_app ps --all --format '{{.ID}} {{.Names}} {{.CreatedAt}}'
	podman images --all --no-trunc --format '{{.ID}} {{.Digest}}' | sort
	podman volume ls --format '{{.Name}}'
}
now | tee "$kept/now"
test "$(wc -l <"$kept/now")" = 6
said=$(answer 8080)
count=${said##* }
if [ "$HOOPY_BOOT" -gt 1 ]; then
	cmp "$kept/now" "$kept/containers"
	test "$count" -gt "$(cat "$kept/count")"
fi
cp "$kept/now" "$kept/containers"
echo "$count" >"$kept/count"
