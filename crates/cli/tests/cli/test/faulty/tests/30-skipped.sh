echo "no sound card here"
exit 77
