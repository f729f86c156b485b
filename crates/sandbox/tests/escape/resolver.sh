#!/bin/sh
# Writes the resolver's configuration of the host.
#
# network: yes
# must get: the image has its own
echo "nameserver 192.0.2.66" >/etc/resolv.conf
chmod 600 /etc/resolv.conf
echo "192.0.2.66 mirror" >>/etc/hosts
rm /etc/resolv.conf
ln -s ../tmp/resolv.conf /etc/resolv.conf
echo the image has its own
