#!/bin/sh
# Changes the mode, owner and time of the host's device nodes.
#
# must get: 6 devices are as they were
for name in null zero full random urandom tty; do
	chmod 600 /dev/$name 2>/dev/null && echo "ESCAPED: chmod of /dev/$name"
	chown 1:1 /dev/$name 2>/dev/null && echo "ESCAPED: chown of /dev/$name"
	touch -d @1 /dev/$name 2>/dev/null && echo "ESCAPED: touch of /dev/$name"
	n=$((n + 1))
done
echo "$n devices are as they were"
