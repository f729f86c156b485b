/* Looks for a file that was left open.
 *
 * must get: nothing is open
 */
#include "attack.h"

int main(void)
{
	int found = 0;

	for (int fd = 3; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) != -1) {
			printf("ESCAPED: file %d is open\n", fd);
			found = 1;
		}
	if (!found)
		printf("nothing is open\n");
	return 0;
}
