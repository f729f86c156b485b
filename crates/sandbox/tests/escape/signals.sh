#!/bin/sh
# Kills and stops PID 1, so that nobody is left to see what the script does.
#
# ends: exit 7
# must get: PID 1 is there
kill -9 1 2>/dev/null
kill -STOP 1 2>/dev/null
kill -TERM 1 2>/dev/null
[ -d /proc/1 ] && echo PID 1 is there
exit 7
