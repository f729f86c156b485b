echo "one & <two>"
echo three >&2
exit 3
