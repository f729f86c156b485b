#!/bin/sh
# What hoopy replaces, as alpine-make-rootfs and frood's Makefile do it: apk, the skeleton, the script in a
# chroot, cpio, gzip, and objcopy onto the EFI stub.
set -eu
: "${APK_ROOT:?}" "${REPOSITORY:?}" "${KEYS:?}" "${SYSTEM:?}" "${STUB:?}" "${WORK:?}" "${ARCH:?}"

root=$WORK/root
apk() {
	"$APK_ROOT/lib/ld-musl-$ARCH.so.1" --library-path "$APK_ROOT/lib:$APK_ROOT/usr/lib" \
		"$APK_ROOT/sbin/apk" --root "$root" --arch "$ARCH" --no-cache --quiet "$@"
}
cleanup() {
	for dir in mnt proc sys dev; do
		umount "$root/$dir" 2>/dev/null || true
	done
}
trap cleanup EXIT

# frood turns mkinitfs off; here that goes before the packages too.
mkdir -p "$root/etc/apk/keys" "$root/etc/mkinitfs"
cp "$KEYS"/* "$root/etc/apk/keys/"
echo "$REPOSITORY" >"$root/etc/apk/repositories"
echo disable_trigger=yes >"$root/etc/mkinitfs/mkinitfs.conf"
apk add --initdb
# shellcheck disable=SC2046 # one argument a package is what is wanted
apk add $(sed 's/#.*//' "$SYSTEM/packages")
sed -i 's/^root:[^:]*:/root:*:/' "$root/etc/shadow"
cp -r --no-preserve=ownership "$SYSTEM/root/." "$root/"
mount --bind /proc "$root/proc"
mount --bind /sys "$root/sys"
mount --bind /dev "$root/dev"
mount --bind "$SYSTEM" "$root/mnt"
chroot "$root" /bin/sh -c 'cd /mnt && ./setup.sh'
cleanup
rm -rf "$root"/dev/* "$root"/var/cache/apk/*

(cd "$root" && find . -path ./boot -prune -o -print | cpio -o -H newc --quiet) | gzip >"$WORK/initramfs"
echo "rdinit=/sbin/init console=ttyS0" >"$WORK/cmdline"
align() { echo $((($1 + 4095) / 4096 * 4096)); }
end=$(objdump -h "$STUB" | awk 'NF == 7 { size = $3; at = $4 } END { print "0x" at " 0x" size }')
osrel=$(align $((${end% *} + ${end#* })))
cmdline=$((osrel + $(align "$(stat -c %s "$root/etc/os-release")")))
initrd=$((cmdline + $(align "$(stat -c %s "$WORK/cmdline")")))
linux=$((initrd + $(align "$(stat -c %s "$WORK/initramfs")")))
set -- "$root"/boot/vmlinuz-*
objcopy \
	--add-section .osrel="$root/etc/os-release" --change-section-vma .osrel=$osrel \
	--add-section .cmdline="$WORK/cmdline" --change-section-vma .cmdline=$cmdline \
	--add-section .initrd="$WORK/initramfs" --change-section-vma .initrd=$initrd \
	--add-section .linux="$1" --change-section-vma .linux=$linux \
	"$STUB" "$WORK/image.efi"
