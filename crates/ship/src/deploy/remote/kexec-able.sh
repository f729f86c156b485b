# Says whether this machine can start an image without its firmware, and has NEED KiB of memory for it.

command -v kexec >/dev/null || no kexec "it has no kexec: add kexec-tools to \`packages\` (it is in Alpine's community repository), and deploy that once with --reboot"
[ -e /sys/kernel/kexec_loaded ] || no kexec "its kernel was built without CONFIG_KEXEC"
[ "$(cat /proc/sys/kernel/kexec_load_disabled 2>/dev/null)" != 1 ] ||
	no kexec "kernel.kexec_load_disabled is set, as in all of Alpine's kernels: add kexec_load_disabled=0 to \`cmdline\` in hoopy.toml, and deploy that once with --reboot"
# What starts the image is a service of OpenRC's runlevel `shutdown`.
[ -x /sbin/openrc-run ] && [ -d /etc/runlevels/shutdown ] || no kexec "it has no OpenRC with a runlevel shutdown"
memory=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
[ "${memory:-$NEED}" -ge "$NEED" ] ||
	no kexec "$((NEED / 1024)) MiB of memory are needed to load the image beside what runs, and $((memory / 1024)) MiB are available"
echo "done"
