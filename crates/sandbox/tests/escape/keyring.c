/* Looks for a key in the session keyring of whoever started the build, and asks the kernel to fetch one.
 *
 * must get: keyctl: Operation not permitted
 * must get: add_key: Operation not permitted
 * must get: request_key: Operation not permitted
 */
#include "attack.h"

#define KEYCTL_SEARCH 10
#define SESSION_KEYRING -3

int main(void)
{
	refused("keyctl", syscall(SYS_keyctl, KEYCTL_SEARCH, SESSION_KEYRING, "user", "hoopy-escape", 0));
	refused("add_key", syscall(SYS_add_key, "user", "hoopy-escaped", "x", 1, SESSION_KEYRING));
	refused("request_key", syscall(SYS_request_key, "user", "hoopy-escape", NULL, 0));
	return 0;
}
