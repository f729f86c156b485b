#!/bin/sh
# Runs inside the image, after packages and root/.
set -eu

runlevel() {
	level=$1
	shift
	for service in "$@"; do
		rc-update -q add "$service" "$level"
	done
}

runlevel sysinit devfs sysfs dmesg mdev hwdrivers
runlevel boot bootmisc fsck hostname hwclock localmount modules networking seedrng sysctl syslog
runlevel default acpid chronyd crond hostkeys local smartd sshd
runlevel shutdown killprocs mount-ro savecache

# Where the partition that outlives a boot goes, and the pools.
mkdir -p /persist /srv

# Logs in over SSH, with a key, and becomes root with doas. `*` is no password and, unlike `!`, no lock: sshd lets
# nobody in who is locked out.
adduser -D -G wheel admin
echo 'admin:*' | chpasswd -e
mkdir -p /etc/doas.d
echo 'permit nopass :wheel' >/etc/doas.d/wheel.conf

# For the console, when the network is gone: a hash of your own (openssl passwd -6).
# echo 'root:$6$...' | chpasswd -e
