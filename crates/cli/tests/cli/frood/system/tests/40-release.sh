# The script of local.d has read the file that names the image.
grep -q "^image: zaphod-" /run/hello
towel | grep -q "always know"
ip -4 addr show eth1 | grep -q "inet 10\."
