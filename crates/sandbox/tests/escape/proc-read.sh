#!/bin/sh
# Reads what in /proc tells about the machine, its keys and its memory.
#
# must get: nothing to read
for file in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/kmsg /proc/kallsyms /proc/kpagecount \
	/proc/latency_stats /proc/interrupts /proc/slabinfo /proc/vmallocinfo; do
	case $file in
	# Addresses show as 0 to whoever may not see them
	*/kallsyms) read=$(busybox head -n 200 $file 2>/dev/null | grep -v '^0* ') ;;
	*) read=$(busybox timeout 1 busybox head -c 64 $file 2>/dev/null | busybox od -c | grep -c .) ;;
	esac
	case $read in '' | 0 | 1) ;; *) echo "ESCAPED: $file can be read"; found=1 ;; esac
done
for dir in /proc/acpi /proc/scsi /proc/asound /sys/firmware /sys/devices/virtual/powercap; do
	[ -z "$(ls $dir 2>/dev/null)" ] || { echo "ESCAPED: $dir can be listed"; found=1; }
done
[ -n "$found" ] || echo nothing to read
