#!/bin/sh
rc-update -q add dropbear default
echo root:hoopy | chpasswd
echo 'ann:$6$salt$hash' | chpasswd -e
echo 'bob:*' | chpasswd -e
passwd -l nobody
