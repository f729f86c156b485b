#!/bin/sh
# rc-update -q add dropbear default
echo root:hoopy | chpasswd
