/* Makes namespaces, in which it would have every right again, and enters those of PID 1.
 *
 * must get: unshare user: Operation not permitted
 * must get: unshare mount: Operation not permitted
 * must get: clone user: Operation not permitted
 * must get: clone3: Function not implemented
 * must get: setns: Operation not permitted | setns: Bad file descriptor
 */
#include "attack.h"
#include <sched.h>

int main(void)
{
	long child;
	struct { uint64_t flags, rest[10]; } arguments = { CLONE_NEWUSER, { 0 } };

	refused("unshare user", unshare(CLONE_NEWUSER));
	refused("unshare mount", unshare(CLONE_NEWNS));
	child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	if (child == 0)
		_exit(0);
	refused("clone user", child);
	child = syscall(435, &arguments, sizeof arguments);
	if (child == 0)
		_exit(0);
	refused("clone3", child);
	refused("setns", setns(open("/proc/1/ns/user", O_RDONLY), 0));
	return 0;
}
