#!/bin/sh
set -e
rc-update add devfs sysinit
rc-update add sysfs sysinit
rc-update add modules boot
rc-update add killprocs shutdown
rc-update add mount-ro shutdown
echo root:nas | chpasswd
