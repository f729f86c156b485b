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

runlevel sysinit devfs sysfs cgroups dmesg mdev hwdrivers
runlevel boot array bootmisc hostname hwclock localmount modules networking seedrng sysctl syslog
runlevel default chronyd crond hostkeys runit sshd
runlevel shutdown killprocs mount-ro savecache

# Where the array goes.
mkdir -p /array

# Logs in over SSH, with a key, and becomes root with sudo. `*` is no password and, unlike `!`, no lock: sshd lets
# nobody in who is locked out.
adduser -D -G wheel admin
echo 'admin:*' | chpasswd -e
echo '%wheel ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/wheel
chmod 0440 /etc/sudoers.d/wheel

# Whose container the service `app` runs. The numbers are written down, as files on the array have them; those of
# its containers are in root/etc/subuid and root/etc/subgid.
addgroup -g 2000 app
adduser -D -u 2000 -G app -h /array/app -H app
echo 'app:*' | chpasswd -e

# A small image, so that this example needs no registry. Its digest goes where images are named.
demo=/usr/share/homelab/demo.tar
digest=$(demo-image "$demo")
echo "demo localhost/demo@$digest" >>/etc/homelab/images
sed -i "s/sha256:0000*$/$digest/" /etc/containers/systemd/hello.container

# For the console, when the network is gone: a hash of your own (openssl passwd -6).
# echo 'root:$6$...' | chpasswd -e
