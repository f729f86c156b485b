#!/bin/sh
# What README.md says of a disk that is lost, done to a small array of its own.
set -eu
. ./lib.txt
modprobe loop
cd "$(mktemp -d -p /root)"
mkdir at
truncate -s 300M one two three
for file in one two three; do
	losetup -f "$PWD/$file"
done
of() {
	losetup -a | sed -n "s|^\(/dev/loop[0-9]*\):.*/$1\$|\1|p"
}
mkfs.btrfs -q -L small -d raid1 -m raid1 "$(of one)" "$(of two)" >/dev/null
mount "$(of one)" at
echo kept >at/file
umount at
# It is gone
until_ok 30 btrfs device scan --forget "$(of two)"
losetup -d "$(of two)"
! mount "$(of one)" at 2>/dev/null
mount -o degraded "$(of one)" at
btrfs replace start -B 2 "$(of three)" at
btrfs balance start -f -dconvert=raid1,soft -mconvert=raid1,soft -sconvert=raid1,soft at
umount at
# The other one is gone, too: what was on it is on the new one
losetup -d "$(of one)"
btrfs device scan "$(of three)" >/dev/null
mount -o degraded,ro "$(of three)" at
test "$(cat at/file)" = kept
umount at
losetup -d "$(of three)"
