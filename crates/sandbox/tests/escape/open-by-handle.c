/* Opens the host's root directory by its handle, by way of a file that lies on the host's filesystem.
 *
 * bind: yes
 * must get: open by handle through /proc/1/exe: Operation not permitted
 * must get: open by handle through /mnt: Operation not permitted
 */
#include "attack.h"

struct handle {
	uint32_t bytes;
	int32_t type;
	uint32_t ino, generation;
};

static void through(const char *path)
{
	char what[128];
	struct handle root = { 8, 1, 2, 0 };
	int mount = open(path, O_RDONLY);
	if (mount < 0)
		mount = open("/", O_RDONLY);
	snprintf(what, sizeof what, "open by handle through %s", path);
	refused(what, syscall(SYS_open_by_handle_at, mount, &root, O_RDONLY));
}

int main(void)
{
	through("/proc/1/exe");
	through("/mnt");
	return 0;
}
