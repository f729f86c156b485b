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

# The device $1, or where it is mounted. What hoopy mounts itself, below $RUN, is unmounted in a moment.
place() {
	mounted=$(mount_points "$1" | grep -v "^$RUN/" | head -n 1)
	echo "${mounted:-$1}"
}

ESP=$GIVEN
if [ -z "$ESP" ]; then
	all= best=
	for device in $(esp_devices); do
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
