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
runlevel default acpid chronyd crond hostkeys samba share-password smartd sshd
runlevel shutdown killprocs mount-ro savecache

# /persist is the partition that outlives a boot, /srv the array.
mkdir -p /persist /srv

# Whose files are on the share: it logs in with a key, for SFTP alone (root/etc/ssh), and over SMB with a password that Samba
# knows. `*` is no password and, unlike `!`, no lock: sshd lets nobody in who is locked out.
adduser -D -H -u 1000 -h /srv/share -s /sbin/nologin share
echo 'share:*' | chpasswd -e

# For the console, when the network is gone: a hash of your own (openssl passwd -6).
# echo 'root:$6$...' | chpasswd -e
