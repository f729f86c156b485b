# Made by hoopy: what its two services share. Read by them, not run. BusyBox is all it needs.
#
# The names on the EFI system partition are those of the specification "Automatic Boot Assessment", the variables
# those of systemd's "Boot Loader Interface". docs/boot.md of hoopy tells what happens at each boot.

RUN=/run/hoopy
SERVICES=${RC_SVCDIR:-/run/openrc}
VARIABLES=/sys/firmware/efi/efivars
VENDOR=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
IMAGE=$(sed -n 's/^IMAGE=//p' /etc/hoopy-release 2>/dev/null)
# Each change is on the disk before the next: a new name is there before the old one is gone.
OPTIONS=sync,noatime,nodev,nosuid,noexec,umask=0077,codepage=437,iocharset=iso8859-1
DEVICE= SLOT= COUNTED=no LEFT=

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

# A variable of the boot loader: UTF-16 after four bytes of attributes.
variable() {
	[ -r "$VARIABLES/$1-$VENDOR" ] || return 1
	tail -c +5 "$VARIABLES/$1-$VENDOR" | tr -d '\000'
}

modules() {
	modprobe -q -a efivarfs vfat nls_cp437 nls_iso8859-1 2>/dev/null
	mountpoint -q $VARIABLES || mount -t efivarfs efivarfs $VARIABLES 2>/dev/null
}

# Where the boot loader came from, if it said so; else every partition.
candidates() {
	part=$(variable LoaderDevicePartUUID | tr A-Z a-z)
	for event in /sys/class/block/*/uevent; do
		disk=${event%/uevent}
		[ -z "$part" ] || ! grep -qix "PARTUUID=$part" "$event" || { echo "/dev/${disk##*/}"; return; }
	done
	for event in /sys/class/block/*/partition; do
		disk=${event%/partition}
		[ ! -e "$event" ] || echo "/dev/${disk##*/}"
	done
}

# Makes the partition $1 readable, or writable where $2 is rw, at $AT. Where it is mounted already, that is used.
open_esp() {
	number=$(cat "/sys/class/block/${1##*/}/dev" 2>/dev/null) || return 1
	mounted=$(awk -v n="$number" '$3 == n && $4 == "/" { print $5, $6; exit }' /proc/self/mountinfo)
	if [ -n "$mounted" ]; then
		AT=$(printf '%b' "${mounted% *}")
		case ",${mounted##* }," in *,ro,*) WAS=ro ;; *) WAS=rw ;; esac
		[ "$2$WAS" != rwro ] || mount -o remount,rw "$AT"
	else
		AT=$RUN/esp WAS=
		mkdir -p $AT
		mount -t vfat -o "$2,$OPTIONS" "$1" $AT 2>/dev/null
	fi
}

close_esp() {
	sync
	case $WAS in
	'') umount $AT || { sleep 1; umount -l $AT; } ;;
	ro) mount -o remount,ro "$AT" ;;
	esac
}

# Sets DEVICE, SLOT, COUNTED and LEFT: the file that this image was started from. What the image calls itself comes
# first: after a kexec the loader's variables are still those of the image before.
find_slot() {
	modules
	booted=$(variable LoaderBootCountPath | tr '\\' /)
	exec 9>$RUN/esp.lock
	flock 9
	for device in $(candidates); do
		open_esp "$device" ro || continue
		for file in "$AT/EFI/Linux/$IMAGE.efi" "$AT/EFI/Linux/$IMAGE"+*.efi "$AT${booted:-/none}"; do
			[ -f "$file" ] || continue
			DEVICE=$device SLOT=${file#"$AT/EFI/Linux/"}
			break
		done
		close_esp
		[ -z "$SLOT" ] || break
	done
	exec 9>&-
	[ -n "$SLOT" ] || return 1
	counter=${SLOT##*+}
	counter=${counter%.efi}
	case $SLOT in
	*+*) case ${counter%%-*}${counter#*-} in *[!0-9]* | '') ;; *) COUNTED=yes LEFT=${counter%%-*} ;; esac ;;
	esac
}

# Whether the partition has an image other than this that is not known to be bad.
another() {
	for file in "$AT"/EFI/Linux/*.efi; do
		case ${file##*/} in "$SLOT" | *+0-*.efi | *+0.efi) ;; *) [ ! -f "$file" ] || return 0 ;; esac
	done
	return 1
}

# The image is good: its counter goes.
bless() {
	(
		flock 9
		open_esp "$DEVICE" rw || { say "cannot mount $DEVICE to mark $SLOT as good"; exit 1; }
		done=1
		good=${SLOT%+*}.efi
		if [ -e "$AT/EFI/Linux/$good" ]; then
			say "there are both $good and $SLOT: remove one"
		elif mv "$AT/EFI/Linux/$SLOT" "$AT/EFI/Linux/$good"; then
			done=0
			grep -qsx "IMAGE=$IMAGE" "$AT/loader/hoopy-failed.txt" && rm -f "$AT/loader/hoopy-failed.txt"
		fi
		close_esp
		exit $done
	) 9>$RUN/esp.lock
}

# Leaves word of $1 on the partition, with the end of the file $2; fails where no other image could be started.
report() {
	(
		flock 9
		open_esp "$DEVICE" rw || exit 0
		mkdir -p "$AT/loader"
		{
			printf 'IMAGE=%s\nSLOT=%s\nSECONDS=%s\nREASON=%s\n\n' "$IMAGE" "$SLOT" "$(seconds)" "$1"
			tail -c 8192 "$2" 2>/dev/null
			echo "--- the kernel's last words"
			dmesg | tail -n 20
		} >"$AT/loader/hoopy-failed.txt"
		[ "$LEFT" != 0 ] || another
		last=$?
		close_esp
		exit $last
	) 9>$RUN/esp.lock
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
