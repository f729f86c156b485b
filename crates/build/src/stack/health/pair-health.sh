# Made by hoopy: what is another with two directories (layouts "pi" and "extlinux"). Read behind common.sh, in place of whose
# functions these stand. docs/raspberry-pi.md and docs/extlinux.md of hoopy tell what is on the partition.

. /usr/libexec/hoopy/pair.sh

# Whether this machine was started from a partition that has to be found.
expects_slot() { grep -qsE '(^| )hoopy[.]slot=[ab]' /proc/cmdline || grep -qs 'Raspberry Pi' /proc/device-tree/model; }

# Sets DEVICE, SLOT, COUNTED, LEFT and UNMARKED: the directory of the partition that has this image whole.
find_slot() {
	load_drivers
	exec 9>$ESP_LOCK
	flock 9
	for device in $(esp_devices); do
		open_esp "$device" ro || continue
		for slot in a b; do
			is_pair && [ -n "$IMAGE" ] && [ "$(pair_image $slot)" = "$IMAGE" ] || continue
			DEVICE=$device SLOT=$slot
			if [ "$(pair_started)" != $slot ]; then
				COUNTED=yes LEFT=0
			elif [ ! -e "$AT/$slot/good" ]; then
				# The power went between the two steps of bless
				UNMARKED=yes
			fi
		done
		close_esp
		[ -z "$SLOT" ] || break
	done
	exec 9>&-
	[ -n "$SLOT" ]
}

# Whether there is an image to come back to: the one that is started by itself.
another() { [ -n "$(pair_image "$(pair_started)")" ]; }

# The image is good: its slot is started from now on.
bless() {
	(
		flock 9
		open_esp "$DEVICE" rw || { say "cannot mount $DEVICE to mark $IMAGE as good"; exit 1; }
		done=1
		if [ "$(pair_image "$SLOT")" != "$IMAGE" ]; then
			say "slot $SLOT has another image by now"
		elif pair_bless "$SLOT"; then
			done=0
			! grep -qsx "IMAGE=$IMAGE" "$AT/$FAILED" || rm -f "$AT/$FAILED"
		fi
		close_esp
		exit $done
	) 9>$ESP_LOCK
}

slot_good() { echo "$1"; }
