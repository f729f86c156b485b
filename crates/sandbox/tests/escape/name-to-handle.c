/* Asks for a handle, which would be the first half of opening by one.
 *
 * must get: name_to_handle_at: Operation not permitted
 */
#include "attack.h"

int main(void)
{
	struct { unsigned bytes; int type; char rest[128]; } handle = { 128, 0, "" };
	int mount;
	refused("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &handle, &mount, 0));
	return 0;
}
