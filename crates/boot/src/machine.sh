# Made by hoopy: the EFI system partition, its image files and the boot loader's variables, as seen on the machine.
# hoopy's services (layout "ab") read this file; `hoopy deploy` sends it in front of each of its scripts. BusyBox is
# all it needs. Nothing here runs when it is read, except that variables are set.
#
# crates/boot has the same in Rust (layout.rs, variables.rs); a test there compares the two.

RUN=/run/hoopy
VARIABLES=/sys/firmware/efi/efivars
VENDOR=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
BOOT_DIR=EFI/BOOT
LINUX_DIR=EFI/Linux
FAILED=loader/hoopy-failed.txt
# Of a medium on which diskless Alpine Linux was before: its loader, and what makes systemd-boot start it.
KEPT_LOADER=EFI/BOOT/ALPINE.EFI
DISKLESS_ENTRY=loader/entries/alpine-diskless.conf
# Whoever makes the partition writable holds this (flock).
ESP_LOCK=$RUN/esp.lock
# FAT has no owners: the mask keeps its files from ordinary users.
ESP_OPTIONS=noatime,nodev,nosuid,noexec,umask=0077

# The variable $1 of the boot loader: UTF-16 after four bytes of attributes. Fails where it is not set.
variable() {
	[ -r "$VARIABLES/$1-$VENDOR" ] || return 1
	tail -c +5 "$VARIABLES/$1-$VENDOR" | tr -d '\000'
}

# Loads what is needed to read variables and FAT. A small system may do without /sys.
load_drivers() {
	[ -d /sys/class ] || mount -t sysfs -o nosuid,nodev,noexec sysfs /sys 2>/dev/null
	modprobe -q -a efivarfs vfat nls_cp437 nls_iso8859-1 nls_utf8 2>/dev/null
	[ ! -d $VARIABLES ] || mountpoint -q $VARIABLES || mount -t efivarfs efivarfs $VARIABLES 2>/dev/null
}

# The devices that may be the EFI system partition, one a line: the one that the boot loader came from, if it said so,
# else every partition and disk with FAT.
esp_devices() {
	part=$(variable LoaderDevicePartUUID | tr A-Z a-z)
	for event in /sys/class/block/*/uevent; do
		disk=${event%/uevent}
		[ -z "$part" ] || ! grep -qix "PARTUUID=$part" "$event" || { echo "/dev/${disk##*/}"; return; }
	done
	for disk in /sys/class/block/*; do
		case ${disk##*/} in loop* | ram* | zram* | dm-* | md* | sr* | fd* | nbd*) continue ;; esac
		[ -b "/dev/${disk##*/}" ] || continue
		blkid "/dev/${disk##*/}" 2>/dev/null | grep -q 'TYPE="vfat"' && echo "/dev/${disk##*/}"
	done
}

# The directories at which the whole filesystem of the device $1 is mounted, one a line.
mount_points() {
	number=$(cat "/sys/class/block/${1##*/}/dev" 2>/dev/null) || return 0
	points=$(awk -v n="$number" '$3 == n && $4 == "/" { print $5 }' /proc/self/mountinfo)
	[ -z "$points" ] || printf '%b\n' "$points"
}

# The options of what is mounted at $1, with a comma on either side.
mount_options() {
	echo ",$(awk -v p="$1" '$2 == p { o = $4 } END { print o }' /proc/mounts),"
}

# Mounts the device $1 at $2 with the options $3. The character sets are named where the kernel has them: its own
# defaults may need modules that are not there.
mount_esp() {
	mkdir -p "$2"
	mount -t vfat -o "$3,$ESP_OPTIONS,codepage=437,iocharset=iso8859-1" "$1" "$2" 2>/dev/null ||
		mount -t vfat -o "$3,$ESP_OPTIONS" "$1" "$2"
}

# Unmounts $1, at the latest when nothing uses it any more.
unmount_esp() {
	umount "$1" 2>/dev/null || { sleep 1; umount -l "$1"; }
}

# How often the image file $1 will still be tried; nothing where its name has no counter. `NAME+LEFT-DONE.efi`.
slot_left() {
	stem=${1##*/}
	stem=${stem%.efi}
	case $stem in ?*+*) counter=${stem##*+} ;; *) return 0 ;; esac
	case $counter in
	*-*) [ -n "${counter#*-}" ] || return 0 ;;
	esac
	case ${counter%%-*} in '') return 0 ;; esac
	case ${counter%%-*}${counter#*-} in *[!0-9]*) return 0 ;; esac
	echo "${counter%%-*}"
}

# The name that the image file $1 has once its boot was good: without the counter.
slot_good() {
	if [ -n "$(slot_left "$1")" ]; then echo "${1%+*}.efi"; else echo "$1"; fi
}

# Whether diskless Alpine Linux can be started from the partition at $AT.
keeps_diskless() {
	[ -s "$AT/$DISKLESS_ENTRY" ] && [ -s "$AT/$KEPT_LOADER" ]
}

# Whether the image file $1 was given up: no tries are left.
slot_is_bad() {
	case $(slot_left "$1") in '' | *[!0]*) return 1 ;; esac
}
