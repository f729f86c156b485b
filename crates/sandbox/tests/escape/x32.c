/* Makes system calls by their numbers for x32, which have another bit set.
 *
 * needs: x86_64
 * must get: x32 unshare: Function not implemented
 */
#include "attack.h"

int main(void)
{
	refused("x32 unshare", syscall(0x40000000 + 272, 0x10000000));
	return 0;
}
