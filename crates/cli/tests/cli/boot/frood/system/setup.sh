#!/bin/sh
set -e

rc-update add devfs sysinit
rc-update add dmesg sysinit

rc-update add bootmisc boot
rc-update add hostname boot
rc-update add modules boot
rc-update add networking boot
rc-update add sysctl boot

rc-update add killprocs shutdown
rc-update add mount-ro shutdown

adduser -D -s /bin/sh arthur
addgroup arthur wheel
echo root:towel | chpasswd
