#!/bin/sh
# Fills the store's disk with a file that has no name.
#
# bind: yes
# limits: disk=256
# ends: the limit of 256 MiB on the disk
n=0
while [ $((n += 1)) -le 16 ]; do
	exec 9>/big
	rm /big
	(busybox dd if=/dev/urandom bs=1M count=64 >&9; sleep 100) 2>/dev/null &
done
wait
echo "ESCAPED: $n files of 64 MiB"
