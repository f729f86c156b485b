# Loads the image FILE of the partition into the kernel, and has the machine start it at the end of a clean shutdown.
#
# PARTS   a line each: name, offset, size and SHA-256 of a section, with tabs between; linux and initrd are among them

tab=$(printf '\t')
open_esp ro
printf '%s\n' "$PARTS" >"$DIR/parts"
while IFS=$tab read -r name offset size sha256; do
	range "$AT/$FILE" "$offset" "$size" </dev/null >"$DIR/$name" || no write "$DIR/$name: $(tail -n 1 $ERR)"
	found=$(sha256sum "$DIR/$name")
	[ "${found%% *}" = "$sha256" ] || no digest "${found%% *}"
done <"$DIR/parts"
close_esp

# What the EFI stub does (systemd-stub(7)): microcode comes first, filled up to a multiple of four.
if [ -s "$DIR/ucode" ]; then
	head -c $(((4 - $(stat -c %s "$DIR/ucode") % 4) % 4)) /dev/zero >>"$DIR/ucode"
	cat "$DIR/initrd" >>"$DIR/ucode"
	mv "$DIR/ucode" "$DIR/initrd"
fi
# The word says to the machine's own checks that the firmware has not started this image yet (docs/boot.md).
line="$(tr -d '\000' <"$DIR/cmdline" 2>/dev/null) hoopy.kexec"

load() {
	kexec "$1" --load "$DIR/linux" --initrd="$DIR/initrd" --command-line="$line" >>$ERR 2>&1
}

# The newer system call checks signatures and is all that a locked-down kernel lets through; Alpine's kernels have the
# older one only (CONFIG_KEXEC_FILE is not set).
if ! load -s && ! load -c; then
	case $(cat $ERR /sys/kernel/security/lockdown 2>/dev/null) in
	*"Required key not available"* | *"Key was rejected"* | *"Permission denied"* | *"Operation not permitted"* | *"[integrity]"* | *"[confidentiality]"*)
		no refused "the kernel takes only what is signed by a key that it trusts (KEXEC_SIG, lockdown): $(tail -n 1 $ERR)"
		;;
	esac
	no load "$(tail -n 2 $ERR)"
fi
[ "$(cat /sys/kernel/kexec_loaded 2>/dev/null)" = 1 ] || no load "kexec loaded nothing: $(tail -n 1 $ERR)"

reboot_by hoopy-kexec --kexec "Start the image that hoopy loaded" "$(command -v kexec) -e"
echo "done"
