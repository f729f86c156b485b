#!/bin/sh
# Never ends, and writes all the time.
#
# limits: time=2
# ends: the time limit of 2 s
busybox yes
