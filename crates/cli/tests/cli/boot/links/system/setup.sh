#!/bin/sh
set -e
rc-update add devfs sysinit
echo root:links | chpasswd
