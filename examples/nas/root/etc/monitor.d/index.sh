#!/bin/sh
# Part of the machine's page, and all of it for `curl`.
. /etc/hoopy-release
echo "$IMAGE"
uptime
echo
/usr/local/sbin/nas-array status
df -hP /persist /srv | sort -u
echo
/etc/monitor.d/disks.sh
echo
rc-status --crashed
chronyc -n tracking | sed -n 's/^System time *: /clock  /p'
