/* Traces PID 1, reads and writes its memory, and takes one of its files.
 *
 * must get: ptrace: Operation not permitted
 * must get: process_vm_readv: Operation not permitted
 * must get: process_vm_writev: Operation not permitted
 * must get: pidfd_getfd: Operation not permitted
 * must get: /proc/1/mem: Permission denied
 * must get: /proc/1/environ: Permission denied
 * must get: /proc/1/root: Permission denied
 * must get: /proc/1/fd: Permission denied
 */
#include "attack.h"
#include <sys/ptrace.h>
#include <sys/uio.h>

int main(void)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)0x400000, 1 };

	refused("ptrace", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
	refused("process_vm_readv", process_vm_readv(1, &here, 1, &there, 1, 0));
	refused("process_vm_writev", process_vm_writev(1, &here, 1, &there, 1, 0));
	refused("pidfd_getfd", syscall(438, syscall(434, 1, 0), 0, 0));
	refused("/proc/1/mem", open("/proc/1/mem", O_RDWR));
	refused("/proc/1/environ", open("/proc/1/environ", O_RDONLY));
	refused("/proc/1/root", open("/proc/1/root/etc", O_RDONLY | O_DIRECTORY));
	refused("/proc/1/fd", open("/proc/1/fd", O_RDONLY | O_DIRECTORY));
	return 0;
}
