# Tells what machine this is, where its EFI system partition is, and what is on it.

load_drivers
IMAGE=$(sed -n 's/^IMAGE=//p' /etc/hoopy-release 2>/dev/null)

echo "arch $(uname -m)"
echo "boot $(cat /proc/sys/kernel/random/boot_id)"
echo "uptime $(cut -d. -f1 /proc/uptime)"
[ ! -r /etc/hoopy-release ] || sed 's/^/release /' /etc/hoopy-release
[ ! -r $RUN/health ] || sed 's/^/health /' $RUN/health
[ ! -e /etc/runlevels/default/hoopy-health ] || echo "checks"
booted=$(variable LoaderBootCountPath)
[ -z "$booted" ] || echo "booted $booted"
# Whether the firmware checks signatures, and the lists that it checks them with.
GLOBAL=8be4df61-93ca-11d2-aa0d-00e098032b8c
hex() { tail -c +5 "$1" | od -An -v -tx1 | tr -d ' \n'; }
if [ "$(hex $VARIABLES/SecureBoot-$GLOBAL 2>/dev/null)" = 01 ]; then
	echo "enforces"
	for list in db dbx; do
		file=$VARIABLES/$list-d719b2cb-3d3a-4596-a3bc-dad00e67656f
		[ ! -r $file ] || echo "$list $(hex $file)"
	done
fi
for tool in awk cmp cp cut dd df flock head mount mv rm sed sha256sum stat sync tail timeout tr umount; do
	command -v $tool >/dev/null || echo "lacks $tool"
done
[ "$(id -u)" = 0 ] || no user "$(id -un)"

# Whether an image lies at $AT, and whether it is the one that runs.
images() {
	found= ours=
	if is_pair; then
		found=yes
		case "$IMAGE" in "$(pair_image a)" | "$(pair_image b)") ours=yes ;; esac
		return
	fi
	for file in "$AT/$BOOT_DIR"/BOOT*.EFI "$AT/$BOOT_DIR"/BOOT*.OLD "$AT/$LINUX_DIR"/*.efi; do
		[ -f "$file" ] || continue
		found=yes
		# The name is in the image's os-release, which stands near its start.
		[ -z "$IMAGE" ] || ! dd if="$file" bs=4096 count=256 2>/dev/null | grep -q "\"$IMAGE " || ours=yes
	done
	[ -n "$found" ]
}

# Whether this is diskless Alpine Linux: its root filesystem is in memory. What hoopy starts has a release file.
is_diskless() {
	[ ! -e /etc/hoopy-release ] && [ -s /etc/alpine-release ] || return 1
	case $(stat -f -c %T /) in tmpfs | ramfs) ;; *) return 1 ;; esac
}

# Whether its packages lie at $AT, and what its loader starts.
is_medium() { [ -d "$AT/apks" ] && [ -d "$AT/boot" ]; }

# Whether the partition at $AT is the machine's. Beside diskless Alpine Linux, those of other systems are not.
belongs() {
	ours=
	if [ -n "$DISKLESS" ]; then is_medium; else images; fi
}

# Where a medium is that is not FAT, and what it is instead.
other_medium() {
	awk '$1 ~ "^/dev/" { print $2, $3 }' /proc/mounts | while read -r point type; do
		[ ! -d "$(printf '%b' "$point")/apks" ] || echo "$point is $type"
	done | head -n 1
}

# Says what there is to know of diskless Alpine Linux and of its medium at $AT, a line each.
tell_diskless() {
	echo "diskless release $(head -n 1 /etc/alpine-release)"
	! is_medium || echo "diskless filesystem $(stat -f -c %T "$AT")"
	for file in "$AT"/boot/vmlinuz-*; do
		[ ! -f "$file" ] || echo "diskless kernel ${file##*/}"
	done
	for file in "$AT"/*.apkovl.tar.gz*; do
		[ ! -f "$file" ] || echo "diskless overlay ${file##*/}"
	done
	if [ -d /sys/firmware/efi ]; then
		echo "diskless firmware $(cat /sys/firmware/efi/fw_platform_size 2>/dev/null || echo 64)"
	else
		echo "diskless firmware bios"
	fi
	for file in "$AT/$BOOT_DIR"/*; do
		case ${file##*/} in [Bb][Oo][Oo][Tt]*.[Ee][Ff][Ii]) ;; *) continue ;; esac
		! dd if="$file" bs=4096 count=256 2>/dev/null | grep -q "LoaderInfo: systemd-boot" ||
			echo "diskless systemd-boot ${file##*/}"
	done
	# The file that the firmware started by a variable of its own: UTF-16, behind the names of devices.
	current=$(tail -c +5 $VARIABLES/BootCurrent-$GLOBAL 2>/dev/null | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F)
	started=$VARIABLES/Boot${current#??}${current%??}-$GLOBAL
	[ ! -r "$started" ] || file=$(tr -d '\000' <"$started" | grep -aio '[\\]efi[\\][-_. a-z0-9\\]*[.]efi' | head -n 1)
	[ ! -r "$started" ] || [ -z "$file" ] || echo "diskless started $file"
	if [ -s "$AT/$LOADER_CONF" ] && ! grep -q "^# Written by hoopy" "$AT/$LOADER_CONF"; then
		echo "diskless configured $LOADER_CONF"
	fi
}

# The device $1, or where it is mounted. What hoopy mounts itself, below $RUN, is unmounted in a moment.
place() {
	mounted=$(mount_points "$1" | grep -v "^$RUN/" | head -n 1)
	echo "${mounted:-$1}"
}

LOADER_CONF=loader/loader.conf
DISKLESS=
! is_diskless || DISKLESS=yes
ESP=$GIVEN
if [ -z "$ESP" ]; then
	all= best=
	for device in $(esp_devices); do
		ESP=$(place "$device")
		open_esp ro
		if belongs; then
			all="$all $ESP"
			[ -z "$ours" ] || best=$ESP
		fi
		close_esp
	done
	ESP=${best:-${all# }}
	case $ESP in
	'')
		[ -z "$DISKLESS" ] || no medium "$(other_medium)"
		no noesp ""
		;;
	*' '*) no which "$ESP" ;;
	esac
fi
open_esp ro
echo "esp $ESP"
df -P "$AT" | awk 'NR == 2 { print "free", $4 }'
[ -z "$DISKLESS" ] || tell_diskless
! keeps_diskless || echo "alpine"
cd "$AT" || no esp "$AT"
if is_pair; then
	echo "pair $(pair_loader) $(pair_started)"
	for slot in a b; do
		image=$(pair_image $slot) good=- tried=-
		[ ! -e $slot/good ] || good=good
		[ ! -e $slot/tried ] || tried=tried
		echo "slot $slot ${image:--} $good $tried"
	done
	set -- a/* b/*
	command -v cpio >/dev/null || echo "lacks cpio"
else
	set -- $BOOT_DIR/* $LINUX_DIR/*
fi
for file; do
	[ ! -f "$file" ] || echo "file $(stat -c %s "$file") $file"
done
[ ! -r $FAILED ] || head -c 16384 $FAILED | sed 's/^/failed /'
echo
echo "done"
