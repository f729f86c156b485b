#include <stdio.h>

int main(void)
{
	puts("always know where it is");
	return 0;
}
