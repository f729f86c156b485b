set -x
test "$HOOPY_BOOT" = 2
test "$(cat /srv/kept)" = kept || exit 1
test ! -e /root/lost
