#!/bin/sh
# Opens every sysctl for writing, kernel.core_pattern among them, which runs a program as the host's root.
# Nothing is written.
#
# must get: no sysctl opens for writing
for file in $(busybox find /proc/sys -type f 2>/dev/null); do
	if (: >>"$file") 2>/dev/null; then echo "ESCAPED: $file opens for writing"; found=1; fi
done
[ -n "$found" ] || echo no sysctl opens for writing
