#!/bin/sh
# What every disk says of its health, without waking one.
smartctl --scan | while read -r disk _; do
	health=$(smartctl -n standby -H "$disk" | sed -n 's/^SMART.*: //p')
	echo "$disk  ${health:-asleep, or unknown}"
done
