# Gives the bytes that WANTED asks for, a line each: file, tab, offset, tab, size. They follow the line `bytes`.

open_esp ro
tab=$(printf '\t')
printf '%s\n' "$WANTED" >"$DIR/wanted"
while IFS=$tab read -r file _; do
	[ -z "$file" ] || has "$file"
done <"$DIR/wanted"
echo "bytes"
while IFS=$tab read -r file offset size; do
	[ -z "$file" ] || range "$AT/$file" "$offset" "$size" </dev/null || exit 1
done <"$DIR/wanted"
