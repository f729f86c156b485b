# Exit status 0 is good, 77 means that nothing was found out; what is said is shown where a test fails.
set -eu

# Somebody who connects is greeted by the SSH server.
ip link set lo up
greeting=$(sleep 2 | nc -w 5 127.0.0.1 22 | head -n 1)
echo "port 22 says: $greeting"
case $greeting in
SSH-2.0-*) ;;
*) exit 1 ;;
esac

# It takes keys alone.
sshd -T | grep -x 'passwordauthentication no'
sshd -T | grep -x 'permitrootlogin without-password'

# The machine's page answers, and shows what monitor.d says. A script that takes more than ten seconds is ended, as it may be on a busy
# computer that emulates this machine.
for _ in $(seq 15); do
	wget -q -O - http://127.0.0.1:8080/ | grep '^nas-' && exit
done
exit 1
