#!/bin/sh
test -e /media/usb/persist || logger "the stick is gone"
