# The system log: `log` and then its lines, or `none`. LINES and FOLLOW are set before; FOLLOW may be empty.
file=/var/log/messages
if [ -r $file ]; then
	echo log
elif logread >/dev/null 2>&1; then
	file=
	echo log
else
	echo none
	exit 0
fi
if [ -n "$FOLLOW" ]; then
	# What follows ends with the connection, which a file that nobody writes to would outlive.
	exec 3<&0
	(cat <&3; kill -9 $$) >/dev/null 2>&1 &
fi
if [ -n "$file" ]; then
	[ -z "$FOLLOW" ] || exec tail -n "${LINES:-10}" -F $file
	if [ -n "$LINES" ]; then exec tail -n "$LINES" $file; else exec cat $file; fi
fi
if [ -n "$FOLLOW$LINES" ]; then logread | tail -n "${LINES:-10}"; else logread; fi
[ -z "$FOLLOW" ] || exec logread -f
