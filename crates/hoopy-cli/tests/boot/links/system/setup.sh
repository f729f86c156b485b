#!/bin/sh
echo root:links | chpasswd
