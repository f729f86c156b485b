/* Mounts, unmounts and moves, by the old calls and by the new.
 *
 * must get: mount: Operation not permitted
 * must get: umount2: Operation not permitted
 * must get: pivot_root: Operation not permitted
 * must get: fsopen: Operation not permitted
 * must get: open_tree: Operation not permitted
 * must get: move_mount: Operation not permitted
 * must get: mount_setattr: Operation not permitted
 */
#include "attack.h"

int main(void)
{
	refused("mount", mount("x", "/tmp", "tmpfs", 0, NULL));
	refused("umount2", umount2("/proc", MNT_DETACH));
	refused("pivot_root", syscall(SYS_pivot_root, "/", "/tmp"));
	refused("fsopen", syscall(430, "tmpfs", 0));
	refused("open_tree", syscall(428, AT_FDCWD, "/", 1));
	refused("move_mount", syscall(429, AT_FDCWD, "/tmp", AT_FDCWD, "/etc", 0));
	refused("mount_setattr", syscall(442, AT_FDCWD, "/", 0, NULL, 0));
	return 0;
}
