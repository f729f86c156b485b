# Run by init.sh as PID 1 of the script's namespaces: furnishes its root as the sandbox does (sandbox/helper/world.rs)
# and starts it. All is mounted in a namespace of its own, so none of it shows in what changed.

root=/work/root
. /work/job/vars

fail() {
	echo "hoopy: $*"
	exit 125
}

at() {
	[ -d $root/$1 ] && [ ! -L $root/$1 ] || fail "cannot mount on /$1: in the image it is no directory"
}

furnish_dev() {
	mount -t tmpfs -o mode=0755,size=64m,nosuid dev $root/dev && cd $root/dev || fail "cannot mount /dev"
	mknod -m 666 null c 1 3 && mknod -m 666 zero c 1 5 && mknod -m 666 full c 1 7 &&
		mknod -m 666 random c 1 8 && mknod -m 666 urandom c 1 9 && mknod -m 666 tty c 5 0 ||
		fail "cannot make devices"
	ln -s /proc/self/fd fd
	ln -s /proc/self/fd/0 stdin
	ln -s /proc/self/fd/1 stdout
	ln -s /proc/self/fd/2 stderr
	ln -s pts/ptmx ptmx
	mkdir pts shm .hoopy
	chmod 1777 shm
	mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,nosuid,noexec devpts pts
}

# The shell that enters the working directory and puts the environment together: the image may have none.
furnish_tools() {
	mkdir .tools && cp /bin/busybox .tools/busybox && cp /lib/ld-musl-*.so.1 .tools/ld &&
		cp /work/job/start .tools/start || fail "cannot place the tools"
}

place() {
	cp /work/job/script ".hoopy/$name" && chmod 755 ".hoopy/$name" || fail "cannot place the script"
	program="/dev/.hoopy/$name"
	[ "$bind" = yes ] || return 0
	mount -o bind /work/mnt $root/mnt && mount -o remount,bind,ro,nosuid,nodev $root/mnt ||
		fail "cannot mount /mnt"
	if [ -f "$root/mnt/$name" ] && [ ! -L "$root/mnt/$name" ]; then
		mount -o bind ".hoopy/$name" "$root/mnt/$name" || fail "cannot place the script in /mnt"
		program="/mnt/$name"
	fi
}

umask 022
ip link set lo up
for dir in proc sys dev mnt; do at $dir; done
mount -t proc -o nosuid,nodev,noexec proc $root/proc || fail "cannot mount /proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs $root/sys || fail "cannot mount /sys"
furnish_dev
furnish_tools
place
if [ "$network" = yes ] && [ -f $root/etc/resolv.conf ] && [ ! -L $root/etc/resolv.conf ]; then
	mount -o bind /work/resolv.conf $root/etc/resolv.conf || fail "cannot lend /etc/resolv.conf"
fi
cd /
ulimit -c 0
# Not exec: when this shell ends, whatever the script left running ends with it
setpriv --nnp chroot $root /dev/.tools/ld /dev/.tools/busybox sh /dev/.tools/start "$program"
