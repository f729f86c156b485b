# Reboots a machine with two directories: into the image IMAGE, where that waits for its one try.

TRYBOOT=/usr/libexec/hoopy/tryboot
open_esp rw
slot=$(pair_other "$(pair_started)")
if [ "$(pair_image "$slot")" = "$IMAGE" ] && [ ! -e "$AT/$slot/good" ]; then
	loader=$(pair_loader)
	[ $loader != pi ] || [ -x $TRYBOOT ] || no write "the flag of the firmware: the image that runs has no $TRYBOOT"
	pair_try "$slot" 2>/dev/null || no write "$slot/tried, or what asks the boot loader for a trial: is the partition full?"
	close_esp
else
	close_esp
	loader=
fi
if [ "$loader" = pi ]; then
	reboot_by hoopy-tryboot --reboot "Start the image on trial" $TRYBOOT
else
	reboot_soon
fi
echo "done"
