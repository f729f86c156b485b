#!/bin/sh
# Every block is on two disks, and podman keeps all it has there.
set -eu
btrfs filesystem df /array
btrfs filesystem df /array | grep -q '^Data, RAID1:'
btrfs filesystem df /array | grep -q '^Metadata, RAID1:'
btrfs filesystem show /array | grep -q 'Total devices 2'
test "$(podman info --format '{{.Store.GraphRoot}}')" = /array/containers
btrfs device stats --check /array >/dev/null
