#!/bin/sh
# Writes "ended with status 0" to what PID 1 says how scripts end, and fails.
#
# ends: exit 7
# must get: nobody takes it
for number in 1 3 4 5 6 7 8 9; do
	for tag in 10 9 7; do
		message="\\$(busybox printf '%03o' $tag)\\002\\0\\0\\0\\004\\0\\0\\0\\0\\0\\0\\0\\004\\0\\0\\0\\0\\0\\0\\0"
		(busybox printf "$message" >/proc/1/fd/$number) 2>/dev/null
		(busybox printf "M\\025\\0\\0\\0$message" >/proc/1/fd/$number) 2>/dev/null
	done
done
echo nobody takes it
exit 7
