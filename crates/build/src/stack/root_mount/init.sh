#!/bin/sh
# The first program of the machine. The kernel's own root mount, where the initramfs was unpacked, is one that
# pivot_root(2) refuses, and with it podman, bubblewrap and every other program that gives a container a root of its
# own. So the root is mounted once more onto itself, that mount is moved over the first one, and init starts in it.
# Nothing is copied.
if mount -n -o bind / /usr/libexec/hoopy/root && cd /usr/libexec/hoopy/root && mount -n -o move . /; then
	exec chroot . /sbin/init "$@"
fi
echo "hoopy: the root stays a mount that containers cannot start on" >&2
cd /
exec /sbin/init "$@"
