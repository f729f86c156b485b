#!/bin/sh
rc-update -q add sshd default
echo ann:hoopy | chpasswd
