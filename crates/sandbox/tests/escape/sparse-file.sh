#!/bin/sh
# Makes a file of a terabyte out of nothing, which would be that large where its content is kept.
#
# limits: disk=256
# ends: the limit of 256 MiB on the disk
busybox truncate -s 1099511627776 /big && echo "ESCAPED: a file of $(stat -c %s /big) bytes"
exit 1
