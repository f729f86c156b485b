# Gives the bytes that WANTED asks for, a line each: file, tab, offset, tab, size. They follow the line `bytes`.

open_esp ro
echo "bytes"
tab=$(printf '\t')
printf '%s\n' "$WANTED" | while IFS=$tab read -r file offset size; do
	[ -z "$file" ] || range "$AT/$file" "$offset" "$size" </dev/null || exit 1
done || exit 1
