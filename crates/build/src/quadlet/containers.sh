# Made by hoopy: what the services of declared containers share. Read by them, not run.

say() {
	logger -t "$service" -p daemon.notice -- "$1" 2>/dev/null
	echo "$1" >&2
}

# Makes sure that the image is there: from its archive, or else from its registry.
fetch_image() {
	mkdir -p /run/hoopy
	exec 9>/run/hoopy/images.lock
	flock 9
	podman image exists "$image" && return 0
	if [ -n "$archive" ] && [ -f "$archive" ]; then
		reason=$(podman load --quiet --input "$archive" 2>&1 >/dev/null) || return 1
		podman image exists "$image" && return 0
		say "expected $image in $archive, found another image"
		return 1
	fi
	reason=$(podman pull --quiet "$image" 2>&1 >/dev/null)
}

# Runs the container until it ends. It is made once, and anew only where what is declared has changed.
run_container() {
	reason=
	if ! fetch_image; then
		say "the image is not there: $image${reason:+: $reason}"
		return 1
	fi
	exec 9>&-
	have=$(podman container inspect --format '{{index .Config.Labels "hoopy.made-of"}}' "$container" 2>/dev/null)
	if [ "$have" != "$made_of" ]; then
		[ -z "$have" ] || say "$container is made anew: what is declared has changed"
		if ! reason=$(podman rm --force --ignore "$container" 2>&1 >/dev/null && create 2>&1 >/dev/null); then
			say "$container cannot be made: $reason"
			return 1
		fi
	fi
	exec podman start --attach "$container" >/dev/null 2>&1
}
