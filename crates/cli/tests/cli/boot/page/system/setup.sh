#!/bin/sh
set -e

rc-update add devfs sysinit
rc-update add sysfs sysinit

rc-update add bootmisc boot
rc-update add hostname boot
rc-update add modules boot
rc-update add networking boot

rc-update add killprocs shutdown

echo root:towel | chpasswd
