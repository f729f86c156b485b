# What the host says first to the shell at the port: how a test is run. Nothing of it is ever in a file of the machine.
# Every answer ends with the mark that the host gave, and a status.

dir=/run/hoopy-test

answer() {
	printf '\001%s %s\n' "$1" "$2"
}

# MARK COMMAND: runs the command in a shell of its own.
ask() {
	(eval "$2") </dev/null 2>&1
	answer "$1" $?
}

# MARK SECONDS BOOT PROGRAM...: runs a test, in the directory that was put there, in a session of its own. Its output
# passes through a pipe, for a port cannot be opened twice and tests write to /dev/stderr.
run() {
	mark=$1 limit=$2 boot=$3
	shift 3
	rm -f $dir/late $dir/pipe
	cd $dir/tests && mkfifo $dir/pipe || {
		answer "$mark" lost
		return
	}
	cat $dir/pipe &
	relay=$!
	setsid env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root \
		LOGNAME=root SHELL=/bin/sh TERM=dumb HOOPY_BOOT="$boot" "$@" </dev/null >$dir/pipe 2>&1 &
	test=$!
	setsid sh -c "sleep $limit; : >$dir/late; kill -TERM -$test; sleep 5; kill -KILL -$test" </dev/null >/dev/null 2>&1 &
	watch=$!
	wait $test
	status=$?
	kill -KILL -$watch
	# What the test left running may hold the pipe open
	setsid sh -c "sleep 2; kill $relay" </dev/null >/dev/null 2>&1 &
	watch=$!
	wait $relay
	kill -KILL -$watch
	[ ! -e $dir/late ] || status=late
	rm -f $dir/late $dir/pipe
	cd /
	answer "$mark" $status
} 2>/dev/null

# Takes the archive of the tests, in base64.
put() {
	(umask 077 && rm -rf $dir && mkdir -p $dir/tests && cd $dir/tests) 2>&1 &&
		base64 -d 2>&1 | (cd $dir/tests && cpio -idmu --quiet) 2>&1
	answer "$1" $?
}
