#!/bin/sh
# The service `array` makes nothing of a disk that has something on it, wherever that is.
set -eu
modprobe loop
cd "$(mktemp -d)"
truncate -s 6M blank fat end
mkfs.vfat fat >/dev/null
echo something | dd of=end bs=1 seek=$((6 * 1024 * 1024 - 100)) conv=notrunc 2>/dev/null
for file in blank fat end; do
	losetup -f "$PWD/$file"
done
of() {
	losetup -a | sed -n "s|^\(/dev/loop[0-9]*\):.*/$1\$|\1|p"
}
before=$(cat blank fat end | sha256sum)
# The functions of the service, with other disks
eerror() { echo "$@"; }
ebegin() { echo "$@"; }
eend() { return "$1"; }
. /etc/init.d/array
label=other list=$PWD/list
is_blank "$(of blank)"
for file in fat end; do
	printf '%s\n' "$(of blank)" "$(of "$file") # a comment" >list
	if said=$(make_array); then
		echo "an array was made of $file"
		exit 1
	fi
	echo "$said" | grep "$(of "$file") is not blank: nothing is made"
done
printf '%s\n' "$(of blank)" /dev/missing >list
all_there() { return 1; }
! make_array
test "$(cat blank fat end | sha256sum)" = "$before"
for file in blank fat end; do
	losetup -d "$(of "$file")"
done
