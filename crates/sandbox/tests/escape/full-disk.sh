#!/bin/sh
# Fills the store's disk.
#
# bind: yes
# limits: disk=256
# ends: the limit of 256 MiB on the disk
n=0
while [ $((n += 1)) -le 64 ]; do
	busybox dd if=/dev/urandom of=/big$n bs=1M count=64 2>/dev/null || exit 1
done
echo "ESCAPED: $n files of 64 MiB"
