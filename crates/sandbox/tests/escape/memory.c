/* Takes all the memory of the machine, in as many processes as that takes.
 *
 * limits: memory=256 time=60
 * needs: cgroup
 * ends: the limit of 256 MiB of memory
 */
#include "attack.h"

int main(void)
{
	size_t size = 100 << 20;
	int status = 0;

	for (int child = 0; child < 8; child++)
		if (fork() == 0) {
			volatile char *taken = malloc(size);
			if (!taken)
				_exit(1);
			for (size_t at = 0; at < size; at += 4096)
				taken[at] = 1;
			sleep(10);
			_exit(0);
		}
	for (int child = 0; child < 8; child++) {
		wait(&status);
		if (status != 0)
			return 1;
	}
	printf("ESCAPED: 800 MiB\n");
	return 0;
}
