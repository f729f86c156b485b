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

runlevel sysinit devfs sysfs dmesg
runlevel boot bootmisc hostname modules networking sysctl syslog
runlevel default dropbear
runlevel shutdown killprocs mount-ro

# A password that everybody can read counts at the console alone (root/etc/conf.d/dropbear). A machine of your own gets a
# hash here, as `hoopy init` writes it, and your key.
echo root:hello | chpasswd
