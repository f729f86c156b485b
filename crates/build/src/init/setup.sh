#!/bin/sh
# Runs inside the image, as root, after packages and root/. What it changes is part of the image; where it fails,
# nothing is built. This directory is at /mnt, read-only, and there is no network.
set -eu

# The services of each runlevel. What a package brings is in its /etc/init.d.
for service in devfs sysfs dmesg; do
	rc-update -q add "$service" sysinit
done
for service in bootmisc hostname modules networking sysctl syslog; do
	rc-update -q add "$service" boot
done
for service in killprocs mount-ro; do
	rc-update -q add "$service" shutdown
done
@SSH@rc-update -q add dropbear default

# The password of root at the console, as a hash: `hoopy init` printed the password once, and it is written nowhere.
# For another one, put here what `openssl passwd -6` prints.
echo 'root:@HASH@' | chpasswd -e
