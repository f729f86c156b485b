/* Talks to a socket of the host's that has a name in no directory, as a desktop's are. With the host's network, only
 * Landlock keeps it out.
 *
 * network: yes
 * needs: landlock 6
 * must get: connect: Operation not permitted
 */
#include "attack.h"
#include <stddef.h>
#include <sys/un.h>

int main(void)
{
	struct sockaddr_un address = { AF_UNIX, "\0hoopy-escape" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	refused("connect", connect(fd, (void *)&address, offsetof(struct sockaddr_un, sun_path) + 13));
	return 0;
}
