# A new machine with two empty disks gets an array, and a share on it.
set -eu
key=$PWD/key
. ./lib

# Nothing is made of disks by itself.
/etc/hoopy/unlock.d/array </dev/null 2>&1 | grep 'nas-array create makes one'
fails /etc/hoopy/unlock.d/array --status
# The image that names the disks comes before the array (README, step 5): it is not at fault.
/etc/hoopy/health.d/array | grep 'not made yet'

nas-array create <"$key"
nas-array status | grep complete
/etc/hoopy/health.d/array
all_is_there_twice

# A file that is written through the share belongs to its owner.
login
echo "written through the share" >/tmp/letter
head -c 20000000 /dev/urandom >/tmp/large
share put /tmp/letter /tmp/large
ls -l /srv/share
sha256sum </tmp/large >/srv/backups/large.sha256
[ "$(stat -c %U /srv/share/letter)" = share ]

# The same over SMB, with a password, and with no other.
login_over_smb
smb_answers
echo "written over SMB" >/tmp/smb-letter
smb share 'put /tmp/smb-letter smb-letter; put /tmp/large smb-large'
[ "$(stat -c %U:%a /srv/share/smb-letter)" = share:644 ]
cmp /tmp/large /srv/share/smb-large
rm /srv/share/smb-large
smbclient -A /tmp/smb -t 60 -L 127.0.0.1 | grep snapshots
fails smb backups ls
sed 's/^password.*/&x/' /tmp/smb >/tmp/wrong-smb
fails smbclient -A /tmp/wrong-smb //127.0.0.1/share -c ls
fails smbclient -N //127.0.0.1/share -c ls

# The owner of the share gets files, and no shell.
fails ssh $options share@127.0.0.1 true
fails share get /backups/large.sha256

# What is changed after a snapshot is in it as it was.
/etc/periodic/daily/snapshot
echo "changed since" >/srv/share/letter
sync
