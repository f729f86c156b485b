/* Calls that have been a way into the kernel time and again, and that no install script needs.
 *
 * must get: bpf: Operation not permitted
 * must get: userfaultfd: Operation not permitted
 * must get: perf_event_open: Operation not permitted
 * must get: io_uring_setup: Operation not permitted
 * must get: init_module: Operation not permitted
 * must get: finit_module: Operation not permitted
 * must get: kexec_load: Operation not permitted
 * must get: syslog: Operation not permitted
 * must get: quotactl: Operation not permitted
 * must get: swapon: Operation not permitted
 * must get: reboot: Operation not permitted
 * must get: settimeofday: Operation not permitted
 * must get: acct: Operation not permitted
 * must get: packet socket: Operation not permitted
 * must get: AF_ALG socket: Operation not permitted
 * must get: AF_VSOCK socket: Operation not permitted
 */
#include "attack.h"

int main(void)
{
	char attributes[128] = { 0 };

	refused("bpf", syscall(SYS_bpf, 0, attributes, sizeof attributes));
	refused("userfaultfd", syscall(SYS_userfaultfd, 0));
	refused("perf_event_open", syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0));
	refused("io_uring_setup", syscall(425, 1, attributes));
	refused("init_module", syscall(SYS_init_module, attributes, sizeof attributes, ""));
	refused("finit_module", syscall(SYS_finit_module, 0, "", 0));
	refused("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	refused("syslog", syscall(SYS_syslog, 3, attributes, sizeof attributes));
	refused("quotactl", syscall(SYS_quotactl, 0, NULL, 0, NULL));
	refused("swapon", syscall(SYS_swapon, "/etc/passwd", 0));
	refused("reboot", syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL));
	refused("settimeofday", syscall(SYS_settimeofday, NULL, attributes));
	refused("acct", syscall(SYS_acct, "/etc/passwd"));
	refused("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
	refused("AF_ALG socket", socket(AF_ALG, SOCK_SEQPACKET, 0));
	refused("AF_VSOCK socket", socket(AF_VSOCK, SOCK_STREAM, 0));
	return 0;
}
