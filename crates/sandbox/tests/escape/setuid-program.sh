#!/bin/sh
# Gets rights by a setuid program, as a user who has none.
#
# must get: as user 1 in full
cp /bin/busybox /tmp/busybox
chmod 4755 /tmp/busybox
echo 'user:x:1:1::/:/bin/sh' >>/etc/passwd
busybox su user -c 'id -u; exec /tmp/busybox id -u' 2>&1 | busybox tr '\n' ' ' | grep -q '^1 1 $' && echo as user 1 in full
true
