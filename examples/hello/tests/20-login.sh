# Somebody who connects is greeted by an SSH server.
set -eu
ip link set lo up
greeting=$(sleep 2 | nc -w 5 127.0.0.1 22 | head -n 1)
echo "port 22 says: $greeting"
case $greeting in
SSH-2.0-*) ;;
*) exit 1 ;;
esac
