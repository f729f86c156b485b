#!/bin/sh
# Makes nodes of the machine's disks and memory and reads them.
#
# must get: no device can be read
for device in "b 254 0" "b 8 0" "b 259 0" "c 1 1" "c 1 2" "c 1 4" "c 10 237"; do
	rm -f /tmp/node
	busybox mknod /tmp/node $device 2>/dev/null || continue
	busybox dd if=/tmp/node of=/dev/null bs=512 count=1 2>&1 | grep -q '^1+0' && { echo "ESCAPED: $device"; found=1; }
	[ "$(busybox head -c 512 /tmp/node 2>/dev/null | busybox wc -c)" = 0 ] || { echo "ESCAPED: $device"; found=1; }
done
rm -f /tmp/node
[ -n "$found" ] || echo no device can be read
