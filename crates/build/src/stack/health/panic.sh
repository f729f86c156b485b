# Made by hoopy: what the kernel left of a panic. Read by hoopy's services, not run; common.sh is read before it.
#
# A kernel that panics writes the end of its log into the firmware's variables (efi_pstore), or where else a driver of the
# machine keeps it, and the next boot finds it in /sys/fs/pstore. There it would be for ever, and firmware has little room.

PSTORE=/sys/fs/pstore
# Most that is kept of it: the kernel leaves 10 KiB.
WORDS_MAX=12288
# Beside the words: whose they are.
MARK='hoopy: this is '

# From here on a panic leaves word, and says of which image.
listen_for_panics() {
	modprobe -q efi_pstore 2>/dev/null
	echo "<6>$MARK$IMAGE" 2>/dev/null >/dev/kmsg
}

open_pstore() {
	[ -d $PSTORE ] || return 1
	mountpoint -q $PSTORE || mount -t pstore -o nosuid,nodev,noexec pstore $PSTORE 2>/dev/null
}

# The files of panics, the newest first. One panic has several, each with a part of what was said: the last part is the
# first. Their names have a time and that number in them, so that this is the order in which it was said.
panics() {
	for file in $(ls $PSTORE 2>/dev/null | sort -r); do
		case $file in *.enc.z) continue ;; dmesg-*) ;; *) continue ;; esac
		! head -n 1 "$PSTORE/$file" | grep -q '^Panic#' || echo "$PSTORE/$file"
	done
}

# What the newest of the panics in the files $@ said: no more of it than is kept, and nothing that a terminal obeys.
last_words() {
	for file in "$@"; do
		tail -n +2 "$file"
		! head -n 1 "$file" | grep -q ' Part1$' || break
	done | tr -cd '\11\12\40-\176' | tail -c $WORDS_MAX
}

# The file of the image that said the words in $1: as they say themselves, else the only one that was tried and has no
# verdict; its name may have a counter.
panicked_slot() {
	name=$(sed -n "s/.*$MARK//p" "$1" | tail -n 1)
	found=
	for slot in "$AT/$LINUX_DIR"/*.efi; do
		slot=${slot##*/}
		case $name in
		'') case $slot in *+*-*.efi) ;; *) continue ;; esac ;;
		*) [ "$(slot_good "$slot")" = "$name.efi" ] || continue ;;
		esac
		[ -z "$found" ] || return
		found=$slot
	done
	echo "$found"
}

# Puts what a panic left on the partition, and takes it out of where it was.
take_panic() {
	open_pstore || return 0
	files=$(panics)
	[ -n "$files" ] || return 0
	words=$RUN/panic
	last_words $files >$words
	(
		flock 9
		open_esp "$DEVICE" rw || exit 0
		mkdir -p "$AT/${FAILED%/*}"
		slot=$(panicked_slot $words)
		image=$(slot_good "$slot")
		image=${image%.efi}
		reason=$(grep -m 1 -o 'Kernel panic - .*' $words)
		{
			printf 'IMAGE=%s\nSLOT=%s\n' "$image" "$slot"
			printf 'SECONDS=%s\n' "$(sed -n 's/^\(<[0-9]*>\)*\[ *\([0-9]*\)\..*/\2/p' $words | tail -n 1)"
			printf 'REASON=%s\n\n' "${reason:-the kernel panicked}"
			echo "--- the kernel's last words"
			cat $words
		} >"$AT/$FAILED.new" && mv -f "$AT/$FAILED.new" "$AT/$FAILED" && rm -f $files
		close_esp
		say "${image:-an image} panicked: see $FAILED on the EFI system partition"
	) 9>$ESP_LOCK
	rm -f $words
}
