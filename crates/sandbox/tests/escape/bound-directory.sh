#!/bin/sh
# Changes the system directory that is lent at /mnt, and looks behind what is hidden of it.
#
# bind: yes
# must get: /mnt is as it was
for try in "touch /mnt/new" "chmod 777 /mnt/lent" "rm /mnt/lent" "ln /mnt/lent /tmp/linked" "mv /mnt/lent /tmp/moved" \
	"busybox mount -o remount,rw /mnt" "busybox umount /mnt/hidden"; do
	if $try 2>/dev/null; then echo "ESCAPED: $try"; found=1; fi
done
[ -z "$(ls /mnt/hidden)" ] || { echo "ESCAPED: $(cat /mnt/hidden/*)"; found=1; }
cat /mnt/../secret /mnt/lent/../../secret 2>/dev/null && { echo "ESCAPED: it is read by .."; found=1; }
[ -n "$found" ] || echo "/mnt is as it was"
