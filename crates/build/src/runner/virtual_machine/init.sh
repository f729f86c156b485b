#!/bin/busybox sh
# PID 1 of the machine that runs scripts. Takes jobs from the host on a virtio port and answers there.
#
# A job is the line `job LAYERS`, an archive for $job, then so many archives for $tree, and one for $mnt where the
# job says so. The answer is an archive of $result, after a success one of what changed, and the line `end`.
# Whatever goes wrong here ends the machine: the host sees that, and what was said on the console.

export PATH=/bin
work=/guest tree=/guest/tree base=/guest/base job=/guest/job mnt=/guest/mnt root=/guest/root dev=/guest/dev
lent=/guest/lent result=/guest/result upper=/guest/upper seen=.hoopy-seen

die() {
	echo "hoopy: $*" >/dev/console
	reboot -f
	sleep 60
}

# Tells the host that this machine still runs, and this script in it: a byte on the console (guest.rs), unless a script
# has stopped PID 1. Scripts may take long and say nothing, so without it nobody could tell.
beat() {
	while sleep 5; do
		read -r _ _ state _ </proc/1/stat
		case $state in T | t) ;; *) printf '\005' >/dev/console ;; esac
	done
}

furnish() {
	/bin/busybox mkdir -p /proc /sys /dev $work
	/bin/busybox --install -s /bin
	mount -t proc proc /proc && mount -t sysfs sysfs /sys || die "no /proc or /sys"
	mountpoint -q /dev || mount -t devtmpfs dev /dev || die "no /dev"
	mount -t tmpfs -o mode=0755,size=100% tmpfs $work || die "no tmpfs"
	for module in /modules/*.ko; do
		[ ! -e "$module" ] || insmod "$module" || die "cannot load $module"
	done
	mkdir -p $tree $base/proc $base/sys $base/dev $base/mnt $root
	furnish_dev
	hostname localhost
	ip link set lo up
	n=0
	until port=$(grep -lx hoopy /sys/class/virtio-ports/*/name); do
		[ $((n += 1)) -lt 100 ] || die "the port to the host is not there"
		sleep 0.1
	done
	port=${port%/name}
	port=/dev/${port##*/}
	umask 0
}

# What scripts find in /dev, made once and copied for each: starting a program is dear where it is emulated. With it
# the shell that starts the script, since the image may have none.
furnish_dev() {
	mkdir -p $dev/pts $dev/shm $dev/.hoopy/.tools && cd $dev && chmod 1777 shm || die "cannot make /dev"
	mknod -m 666 null c 1 3 && mknod -m 666 zero c 1 5 && mknod -m 666 full c 1 7 &&
		mknod -m 666 random c 1 8 && mknod -m 666 urandom c 1 9 && mknod -m 666 tty c 5 0 ||
		die "cannot make devices"
	ln -s /proc/self/fd fd
	ln -s /proc/self/fd/0 stdin
	ln -s /proc/self/fd/1 stdout
	ln -s /proc/self/fd/2 stderr
	ln -s pts/ptmx ptmx
	cp /bin/busybox .hoopy/.tools/busybox && cp /lib/ld-musl-*.so.1 .hoopy/.tools/ld || die "cannot place the tools"
	cd /
}

# Only for scripts that may have it: a card is there only then
connect() {
	ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0 && ip route add default via 10.0.2.2 ||
		die "no network"
	echo nameserver 10.0.2.3 >/guest/resolv.conf
}

# The resolver's configuration for as long as a script runs: a directory on top of the layers, so that what the script
# makes of it is a change like any other. A time that no clock gives tells whether it was left alone
# (sandbox/helper/resolver.rs).
lend() {
	rm -rf $lent
	[ "$network" = yes ] && [ ! -L $tree/etc ] && { [ -d $tree/etc ] || [ ! -e $tree/etc ]; } || return 0
	mkdir -p -m 755 $lent/etc && cp /guest/resolv.conf $lent/etc && chmod 644 $lent/etc/resolv.conf &&
		touch -d @1 $lent/etc/resolv.conf || die "cannot lend /etc/resolv.conf"
	[ ! -d $tree/etc ] || { chown $(stat -c %u:%g $tree/etc) $lent/etc && chmod $(stat -c %a $tree/etc) $lent/etc; } ||
		die "cannot lend /etc/resolv.conf"
}

take_back() {
	[ "$(stat -c '%F %Y' $upper/etc/resolv.conf 2>/dev/null)" != "regular file 1" ] || rm $upper/etc/resolv.conf
}

unpack() {
	cd "$1" && cpio -idmu --quiet <&3 || die "cannot unpack into $1"
	cd /
}

receive() {
	rm -rf $job $mnt
	mkdir -m 755 $job $mnt
	unpack $job
	. $job/vars
	if [ -s $job/remove ]; then
		cd $tree && xargs -0 rm -rf -- <$job/remove || die "cannot remove what is gone"
	fi
	n=0
	while [ $((n += 1)) -le "$1" ]; do unpack $tree; done
	[ "$bind" = no ] || unpack $mnt
	[ "$network" = no ] || [ -e /guest/resolv.conf ] || connect
}

run() {
	mkdir -m 755 $upper /guest/overlay $result
	lend
	[ -d $lent ] && top=$lent: || top=
	mount -t overlay -o "lowerdir=$top$tree:$base,upperdir=$upper,workdir=/guest/overlay$off" overlay $root ||
		die "cannot mount the layers"
	[ "$network" = no ] && apart=-n || apart=
	{
		unshare -m -p -i -u $apart -f /bin/sh /inside.sh 3>&-
		echo $? >$result/status
	} </dev/null 2>&1 | tail -c 1048576 >$result/output
	umount $root || die "cannot unmount the layers"
	take_back
}

# Which directories of $upper do not hide what is below them. Nothing here shows the attribute that says so, but an
# overlay obeys it: a name laid below each directory shows through those only.
merged() {
	mkdir -p /guest/probe
	(cd $upper && find . -mindepth 1 -type d) | sed "s|\$|/$seen|" | tr '\n' '\0' >/guest/names
	cd /guest/probe && xargs -0 mkdir -p -- ./ </guest/names || die "cannot make marks"
	mount -t overlay -o "lowerdir=$upper:/guest/probe,ro$off" overlay $root || die "cannot mount the changes"
	(cd $root && find . -mindepth 1 -type d -name $seen) >$result/merged
	cd /
	umount $root || die "cannot unmount the changes"
}

answer() {
	: >$result/merged
	read -r status <$result/status || die "the script's end got lost"
	[ "$status" != 0 ] || merged
	cd $result && printf '%s\n' status output merged | cpio -o -H newc --quiet >&3 || die "cannot answer"
	if [ "$status" = 0 ]; then
		set -o pipefail
		cd $upper && find . -mindepth 1 -print0 | cpio -0 -o -H newc --quiet >&3 || die "cannot answer"
		set +o pipefail
	fi
	cd /
	echo end >&3
	rm -rf $upper /guest/overlay /guest/probe $result
}

off=,redirect_dir=off,metacopy=off,index=off,xino=off
furnish
exec 3<>$port || die "cannot open $port"
beat 3>&- &
echo ready >&3
while read -r word layers <&3; do
	[ "$word" = job ] || die "no job: $word"
	receive "$layers"
	run
	answer
done
die "the host is gone"
