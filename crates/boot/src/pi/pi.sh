# Made by hoopy: the card of a Raspberry Pi, as changed on the machine. It goes behind machine.sh; AT is where the card is
# mounted, for writing where anything is changed, and `sync`: what is written by one command is on the card before the next.
#
# crates/boot/src/pi has the same in Rust and says why each step is in its place; tests there run this file, and cut the
# power at every write of it.

PI_MARK='# hoopy: all from this line on is replaced with each image'

# Writes standard input to the file $1.
put() { cat >"$1"; }

# The slot that the file $1 of the card names: a or b.
pi_slot_of() { sed -n 's|^os_prefix=\([ab]\)/$|\1|p' "$AT/$1" 2>/dev/null | tail -n 1; }

pi_other() { if [ "$1" = a ]; then echo b; else echo a; fi; }

# The image in the slot $1, where all of it is there.
pi_image() { head -n 1 "$AT/$1/hoopy.txt" 2>/dev/null; }

# Whether this is such a card.
is_pi_card() { [ -n "$(pi_slot_of config.txt)" ]; }

# The text of config.txt that starts the slot $1: the owner's lines, of the image or else of the card, and ours.
pi_config() {
	if [ -f "$AT/$1/config.txt" ]; then
		awk 1 "$AT/$1/config.txt"
	else
		awk -v mark="$PI_MARK" '$0 == mark { exit } { print }' "$AT/config.txt"
	fi
	printf '%s\n' "$PI_MARK" '[all]' "os_prefix=$1/" overlay_prefix=overlays/ kernel=vmlinuz \
		'initramfs initramfs followkernel' cmdline=cmdline.txt arm_64bit=1
}

# Writes that text to the file $2 of the card, and makes sure that it is whole there: on a full card it would be empty, and in
# the place of config.txt it would start nothing.
pi_write_config() {
	pi_config "$1" | put "$AT/$2" || return 1
	[ "$(tail -n 1 "$AT/$2")" = arm_64bit=1 ] && [ "$(pi_slot_of "$2")" = "$1" ]
}

# Empties the slot $1, from the file on that says that it is whole. What the firmware starts is left alone.
pi_clear() {
	[ "$1" != "$(pi_slot_of config.txt)" ] || return 1
	for file in hoopy.txt good tried; do rm -f "$AT/$1/$file"; done
	find "$AT/$1" -type f 2>/dev/null | sort | while read -r file; do rm -f "$file"; done
}

# The image $2 is whole in the slot $1: it may be tried.
pi_stage() {
	rm -f "$AT/$1/tried"
	pi_write_config "$1" tryboot.txt || return 1
	sync
	echo "$2" | put "$AT/$1/hoopy.txt" || return 1
	sync
}

# The slot $1 is about to be tried, which happens once.
pi_try() {
	echo tried | put "$AT/$1/tried" || return 1
	sync
}

# From now on the firmware starts the slot $1. The new file has a name that was never used: a cut in the middle of the
# rename leaves two names for one file, and only one of them may ever be touched again.
pi_switch() {
	number=1
	while [ -e "$AT/hoopy-$number.txt" ]; do number=$((number + 1)); done
	pi_write_config "$1" "hoopy-$number.txt" || return 1
	sync
	mv -f "$AT/hoopy-$number.txt" "$AT/config.txt" || return 1
	sync
}

# The slot $1 has been found well.
pi_bless() {
	[ -n "$(pi_image "$1")" ] || return 1
	[ "$1" = "$(pi_slot_of config.txt)" ] || pi_switch "$1" || return 1
	[ -e "$AT/$1/good" ] || echo good | put "$AT/$1/good"
	sync
}

# Back to the slot $1, which was good once; the other counts as given up.
pi_back() {
	[ -e "$AT/$1/good" ] && [ -n "$(pi_image "$1")" ] || return 1
	[ "$1" = "$(pi_slot_of config.txt)" ] || pi_switch "$1" || return 1
	rm -f "$AT/$(pi_other "$1")/good"
	echo tried | put "$AT/$(pi_other "$1")/tried"
	sync
}
