# Reboots the card's machine: into the image IMAGE, where that waits for its one try.

TRYBOOT=/usr/libexec/hoopy/tryboot
open_esp rw
slot=$(pi_other "$(pi_slot_of config.txt)")
if [ "$(pi_image "$slot")" = "$IMAGE" ] && [ ! -e "$AT/$slot/good" ]; then
	[ -x $TRYBOOT ] || no write "the flag of the firmware: the image that runs has no $TRYBOOT"
	pi_try "$slot" 2>/dev/null || no write "$slot/tried: is the card full?"
	close_esp
	reboot_by hoopy-tryboot --reboot "Start the image on trial" $TRYBOOT
else
	close_esp
	reboot_soon
fi
echo "done"
