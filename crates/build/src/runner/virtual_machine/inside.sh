# Run by init.sh as PID 1 of the script's namespaces: furnishes its root as the sandbox does (sandbox/helper/world.rs)
# and starts it. All is mounted in a namespace of its own, so none of it shows in what changed.

root=/guest/root
pts=newinstance,ptmxmode=0666,mode=0620,nosuid,noexec
. /guest/job/vars

fail() {
	echo "hoopy: $*"
	exit 125
}

at() {
	[ -d $root/$1 ] && [ ! -L $root/$1 ] || fail "cannot mount on /$1: in the image it is not a directory"
}

furnish_dev() {
	mount -t tmpfs -o mode=0755,size=64m,nosuid dev $root/dev && cd $root/dev &&
		cp -a /guest/dev/. /guest/job/dev/. . && mount -t devpts -o "$pts" devpts pts || fail "cannot make /dev"
}

place() {
	program="/dev/.hoopy/$name"
	[ "$bind" = yes ] || return 0
	mount -o bind /guest/mnt $root/mnt && mount -o remount,bind,ro,nosuid,nodev $root/mnt ||
		fail "cannot mount /mnt"
	if [ -f "$root/mnt/$name" ] && [ ! -L "$root/mnt/$name" ]; then
		mount -o bind ".hoopy/$name" "$root/mnt/$name" || fail "cannot place the script in /mnt"
		program="/mnt/$name"
	fi
}

umask 022
[ "$network" = yes ] || ip link set lo up
for dir in proc sys dev mnt; do at $dir; done
mount -t proc -o nosuid,nodev,noexec proc $root/proc || fail "cannot mount /proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs $root/sys || fail "cannot mount /sys"
furnish_dev
place
cd /
ulimit -c 0
# Not exec: when this shell ends, whatever the script left running ends with it
setpriv --nnp chroot $root /dev/.hoopy/.tools/ld /dev/.hoopy/.tools/busybox sh /dev/.hoopy/.tools/start "$program"
