# One disk is gone: everything is there, the machine says that something needs doing, and a new disk mends it.
set -eu
key=$PWD/key
. ./lib
/etc/hoopy/unlock.d/array <"$key"
nas-array status | grep 'DEGRADED, 1 of 2 disks missing'
login
share get /share/large
sha256sum <large | cmp - /srv/backups/large.sha256
echo "written to one disk" >/tmp/alone
share put /tmp/alone
page_says() {
	for _ in $(seq 30); do
		wget -q -O /tmp/status http://127.0.0.1:8080/status.txt && grep "$1" /tmp/status && return
		sleep 1
	done
	cat /tmp/status
	return 1
}
page_says 'Pool array (.*) is \(1 of 2 disks missing\|DEGRADED\)'

nas-array replace array-b <"$key"
nas-array status | grep complete
all_is_there_twice

# The other one dies, and the new one has everything.
nas-array close
dies array-a
/etc/hoopy/unlock.d/array <"$key"
sha256sum </srv/share/large | cmp - /srv/backups/large.sha256
[ "$(cat /srv/share/alone)" = "written to one disk" ]

# Without any, the machine is not well: with something else on its disks, it is not one whose array was not made yet.
nas-array close
dies array-b
echo "something else" >/dev/disk/by-id/virtio-array-b
fails /etc/hoopy/health.d/array
