# After a reboot the array is locked, and with its key everything is there again.
set -eu
key=$PWD/key
. ./lib
fails mountpoint -q /srv
nas-array status | grep 'locked, disks: array-a array-b'
[ -z "$(ls /srv)" ]

# Another key opens nothing, and leaves nothing open.
head -c 32 /dev/zero | tr '\0' x >/tmp/wrong
fails /etc/hoopy/unlock.d/array </tmp/wrong
is_locked

/etc/hoopy/unlock.d/array <"$key"
/etc/hoopy/unlock.d/array --status
login
share get /share/letter /share/large
[ "$(cat letter)" = "changed since" ]
sha256sum <large | cmp - /srv/backups/large.sha256
share get "/snapshots/*/letter"
[ "$(cat letter)" = "written through the share" ]
fails touch /srv/snapshots/*/letter
/etc/periodic/weekly/scrub

# A disk dies.
nas-array close
dies array-b
