#!/bin/sh
# Opens for writing what in /proc acts on the whole machine.
#
# must get: nothing opens for writing
for file in /proc/sysrq-trigger /proc/irq/default_smp_affinity /proc/mtrr /proc/acpi/wakeup /proc/timer_stats \
	/proc/fs/xfs/stat /proc/scsi/scsi /proc/bus/pci/00/* /proc/latency_stats /proc/kpageflags; do
	[ -e "$file" ] || continue
	if (: >>"$file") 2>/dev/null && [ ! -c "$file" ]; then echo "ESCAPED: $file opens for writing"; found=1; fi
done
for file in $(busybox find /sys -type f 2>/dev/null | busybox head -n 200); do
	if (: >>"$file") 2>/dev/null; then echo "ESCAPED: $file opens for writing"; found=1; fi
done
[ -n "$found" ] || echo nothing opens for writing
