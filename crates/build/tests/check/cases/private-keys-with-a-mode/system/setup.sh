#!/bin/sh
chmod 600 /etc/ssh/c_key
