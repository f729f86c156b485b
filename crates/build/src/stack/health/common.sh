# Made by hoopy: what its two services share. Read by them, not run. BusyBox is all it needs.
#
# The names on the EFI system partition are those of the specification "Automatic Boot Assessment", the variables
# those of systemd's "Boot Loader Interface"; boot.sh knows both. docs/boot.md of hoopy tells what happens at each boot.

. /usr/libexec/hoopy/boot.sh
SERVICES=${RC_SVCDIR:-/run/openrc}
IMAGE=$(sed -n 's/^IMAGE=//p' /etc/hoopy-release 2>/dev/null)
DEVICE= SLOT= COUNTED=no LEFT= UNMARKED=

umask 077
mkdir -p $RUN

# To the log and the console: this may be the last that the machine says.
say() {
	logger -t hoopy-health -p daemon.notice -- "$1" 2>/dev/null
	echo "hoopy: $1" 2>/dev/null >/dev/console
}

seconds() {
	cut -d. -f1 /proc/uptime
}

# $RUN/health, whole or not at all: state, action, and why.
tell() {
	{
		echo "STATE=$1"
		echo "ACTION=$2"
		echo "IMAGE=$IMAGE"
		echo "SLOT=$SLOT"
		echo "COUNTED=$COUNTED"
		echo "SECONDS=$(seconds)"
		[ -z "$3" ] || echo "REASON=$3"
	} >$RUN/health.new
	chmod 644 $RUN/health.new
	mv -f $RUN/health.new $RUN/health
}

# Makes the partition $1 readable, or writable where $2 is rw, at $AT. Where it is mounted already, that is used. Each
# change is on the disk before the next (sync): a new name is there before the old one is gone.
open_esp() {
	AT=$(mount_points "$1" | head -n 1)
	if [ -n "$AT" ]; then
		case $(mount_options "$AT") in *,ro,*) WAS=ro ;; *) WAS=rw ;; esac
		[ "$2$WAS" != rwro ] || mount -o remount,rw "$AT"
	else
		AT=$RUN/esp WAS=
		mount_esp "$1" $AT "$2,sync" 2>/dev/null
	fi
}

close_esp() {
	sync
	case $WAS in
	'') unmount_esp $AT ;;
	ro) mount -o remount,ro "$AT" ;;
	esac
}

# Whether this machine was started by a loader that counts, from a partition that has to be found.
expects_slot() { variable LoaderInfo | grep -q systemd-boot; }

# Sets DEVICE, SLOT, COUNTED and LEFT: the file that this image was started from. What the image calls itself comes
# first: after a kexec the loader's variables are still those of the image before.
find_slot() {
	load_drivers
	booted=$(variable LoaderBootCountPath | tr '\\' /)
	exec 9>$ESP_LOCK
	flock 9
	for device in $(esp_devices); do
		open_esp "$device" ro || continue
		for file in "$AT/$LINUX_DIR/$IMAGE.efi" "$AT/$LINUX_DIR/$IMAGE"+*.efi "$AT${booted:-/none}"; do
			[ -f "$file" ] || continue
			DEVICE=$device SLOT=${file#"$AT/$LINUX_DIR/"}
			break
		done
		close_esp
		[ -z "$SLOT" ] || break
	done
	exec 9>&-
	[ -n "$SLOT" ] || return 1
	LEFT=$(slot_left "$SLOT")
	[ -z "$LEFT" ] || COUNTED=yes
}

# Whether the partition has an image other than this that was not given up, or what was there before hoopy.
another() {
	! keeps_diskless || return 0
	for file in "$AT/$LINUX_DIR"/*.efi; do
		[ -f "$file" ] && [ "${file##*/}" != "$SLOT" ] || continue
		slot_is_bad "$file" || return 0
	done
	return 1
}

# The image is good: its counter goes.
bless() {
	(
		flock 9
		open_esp "$DEVICE" rw || { say "cannot mount $DEVICE to mark $SLOT as good"; exit 1; }
		done=1
		good=$(slot_good "$SLOT")
		if [ -e "$AT/$LINUX_DIR/$good" ]; then
			say "there are both $good and $SLOT: remove one"
		elif mv "$AT/$LINUX_DIR/$SLOT" "$AT/$LINUX_DIR/$good"; then
			done=0
			# A panic is not undone by a boot that went well.
			! grep -qsx "IMAGE=$IMAGE" "$AT/$FAILED" || grep -qs '^REASON=Kernel panic' "$AT/$FAILED" ||
				rm -f "$AT/$FAILED"
		fi
		close_esp
		exit $done
	) 9>$ESP_LOCK
}

# Leaves word of $1 on the partition, with the end of the file $2; fails where no other image could be started.
report() {
	(
		flock 9
		open_esp "$DEVICE" rw || exit 0
		mkdir -p "$AT/${FAILED%/*}"
		{
			printf 'IMAGE=%s\nSLOT=%s\nSECONDS=%s\nREASON=%s\n\n' "$IMAGE" "$SLOT" "$(seconds)" "$1"
			tail -c 8192 "$2" 2>/dev/null
			echo "--- the kernel's last words"
			dmesg | tail -n 20
		} >"$AT/$FAILED"
		[ "$LEFT" != 0 ] || another
		last=$?
		close_esp
		exit $last
	) 9>$ESP_LOCK
}

# Not well, because of $1 ($2 has the details). An image on trial reboots, which costs it one try; one that was good
# before, and one that is the only one, stays up for somebody to log in.
fail() {
	if [ $COUNTED = yes ] && report "$1" "$2"; then
		tell failed reboot "$1"
		say "$1: rebooting, $LEFT tries left"
		# An init that waits for a service which hangs does not hear of a reboot.
		setsid sh -c 'sleep 30; sync; reboot -f' >/dev/null 2>&1 </dev/null &
		reboot
	else
		tell failed stay "$1"
		say "$1: staying up"
	fi
}

[ ! -r /usr/libexec/hoopy/pair-health.sh ] || . /usr/libexec/hoopy/pair-health.sh
