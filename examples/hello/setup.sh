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

# A password that everybody can read is no password: give your own machine a key instead.
echo root:hello | chpasswd
