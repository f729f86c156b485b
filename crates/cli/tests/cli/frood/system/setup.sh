#!/bin/sh
set -e

for service in devfs dmesg sysfs; do rc-update add $service sysinit; done
for service in modules sysctl hostname bootmisc networking seedrng; do rc-update add $service boot; done
for service in dropbear local; do rc-update add $service default; done
for service in killprocs mount-ro; do rc-update add $service shutdown; done

# The password is "towel".
chpasswd -e <<'EOF'
root:$5$zaphod$ugg2LlHaDN/uqf1aLc.jcFCLnHWwQG04eRdVZfRQcU2
EOF
