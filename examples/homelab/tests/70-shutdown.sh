#!/bin/sh
# At the last shutdown the services stopped one after the other, the last one first.
set -eu
if [ "$HOOPY_BOOT" = 1 ]; then
	echo 'there was no shutdown yet'
	exit 77
fi
cat /array/log/shutdown
sed -n 's|^ok: down: \([a-z/]*\):.*|\1|p' /array/log/shutdown | sed 's|.*/||' >/tmp/stopped
tac /etc/homelab/services | sed -e 's/#.*//' -e '/^$/d' | cmp - /tmp/stopped
