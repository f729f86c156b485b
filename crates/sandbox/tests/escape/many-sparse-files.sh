#!/bin/sh
# The same with many files, each of which is small enough.
#
# limits: disk=256
# ends: the limit of 256 MiB on the disk
for n in 1 2 3 4 5 6 7 8; do busybox truncate -s 100M /big$n || exit 1; done
