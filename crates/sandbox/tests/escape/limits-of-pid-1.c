/* Takes the descriptors that PID 1 may have and the time that it may run, to end it or have it end in an error that names
 * no script.
 *
 * must get: its files: Operation not permitted
 * must get: its time: Operation not permitted
 * must get: those of its parent: Operation not permitted
 * must get: its own: 0
 */
#include "attack.h"
#include <sys/resource.h>

/* prlimit(2) without libc's idea of it; the upper half of a pid means nothing to the kernel. */
static long limit(unsigned long pid, int resource)
{
	struct rlimit64 {
		uint64_t current, most;
	} none = { 0, 0 };

	return syscall(SYS_prlimit64, pid, resource, &none, NULL);
}

int main(void)
{
	struct rlimit own;

	refused("its files", limit(1, RLIMIT_NOFILE));
	refused("its time", limit(0x100000001UL, RLIMIT_CPU));
	refused("those of its parent", limit(getppid(), RLIMIT_NOFILE));
	getrlimit(RLIMIT_NOFILE, &own);
	printf("its own: %d\n", setrlimit(RLIMIT_NOFILE, &own));
	return 0;
}
