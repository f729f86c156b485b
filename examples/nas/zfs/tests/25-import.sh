# A pool is imported without waiting for udev, which is not here.
set -eu
. ./lib
head -c 32 /dev/urandom >/tmp/random
nas-array create </tmp/random
nas-array close
before=$(cut -d . -f 1 /proc/uptime)
nas-array import
seconds=$(($(cut -d . -f 1 /proc/uptime) - before))
echo "imported after $seconds s"
[ "$seconds" -lt 20 ]
# The machine's number is in the pool's label, so that another machine has to insist.
zdb -l /dev/disk/by-id/virtio-array-a-part1 | grep -i "hostid: $((0x00c0ffee))"
nas-array close
dies array-a
dies array-b
