/* Makes system calls by the door for 32-bit programs, where numbers mean something else: 26 is ptrace there, and
 * "getpid" in what a filter for 64 bits allows.
 *
 * needs: x86_64
 * ends: signal 31
 */
#include "attack.h"

int main(void)
{
#ifdef __x86_64__
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(26), "b"(16), "c"(1), "d"(0), "S"(0) : "memory");
	printf("ESCAPED: ptrace by int 0x80 gave %ld\n", result);
#endif
	return 0;
}
