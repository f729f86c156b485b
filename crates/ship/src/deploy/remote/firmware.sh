# Tells what the firmware has of Secure Boot and, where LOG is set, what it measured before the kernel: in hexadecimal.

load_drivers
hex() { od -An -v -tx1 | tr -d ' \n'; }
[ "$(id -u)" = 0 ] || no user "$(id -un)"
GLOBAL=8be4df61-93ca-11d2-aa0d-00e098032b8c
SECURITY=d719b2cb-3d3a-4596-a3bc-dad00e67656f
[ -r $VARIABLES/SetupMode-$GLOBAL ] || no firmware ""
for variable in SecureBoot-$GLOBAL SetupMode-$GLOBAL PK-$GLOBAL KEK-$GLOBAL db-$SECURITY dbx-$SECURITY; do
	[ -r $VARIABLES/$variable ] || continue
	printf '%s ' "${variable%%-*}"
	tail -c +5 $VARIABLES/$variable | head -c 1048576 | hex
	echo
done
if [ -n "$LOG" ]; then
	modprobe -q -a tpm_crb tpm_tis 2>/dev/null
	dir=/sys/kernel/security
	[ ! -d $dir ] || mountpoint -q $dir || mount -t securityfs -o nosuid,nodev,noexec securityfs $dir 2>/dev/null
	log=$dir/tpm0/binary_bios_measurements
	if [ -r $log ]; then
		printf 'log '
		# One byte more than is taken.
		head -c 1048577 $log | hex
		echo
	fi
fi
echo "done"
