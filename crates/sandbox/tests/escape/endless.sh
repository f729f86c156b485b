#!/bin/sh
# Never ends.
#
# limits: time=2
# ends: the time limit of 2 s
while true; do :; done
