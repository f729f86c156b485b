#!/bin/sh
set -e
rc-update add devfs sysinit
rc-update add modules boot
rc-update add localmount boot
rc-update add short-lived default
rc-update add hopeless default
rc-update add killprocs shutdown
rc-update add mount-ro shutdown
echo root:faulty | chpasswd
