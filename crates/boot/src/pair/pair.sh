# Made by hoopy: a partition with two directories, changed on the machine. It goes behind machine.sh; AT is where the partition
# is mounted, for writing where anything is changed, and `sync`: what is written by one command is there before the next.
#
# crates/boot/src/pair has the same in Rust and says why each step is in its place; tests there run this file, and cut the
# power at every write of it.

PI_MARK='# hoopy: all from this line on is replaced with each image'
EXTLINUX_MARK='# hoopy: written anew with each image'
EXTLINUX_END='# hoopy: the end'

# Writes standard input to the file $1.
put() { cat >"$1"; }

# Writes standard input over sector $2 of the file $1, in the same place of the disk.
put_sector() { dd of="$1" bs=512 seek="$2" conv=notrunc 2>/dev/null; }

# The file that the loader reads: that of syslinux and U-Boot, or that of a Raspberry Pi's firmware.
pair_config() { if [ -e "$AT/extlinux.conf" ]; then echo extlinux.conf; else echo config.txt; fi; }

# The file that it reads for a trial.
pair_trial() { if [ -e "$AT/extlinux.conf" ]; then echo trial.conf; else echo tryboot.txt; fi; }

# The slot that the file $1 of the partition names: a or b.
pair_slot_of() {
	sed -n -e 's|^os_prefix=\([ab]\)/$|\1|p' -e 's|^DEFAULT \([ab]\)$|\1|p' "$AT/$1" 2>/dev/null | tail -n 1
}

# The slot that is started.
pair_started() { pair_slot_of "$(pair_config)"; }

pair_other() { if [ "$1" = a ]; then echo b; else echo a; fi; }

# The image in the slot $1, where all of it is there.
pair_image() { head -n 1 "$AT/$1/hoopy.txt" 2>/dev/null; }

# Whether this is such a partition, and then whose: pi or extlinux.
is_pair() { [ -n "$(pair_started)" ]; }
pair_loader() { if [ -e "$AT/extlinux.conf" ]; then echo extlinux; else echo pi; fi; }

# Of a slot: an image that was found well.
pair_is_good() { [ -e "$AT/$1/good" ] && [ -n "$(pair_image "$1")" ]; }

# The text of config.txt that starts the slot $1: the owner's lines, of the image or else of the card, and ours.
pi_text() {
	if [ -f "$AT/$1/config.txt" ]; then
		awk 1 "$AT/$1/config.txt"
	else
		awk -v mark="$PI_MARK" '$0 == mark { exit } { print }' "$AT/config.txt"
	fi
	printf '%s\n' "$PI_MARK" '[all]' "os_prefix=$1/" overlay_prefix=overlays/ kernel=vmlinuz \
		'initramfs initramfs followkernel' cmdline=cmdline.txt arm_64bit=1
}

extlinux_label() {
	printf '%s\n' '' "LABEL $1" "MENU LABEL $1" "LINUX /$1/vmlinuz" "INITRD /$1/initramfs"
	[ ! -d "$AT/$1/dtbs" ] || echo "FDTDIR /$1/dtbs"
	echo "APPEND hoopy.slot=$1 $(tr -d '\000' <"$AT/$1/cmdline.txt" | head -n 1)"
}

# The text of extlinux.conf that starts the slot $1, and after it, where its kernel cannot be loaded, the other one.
extlinux_text() {
	next=$(pair_other "$1")
	pair_is_good "$next" || next=$1
	printf '%s\n' "$EXTLINUX_MARK" 'PROMPT 0' 'TIMEOUT 50' "ONTIMEOUT $next" "DEFAULT $1"
	extlinux_label "$1"
	[ "$next" = "$1" ] || extlinux_label "$next"
	printf '%s\n' '' 'LABEL trial' 'CONFIG /trial.conf' "$EXTLINUX_END"
}

# Writes that text to the file $2, and makes sure that it is whole there: on a full partition it would be empty, and in the
# place of the file that the loader reads it would start nothing.
pair_write_config() {
	"$(pair_loader)_text" "$1" | put "$AT/$2" || return 1
	case $(tail -n 1 "$AT/$2") in
	arm_64bit=1 | "$EXTLINUX_END") [ "$(pair_slot_of "$2")" = "$1" ] ;;
	*) return 1 ;;
	esac
}

zeros() { printf "%0$1d" 0 | tr 0 '\000'; }

# A block of syslinux' that says: start the label `trial`, once; or, without $1, nothing.
once_block() {
	if [ -n "$1" ]; then
		printf '\245\057\055\132\375\260\043\060\001\005trial'
		zeros 493
	else
		printf '\245\057\055\132\147\027\004\243'
		zeros 500
	fi
	printf '\144\277\050\335'
}

# Has the loader read trial.conf once, or with no $1 takes that back. syslinux has two copies of its block, at the end of its
# own file, and clears them before it starts anything. U-Boot's script removes the file `once` before.
extlinux_once() {
	if [ ! -e "$AT/ldlinux.sys" ]; then
		if [ -n "$1" ]; then printf '' | put "$AT/once"; else rm -f "$AT/once"; fi
		sync
		return
	fi
	sectors=$(($(stat -c %s "$AT/ldlinux.sys") / 512))
	# One of the two may be torn.
	case $({ tail -c 1024 "$AT/ldlinux.sys" | head -c 4; tail -c 4 "$AT/ldlinux.sys"; } | od -An -tx1 | tr -d ' \n') in
	a52f2d5a* | *64bf28dd) ;;
	*) return 1 ;;
	esac
	for place in $((sectors - 2)) $((sectors - 1)); do
		once_block "$1" | put_sector "$AT/ldlinux.sys" $place || return 1
		sync
	done
	[ "$(tail -c 512 "$AT/ldlinux.sys" | cksum)" = "$(once_block "$1" | cksum)" ]
}

# Empties the slot $1, from the file on that says that it is whole. What the loader starts is left alone.
pair_clear() {
	[ "$1" != "$(pair_started)" ] || return 1
	[ "$(pair_loader)" = pi ] || extlinux_once '' || return 1
	for file in hoopy.txt good tried; do rm -f "$AT/$1/$file"; done
	find "$AT/$1" -type f 2>/dev/null | sort | while read -r file; do rm -f "$file"; done
}

# The image $2 is whole in the slot $1: it may be tried.
pair_stage() {
	[ "$(pair_loader)" = pi ] || extlinux_once '' || return 1
	rm -f "$AT/$1/tried"
	pair_write_config "$1" "$(pair_trial)" || return 1
	sync
	echo "$2" | put "$AT/$1/hoopy.txt" || return 1
	sync
}

# The slot $1 is about to be tried, which happens once.
pair_try() {
	echo tried | put "$AT/$1/tried" || return 1
	sync
	[ "$(pair_loader)" = pi ] || extlinux_once trial
}

# From now on the loader starts the slot $1. The new file has a name that was never used: a cut in the middle of the
# rename leaves two names for one file, and only one of them may ever be touched again.
pair_switch() {
	number=1
	while [ -e "$AT/hoopy-$number.txt" ]; do number=$((number + 1)); done
	pair_write_config "$1" "hoopy-$number.txt" || return 1
	sync
	mv -f "$AT/hoopy-$number.txt" "$AT/$(pair_config)" || return 1
	sync
}

# The slot $1 has been found well.
pair_bless() {
	[ -n "$(pair_image "$1")" ] || return 1
	[ "$1" = "$(pair_started)" ] || pair_switch "$1" || return 1
	[ -e "$AT/$1/good" ] || echo good | put "$AT/$1/good"
	sync
}

# Back to the slot $1, which was good once; the other counts as given up.
pair_back() {
	pair_is_good "$1" || return 1
	[ "$(pair_loader)" = pi ] || extlinux_once '' || return 1
	[ "$1" = "$(pair_started)" ] || pair_switch "$1" || return 1
	rm -f "$AT/$(pair_other "$1")/good"
	echo tried | put "$AT/$(pair_other "$1")/tried"
	sync
}
