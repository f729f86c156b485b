# The machine is the same one after a reboot: its SSH host key, and the seed of its random numbers.
set -eu
grep ' /var/lib/hostkeys ' /proc/mounts
print=$(ssh-keygen -lf /var/lib/hostkeys/ssh_host_ed25519_key.pub)
echo "boot $HOOPY_BOOT: $print"
if [ "$HOOPY_BOOT" = 1 ]; then
	echo "$print" >/persist/fingerprint
else
	[ "$print" = "$(cat /persist/fingerprint)" ]
fi
ls -l /var/lib/seedrng
