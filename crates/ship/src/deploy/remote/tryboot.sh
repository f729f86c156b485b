# Reboots the card's machine: into the image IMAGE, where that waits for its one try.

TRYBOOT=/usr/libexec/hoopy/tryboot
open_esp rw
slot=$(pi_other "$(pi_slot_of config.txt)")
if [ "$(pi_image "$slot")" = "$IMAGE" ] && [ ! -e "$AT/$slot/good" ]; then
	[ -x $TRYBOOT ] || no write "the flag of the firmware: the image that runs has no $TRYBOOT"
	pi_try "$slot" 2>/dev/null || no write "$slot/tried: is the card full?"
	# The root filesystem is in memory: none of this outlives the shutdown.
	cat >/etc/init.d/hoopy-tryboot <<END
#!/sbin/openrc-run
# Made by \`hoopy deploy --reboot\` for this one shutdown. Where it fails, the image that was started before starts again.
description="Start the image on trial"

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
	$TRYBOOT
}
END
	chmod 755 /etc/init.d/hoopy-tryboot
	ln -sf /etc/init.d/hoopy-tryboot /etc/runlevels/shutdown/hoopy-tryboot
	rc-update -u >/dev/null 2>&1
fi
close_esp
nohup sh -c 'sleep 1; reboot' >/dev/null 2>&1 </dev/null &
echo "done"
