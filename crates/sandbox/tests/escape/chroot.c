/* The oldest way out: a chroot below the working directory, and up from there.
 *
 * must get: the top is still the image's
 */
#include "attack.h"

int main(void)
{
	struct stat before, after;

	stat("/", &before);
	mkdir("/tmp/in", 0755);
	if (chroot("/tmp/in") == 0)
		for (int up = 0; up < 64; up++)
			if (chdir("..") == -1)
				break;
	stat(".", &after);
	if (before.st_dev != after.st_dev || before.st_ino != after.st_ino)
		printf("ESCAPED: another directory is at the top\n");
	else
		printf("the top is still the image's\n");
	return 0;
}
