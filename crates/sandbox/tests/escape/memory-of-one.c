/* Takes more memory than there may be, in one process.
 *
 * limits: memory=256
 * must get: malloc: Cannot allocate memory
 * ends: the limit of 256 MiB of memory
 */
#include "attack.h"

int main(void)
{
	char *taken = malloc(300 << 20);

	refused("malloc", taken ? (memset(taken, 1, 300 << 20), 0) : -1);
	return 1;
}
