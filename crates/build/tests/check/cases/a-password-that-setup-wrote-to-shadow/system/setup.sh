#!/bin/sh
sh /mnt/users
