# What the scripts of a deploy share, behind boot's machine.sh. They come over standard input and run in whatever sh
# the machine has: BusyBox's. They answer in lines on standard output, each of which begins with a word; the last line
# is `done`, or `error KIND WORDS`.
#
# ESP and GIVEN are set before: where the EFI system partition is, if that is known: a directory or a device.

umask 077
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
AT= POINT= WAS= MINE=
mkdir -p $RUN
DIR=$(mktemp -d /tmp/hoopy-deploy.XXXXXX) || { echo "error broken no temporary directory can be made in /tmp"; exit 1; }
ERR=$DIR/err
: >$ERR

# Says what is wrong, and ends; the trap puts everything back.
no() {
	echo "error $1 $(printf '%s' "$2" | tr '\n' ' ')"
	exit 1
}

leave() {
	trap '' EXIT HUP INT TERM PIPE
	close_esp
	rm -rf "$DIR"
}
trap leave EXIT
trap 'exit 1' HUP INT TERM PIPE

# The mount that $1 lies on, its type and its options.
point() {
	POINT=$(df -P "$1" 2>/dev/null | awk 'NR == 2 { print $6 }')
	[ -n "$POINT" ] || no esp "$1 is on no mounted filesystem"
	TYPE=$(awk -v p="$POINT" '$2 == p { t = $3 } END { print t }' /proc/mounts)
	OPTIONS=$(mount_options "$POINT")
}

writable() {
	point "$AT"
	case $OPTIONS in *,rw,*) return 0 ;; esac
	return 1
}

# The machine's own services take the partition for a moment, to mark an image as good: not while it is ours.
lock() {
	exec 9>$ESP_LOCK
	tries=0
	until flock -n 9; do
		tries=$((tries + 1))
		[ $tries -lt 30 ] || no busy ""
		sleep 1
	done
}

# Makes the partition readable at $AT, or writable where $1 is rw.
open_esp() {
	lock
	case $ESP in
	/dev/*)
		AT=$RUN/deploy MINE=yes
		tries=0
		# The machine's services may have it for the moment that a rename takes.
		until mount_esp "$ESP" $AT "$1" 2>$ERR; do
			tries=$((tries + 1))
			[ $tries -lt 8 ] || { AT=; no mount "$ESP: $(cat $ERR)"; }
			sleep 1
		done
		;;
	*)
		AT=$ESP
		[ -d "$AT" ] || { AT=; no esp "there is no directory $ESP"; }
		if ! mountpoint -q "$AT" && awk -v p="$AT" '$2 == p { f = 1 } END { exit !f }' /etc/fstab 2>/dev/null; then
			mount "$AT" 2>$ERR || { AT=; no mount "$ESP: $(cat $ERR)"; }
			MINE=yes
		fi
		;;
	esac
	[ "$1" = rw ] || return 0
	if ! writable; then
		WAS=ro
		mount -o remount,rw "$POINT" 2>$ERR
		writable || no readonly "$(cat $ERR)"
	fi
	echo "hoopy" 2>/dev/null >"$AT/hoopy-try.part" || no readonly "a file could not be written to $AT"
	rm -f "$AT/hoopy-try.part"
}

# Ends where the file $1 is not on the partition any more, of which the machine told. Between two questions its services
# may have found an image good, which gives it another name.
has() {
	[ -f "$AT/$1" ] || no gone "$1"
}

close_esp() {
	[ -n "$AT" ] || return 0
	cd /
	sync
	if [ -n "$MINE" ]; then
		unmount_esp "$AT"
	elif [ "$WAS" = ro ]; then
		mount -o remount,ro "$POINT" || { sleep 1; mount -o remount,ro "$POINT"; }
	fi
	AT= MINE= WAS=
	exec 9>&-
}

# $3 bytes of the file $1 from byte $2 on, with what every dd can.
range() {
	from=$2 left=$3
	if [ $((from % 4096)) != 0 ]; then
		first=$((4096 - from % 4096))
		[ $first -le "$left" ] || first=$left
		dd if="$1" bs=4096 skip=$((from / 4096)) count=1 2>/dev/null |
			tail -c +$((from % 4096 + 1)) | head -c $first || return 1
		from=$((from + first)) left=$((left - first))
	fi
	if [ $((left / 4096)) != 0 ]; then
		dd if="$1" bs=4096 skip=$((from / 4096)) count=$((left / 4096)) 2>>$ERR || return 1
		from=$((from + left / 4096 * 4096)) left=$((left % 4096))
	fi
	[ "$left" = 0 ] || dd if="$1" bs=4096 skip=$((from / 4096)) count=1 2>/dev/null | head -c "$left"
}
