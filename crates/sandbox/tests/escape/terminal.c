/* Types into the terminal from which the build was started.
 *
 * must get: /dev/tty: No such device or address
 */
#include "attack.h"

int main(void)
{
	refused("/dev/tty", open("/dev/tty", O_RDWR));
	return 0;
}
