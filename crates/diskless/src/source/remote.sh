# What a running Alpine Linux has that its packages do not. Writes nothing.
command -v apk >/dev/null || { echo "no apk: $(uname -s -r)"; exit 0; }
LC_ALL=C
export LC_ALL
cd /
echo hoopy-import=1
echo "user=$(id -u)"
echo "kernel=$(uname -r)"
echo "release=$(cat etc/alpine-release 2>/dev/null)"
echo "host=$(hostname)"
echo "cmdline=$(head -n 1 proc/cmdline)"
echo
{
	apk audit --backup --quiet --recursive --check-permissions 2>/dev/null ||
		apk audit --backup --quiet --recursive 2>/dev/null
	for dir in root usr/local opt; do
		[ ! -d "$dir" ] || find "$dir" -xdev ! -type s
	done
	for file in etc/apk/world etc/apk/repositories etc/apk/arch lib/apk/db/installed usr/lib/apk/db/installed; do
		[ ! -f "$file" ] || echo "$file"
	done
	find etc/runlevels etc/passwd etc/group etc/shadow
} | sort -u | tar -c -z --no-recursion -T - 2>/dev/null
