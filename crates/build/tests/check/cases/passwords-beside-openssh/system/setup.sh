#!/bin/sh
rc-update -q add sshd default
echo root:hoopy | chpasswd
echo ann:hoopy | chpasswd
