# After a reboot the array is locked, and with its key everything is there again.
set -eu
key=$PWD/key
. ./lib
fails mountpoint -q /srv
nas-array status | grep 'locked, disks: array-a array-b'
[ -z "$(ls /srv)" ]
login_over_smb
fails smb share ls
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
smb_answers
smb share 'get smb-letter /tmp/got/smb-letter'
[ "$(cat /tmp/got/smb-letter)" = "written over SMB" ]
smb snapshots "get $(ls /srv/snapshots)/smb-letter /tmp/got/smb-letter"
[ "$(cat /tmp/got/smb-letter)" = "written over SMB" ]
# A file that was changed since has a previous version.
smb share 'allinfo letter' | grep "@GMT-$(ls /srv/snapshots | tr - .)"
/etc/periodic/weekly/scrub

# A disk dies.
nas-array close
dies array-b
