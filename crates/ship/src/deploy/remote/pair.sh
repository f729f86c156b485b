# For a partition with two directories, behind boot's pair.sh and before assemble.sh.
#
# SLOT   the slot that the new image goes to; empty where there is no new image
# PARTS  a line each: the name in the slot, offset, size and SHA-256 of a part of the image, with tabs between

# What is removed is removed from the disk before the next: a name must not outlive what it stands for.
empty_slot() {
	in_order
	pair_clear "$SLOT" || no write "$SLOT/: it is the slot that is started, or ldlinux.sys is not what syslinux installs"
	sync
	[ -z "$SYNC" ] || mount -o remount,rw,async "$POINT" 2>/dev/null
	SYNC=
}

# Takes the image apart, in the same slot, and reads from the disk what came of it.
unpack_slot() {
	mkdir -p "$SLOT" 2>$ERR || wrong "$SLOT"
	printf '%s\n' "$PARTS" >"$DIR/parts"
	while IFS=$tab read -r name offset size _; do
		if [ "$name" = board ]; then
			range "$PART" "$offset" "$size" </dev/null | (cd "$SLOT" && cpio -idu) >/dev/null 2>>$ERR || wrong "$SLOT"
		else
			range "$PART" "$offset" "$size" </dev/null >"$SLOT/$name" 2>>$ERR || wrong "$SLOT/$name"
		fi
	done <"$DIR/parts"
	case $(cat $ERR) in *"No space left"*) no full "$SLOT" ;; esac
	forget
	while IFS=$tab read -r name _ _ sha256; do
		[ "$name" != board ] || continue
		found=$(sha256sum "$SLOT/$name")
		[ "${found%% *}" = "$sha256" ] || no write "$SLOT/$name is not what was written to it: the medium is failing"
	done <"$DIR/parts"
	(cd "$SLOT" && sha256sum -c SHA256SUMS) >/dev/null 2>>$ERR ||
		no write "$SLOT/: its files for the boot loader are not what was written: the medium is failing"
}
