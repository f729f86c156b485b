#!/bin/sh
# What tests find.
echo "I am $(id -un) in $(pwd) with $(cat page.txt)"
[ "$HOOPY_BOOT" = 1 ] && [ ! -e /.hoopy ] && ! env | grep ^hoopy=
