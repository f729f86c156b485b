#!/bin/sh
# Makes the host's hoopy a setuid program, by way of the file that PID 1 runs.
#
# must get: chmod: /proc/1/exe: Permission denied | chmod: /proc/1/exe: Operation not permitted
chmod 4777 /proc/1/exe 2>&1 && echo "ESCAPED: the helper has another mode"
[ ! -r /proc/1/exe ] || echo "ESCAPED: the helper can be read"
true
