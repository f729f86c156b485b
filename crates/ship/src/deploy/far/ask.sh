# Tells what machine this is, where its EFI system partition is, and what is on it.

# A small system may do without /sys: disks and the boot loader's variables are told there.
[ -d /sys/class ] || mount -t sysfs -o nosuid,nodev,noexec sysfs /sys 2>/dev/null
modprobe -q -a efivarfs vfat nls_cp437 nls_utf8 2>/dev/null
[ ! -d $VARIABLES ] || mountpoint -q $VARIABLES || mount -t efivarfs efivarfs $VARIABLES 2>/dev/null
IMAGE=$(sed -n 's/^IMAGE=//p' /etc/hoopy-release 2>/dev/null)

echo "arch $(uname -m)"
echo "boot $(cat /proc/sys/kernel/random/boot_id)"
echo "uptime $(cut -d. -f1 /proc/uptime)"
[ ! -r /etc/hoopy-release ] || sed 's/^/release /' /etc/hoopy-release
[ ! -r $RUN/health ] || sed 's/^/health /' $RUN/health
[ ! -e /etc/runlevels/default/hoopy-health ] || echo "checks"
booted=$(variable LoaderBootCountPath)
[ -z "$booted" ] || echo "booted $booted"
for tool in awk cmp cp cut dd df flock head mount mv rm sed sha256sum stat sync tail timeout tr umount; do
	command -v $tool >/dev/null || echo "lacks $tool"
done
[ "$(id -u)" = 0 ] || no user "$(id -un)"

# Whether an image lies at $AT, and whether it is the one that runs.
images() {
	found= ours=
	for file in "$AT"/EFI/BOOT/BOOT*.EFI "$AT"/EFI/BOOT/BOOT*.OLD "$AT"/EFI/Linux/*.efi; do
		[ -f "$file" ] || continue
		found=yes
		# The name is in the image's os-release, which stands near its start.
		[ -z "$IMAGE" ] || ! dd if="$file" bs=4096 count=256 2>/dev/null | grep -q "\"$IMAGE " || ours=yes
	done
	[ -n "$found" ]
}

# What may be it: where the boot loader came from, if it said so, else every partition and disk with FAT.
candidates() {
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

# The device $1, or where it is mounted; what the machine's services mount is gone in a moment.
place() {
	number=$(cat "/sys/class/block/${1##*/}/dev" 2>/dev/null)
	mounted=$(awk -v n="$number" -v r="$RUN/" '$3 == n && $4 == "/" && index($5, r) != 1 { print $5; exit }' /proc/self/mountinfo)
	if [ -n "$mounted" ]; then printf '%b\n' "$mounted"; else echo "$1"; fi
}

ESP=$GIVEN
if [ -z "$ESP" ]; then
	all= best=
	for device in $(candidates); do
		ESP=$(place "$device")
		open_esp ro
		if images; then
			all="$all $ESP"
			[ -z "$ours" ] || best=$ESP
		fi
		close_esp
	done
	ESP=${best:-${all# }}
	case $ESP in
	'') no noesp "" ;;
	*' '*) no which "$ESP" ;;
	esac
fi
open_esp ro
echo "esp $ESP"
df -P "$AT" | awk 'NR == 2 { print "free", $4 }'
cd "$AT" || no esp "$AT"
for file in EFI/BOOT/* EFI/Linux/*; do
	[ ! -f "$file" ] || echo "file $(stat -c %s "$file") $file"
done
[ ! -r loader/hoopy-failed.txt ] || head -c 16384 loader/hoopy-failed.txt | sed 's/^/failed /'
echo
echo "done"
