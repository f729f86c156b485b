/* Starts processes that stay, each as a user of its own, so that no limit of one user counts them.
 *
 * limits: processes=400
 * needs: linux 6.14
 * must get: fork: Resource temporarily unavailable
 * ends: the limit of 400 processes
 */
#include "attack.h"

int main(void)
{
	int count = 0;

	for (; count < 2000; count++) {
		pid_t child = fork();
		if (child == -1)
			break;
		if (child == 0) {
			if (setuid(1000 + count) == -1)
				_exit(1);
			pause();
		}
	}
	if (count >= 400)
		printf("ESCAPED: %d processes\n", count);
	refused("fork", -1);
	return 1;
}
