# For kexec.sh and tryboot.sh: something that the machine does last of all in this one shutdown.

# Has the machine shut down, and at its end run the program $4 with arguments. $1 names the service, $2 is the option of
# `hoopy deploy` that wants it, $3 describes it. The root filesystem is in memory: none of this outlives the shutdown.
reboot_by() {
	cat >"/etc/init.d/$1" <<END
#!/sbin/openrc-run
# Made by \`hoopy deploy $2\` for this one shutdown. Where it fails, the machine reboots through its firmware.
description="$3"

depend() {
	after killprocs savecache mount-ro
}

start() {
	sync
	while read -r device point rest; do
		case \$device in
		/dev/*) umount "\$point" 2>/dev/null || mount -o remount,ro "\$point" 2>/dev/null ;;
		esac
	done </proc/mounts
	$4
}
END
	chmod 755 "/etc/init.d/$1"
	ln -sf "/etc/init.d/$1" "/etc/runlevels/shutdown/$1"
	rc-update -u >/dev/null 2>&1
	reboot_soon
}

# The answer goes home first.
reboot_soon() {
	nohup sh -c 'sleep 1; reboot' >/dev/null 2>&1 </dev/null &
}
