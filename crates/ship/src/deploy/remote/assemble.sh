# Puts a file together out of pieces that lie on the partition and pieces that are sent, and changes to it.
#
# PLAN    lines: `copy FILE OFFSET SIZE` or `send SIZE`, with tabs between, in the order of the new file
# SENT    how many bytes come over standard input, behind this script
# PART    the new file's temporary name; nothing is put together where it is empty
# SHA256  the new file's digest
# SLOT    the slot of a pair that is emptied first, and in which the new file is taken apart (pair.sh)
# FIRST   files to remove before, a line each
# STEPS   lines: `copy FROM TO`, `move FROM TO`, `write FILE TEXT`, `remove FILE`, or `stage SLOT IMAGE` and
#         `back SLOT` of a pair (boot's pair.sh), to do once the new file is whole and on the disk
# STARTS  the image that the machine starts next, which its agent tells until then; empty where that stays as it is
#
# Until STEPS, nothing that could be started is touched but FIRST; each step leaves something that can be started.

tab=$(printf '\t')

# $1 bytes of what is sent. A peer that is gone without a word must not keep the partition writable for ever.
take() {
	left=$1
	while [ "$left" -gt 0 ]; do
		blocks=$((left / 4096))
		[ $blocks -le 64 ] || blocks=64
		if [ $blocks -gt 0 ]; then
			timeout 60 dd bs=4096 count=$blocks iflag=fullblock <&3 2>>$ERR || return 1
			left=$((left - blocks * 4096))
		else
			timeout 60 dd bs="$left" count=1 iflag=fullblock <&3 2>>$ERR || return 1
			left=0
		fi
	done
}

# Receives into memory first where there is room: the partition is writable for a shorter time.
receive() {
	exec 3<&0
	[ "$SENT" -gt 0 ] || return 0
	memory=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
	# Not of df: BusyBox's knows no root filesystem that the kernel unpacked. One that is a ramfs has no size.
	room=$(stat -f -c '%b %a %S' "$DIR" 2>>$ERR | awk -v m="$memory" '{ print $1 ? int($2 * $3 / 1024) : m }')
	[ $((SENT / 512)) -lt "${room:-0}" ] && [ $((SENT / 512)) -lt "${memory:-0}" ] || return 0
	take "$SENT" >"$DIR/sent"
	[ "$(stat -c %s "$DIR/sent")" = "$SENT" ] || no cut ""
	exec 3<"$DIR/sent"
}

build() {
	while IFS=$tab read -r what a b c; do
		case $what in
		copy) range "$a" "$b" "$c" </dev/null || return 1 ;;
		send) take "$a" || return 1 ;;
		esac
	done <"$DIR/plan"
}

# Says what went wrong with a file, by what the programs said.
wrong() {
	case $(cat $ERR) in
	*"No space left"*) no full "$1" ;;
	*"ead-only file system"*) no readonly "$1" ;;
	*) no write "$1: $(grep -v records $ERR | tail -n 2)" ;;
	esac
}

# Reads from the disk again, not from memory.
forget() {
	sync
	{ echo 1 >/proc/sys/vm/drop_caches; } 2>/dev/null
}

# What is renamed is on the disk before the next change is begun.
in_order() {
	point "$AT"
	case $TYPE$OPTIONS in *,sync,*) return ;; vfat* | msdos*) ;; *) return ;; esac
	mount -o remount,rw,sync "$POINT" 2>/dev/null && SYNC=yes
}

step() {
	case $1 in copy | move) has "$2" ;; esac
	case $1 in
	copy)
		cp "$2" "$3" 2>$ERR || wrong "$3"
		forget
		cmp "$2" "$3" >/dev/null 2>&1 || no write "$3 is not what was written to it: the medium is failing"
		;;
	move) mv -f "$2" "$3" 2>$ERR || wrong "$3" ;;
	write)
		mkdir -p "${2%/*}" 2>$ERR || wrong "${2%/*}"
		part=${2%/*}/hoopy-new.part
		printf '%b' "$3" >"$part" 2>$ERR || wrong "$2"
		forget
		[ "$(cat "$part")" = "$(printf '%b' "$3")" ] || no write "$2: it is not what was written: the medium is failing"
		mv -f "$part" "$2" 2>$ERR || wrong "$2"
		;;
	remove) rm -f "$2" 2>$ERR || wrong "$2" ;;
	stage) pair_stage "$2" "$3" 2>$ERR || wrong "$2" ;;
	back) pair_back "$2" 2>$ERR || wrong "$2" ;;
	esac
	echo "did $1 $2"
}

# Removes what an earlier deploy left. A power cut in the middle of a rename can leave both names for the same clusters
# (fs/fat/namei_vfat.c): to remove either frees those of the image. The temporary name stays then, as one that nothing uses.
clean() {
	for file in $UNFINISHED; do
		[ -f "$file" ] || continue
		if is_second_name "$file"; then
			count=1
			while [ -e "${file%/*}/hoopy-$count.left" ]; do count=$((count + 1)); done
			mv "$file" "${file%/*}/hoopy-$count.left"
		else
			rm -f "$file"
		fi
	done
}

# Whether what $1 was to become is there with the same bytes. A copy that was not renamed yet never has those.
is_second_name() {
	case $1 in
	*-old.part) set -- "$1" "${1%/*}"/*.OLD "${1%/*}"/ALPINE.EFI ;;
	*) set -- "$1" "${1%/*}"/*.EFI "${1%/*}"/*.efi "${1%/*}"/*.conf ;;
	esac
	part=$1
	shift
	for image; do
		[ "$(stat -c %s "$image" 2>/dev/null)" = "$(stat -c %s "$part")" ] && cmp -s "$part" "$image" && return
	done
	return 1
}

receive
open_esp rw
cd "$AT" || no esp "$AT"
SYNC=
# Names that are there while a file is written.
UNFINISHED="$BOOT_DIR/hoopy-*.part $LINUX_DIR/hoopy-*.part loader/hoopy-*.part loader/entries/hoopy-*.part"
finish() {
	rm -f $UNFINISHED
	[ -z "$SYNC" ] || mount -o remount,rw,async "$POINT" 2>/dev/null
	leave
}
clean
trap finish EXIT
# What a power cut left of a rename: a name without a file.
for file in $BOOT_DIR/BOOT*.OLD $LINUX_DIR/*.efi; do
	[ ! -f "$file" ] || [ -s "$file" ] || rm -f "$file"
done
printf '%s\n' "$PLAN" >"$DIR/plan"
while IFS=$tab read -r what file _; do
	[ "$what" != copy ] || has "$file"
done <"$DIR/plan"
[ -z "$SLOT" ] || empty_slot
printf '%s\n' "$FIRST" >"$DIR/first"
while read -r file; do
	[ -n "$file" ] || continue
	rm -f "$file" 2>$ERR || wrong "$file"
	echo "did remove $file"
done <"$DIR/first"
if [ -n "$PART" ]; then
	mkdir -p "${PART%/*}" 2>$ERR || wrong "${PART%/*}"
	build >"$PART" 2>>$ERR || { [ "$(stat -c %s "$PART")" = "$SIZE" ] || wrong "$PART"; }
	case $(cat $ERR) in *"No space left"*) no full "$PART" ;; esac
	[ "$(stat -c %s "$PART")" = "$SIZE" ] || no cut ""
	forget
	found=$(sha256sum "$PART" 2>$ERR)
	[ "${found%% *}" = "$SHA256" ] || no digest "${found%% *}"
	[ -z "$SLOT" ] || unpack_slot
	echo "whole"
fi
# From here on it ends well even when nobody listens any more.
trap '' HUP INT TERM PIPE
in_order
printf '%s\n' "$STEPS" >"$DIR/steps"
while IFS=$tab read -r what a b; do
	[ -z "$what" ] || step "$what" "$a" "$b"
done <"$DIR/steps"
sync
finish
mkdir -p $RUN
[ -z "$STARTS" ] || { printf '%s\n' "$STARTS" >$RUN/staged.new && mv $RUN/staged.new $RUN/staged; }
trap '' EXIT
echo "done"
