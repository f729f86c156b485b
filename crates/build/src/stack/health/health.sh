#!/bin/sh
# Made by hoopy: waits until the runlevel is complete, checks it, runs /etc/hoopy/health.d, and marks the image as
# good. /etc/conf.d/hoopy-health may set HEALTH_TIMEOUT (seconds for each script) and HEALTH_SETTLE (seconds for
# services to crash in).

HEALTH_TIMEOUT=60 HEALTH_SETTLE=5
[ ! -r /etc/conf.d/hoopy-health ] || . /etc/conf.d/hoopy-health
. /usr/libexec/hoopy/common.sh
. /usr/libexec/hoopy/panic.sh

LOG=$RUN/health.log
: >$LOG

# Whether a service waits for secrets, and they for the owner: OpenRC starts it when they are there.
waits_for_owner() {
	[ -e "$SERVICES/inactive/hoopy-secrets" ] || return 1
	for waiting in "$SERVICES"/scheduled/*/"$1"; do
		[ ! -L "$waiting" ] || return 0
	done
	return 1
}

# What is wrong with the services of the runlevels that led here, one a line.
services() {
	for level in sysinit boot "$(rc-status -r)"; do
		for link in /etc/runlevels/"$level"/*; do
			name=${link##*/}
			[ -e "$link" ] && [ "$name" != hoopy-health ] || continue
			if [ -e "$SERVICES/started/$name" ]; then
				rc-service -q "$name" status >/dev/null 2>&1
				[ $? != 32 ] || echo "service $name crashed"
			elif [ ! -e "$SERVICES/inactive/$name" ] && ! waits_for_owner "$name"; then
				echo "service $name is not started"
			fi
		done
	done
}

# The first check of /etc/hoopy/health.d that fails.
checks() {
	for check in /etc/hoopy/health.d/*; do
		[ -f "$check" ] || continue
		name=${check##*/}
		[ -x "$check" ] || { say "health.d/$name is not executable: skipped"; continue; }
		echo "--- $name" >>$LOG
		timeout -k 5 "$HEALTH_TIMEOUT" "$check" >>$LOG 2>&1 </dev/null
		status=$?
		case $status in
		0) ;;
		124 | 137 | 143) echo "health.d/$name did not end within $HEALTH_TIMEOUT s"; return ;;
		*) echo "health.d/$name failed with $status"; return ;;
		esac
	done
}

# The image is good. Where it is of a later epoch than its predecessors, the TPM opens secrets for none of them from now on.
shut_out() {
	[ -e $RUN/identity.next ] || return 0
	echo "--- hoopyd raise" >>$LOG
	said=$(timeout -k 5 "$HEALTH_TIMEOUT" unshare -m /usr/libexec/hoopy/hoopyd raise 2>&1) || said="images of earlier epochs are not shut out: $said"
	echo "$said" >>$LOG
	say "$said"
}

tell waiting nothing
while [ -e "$SERVICES/rc.starting" ]; do sleep 1; done
sleep "$HEALTH_SETTLE"
tell checking nothing

# A stick may take its time. Where the loader counts nothing, there is nothing to wait for.
load_drivers
tries=0
until find_slot; do
	[ $tries -lt 15 ] && expects_slot || break
	[ $tries != 2 ] || find /sys/devices -name modalias -type f -exec sort -u {} + | xargs modprobe -q -b -a 2>/dev/null
	tries=$((tries + 1))
	sleep 2
done
tell checking nothing
[ -z "$DEVICE" ] || take_panic

# The runlevel is complete: what starts now waited for the owner, who has just unlocked the machine.
tries=0
while [ $tries -lt "$HEALTH_TIMEOUT" ] && [ -n "$(ls "$SERVICES/starting")" ]; do
	tries=$((tries + 1))
	sleep 1
done

wrong=$(services | tee -a $LOG | head -n 1)
[ -n "$wrong" ] || wrong=$(checks)
if [ -z "$SLOT" ] && [ -n "$(variable LoaderBootCountPath)" ]; then
	# On trial, with nothing to write to: it would be given up later, for no reason that anybody could see.
	COUNTED=yes LEFT=unknown wrong=${wrong:-the partition that it was started from was not found}
fi
if [ -n "$wrong" ]; then
	fail "$wrong" $LOG
elif [ $COUNTED = no ]; then
	[ -z "$UNMARKED" ] || bless
	shut_out
	tell good nothing
elif grep -qw hoopy.kexec /proc/cmdline; then
	# Whether the firmware can start it, nobody knows yet: its next boot is the one that counts.
	tell good nothing
	say "$IMAGE is well, and on trial until the firmware has started it"
elif bless; then
	SLOT=$(slot_good "$SLOT") COUNTED=no
	shut_out
	tell good blessed
	say "$IMAGE is good"
else
	fail "$SLOT could not be renamed" $LOG
fi
