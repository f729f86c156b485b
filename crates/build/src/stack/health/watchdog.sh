#!/bin/sh
# Made by hoopy: feeds the hardware watchdog while programs can be started, and gives up an image on trial that is
# not up in time. /etc/conf.d/hoopy-watchdog may set BOOT_LIMIT (seconds from the kernel's start to a verdict, 0 for
# any) and WATCHDOG_DEV (empty for none).

BOOT_LIMIT=600 WATCHDOG_DEV=/dev/watchdog
[ ! -r /etc/conf.d/hoopy-watchdog ] || . /etc/conf.d/hoopy-watchdog
. /usr/libexec/hoopy/common.sh
. /usr/libexec/hoopy/panic.sh

listen_for_panics

# `V` before the end disarms the device (Documentation/watchdog/watchdog-api.rst). Not when the machine goes down: a
# shutdown that hangs is caught too.
leave() {
	[ -e "$SERVICES/rc.stopping" ] || [ -z "$fed" ] || printf V >&3
	exit 0
}

fed=
if [ -n "$WATCHDOG_DEV" ] && [ -c "$WATCHDOG_DEV" ] && ! ls /etc/runlevels/*/watchdog >/dev/null 2>&1; then
	# Opening arms it, so it is opened once; without `command`, a failure would end the shell.
	command exec 3>"$WATCHDOG_DEV" && fed=$WATCHDOG_DEV
fi
trap leave TERM
echo "${fed:-none}" >$RUN/watchdog

while :; do
	[ -z "$fed" ] || printf . >&3
	if [ "$BOOT_LIMIT" != 0 ] && [ "$(seconds)" -ge "$BOOT_LIMIT" ]; then
		BOOT_LIMIT=0
		if ! grep -qsE '^STATE=(good|failed)' $RUN/health; then
			find_slot
			late=$(ls "$SERVICES/starting" 2>/dev/null | tr '\n' ' ')
			fail "no verdict within $(seconds) s${late:+, while starting $late}" $RUN/health.log
		fi
	fi
	sleep 5 3>&- &
	wait $!
done
