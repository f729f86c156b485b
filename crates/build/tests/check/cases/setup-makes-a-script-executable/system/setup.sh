#!/bin/sh
chmod +x /etc/local.d/a.start
chmod 755 /usr/local/bin/*
