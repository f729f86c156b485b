/* Prints PCR 11 of the SHA-256 bank, by the TPM's registers (TCG, "PC Client Platform TPM Profile", FIFO interface):
 * Alpine's kernel for virtual machines has no driver for TPMs. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

enum { ACCESS = 0x00, STS = 0x18, FIFO = 0x24 };
enum { REQUEST_USE = 0x02, COMMAND_READY = 0x40, GO = 0x20, DATA_AVAILABLE = 0x10, RELINQUISH = 0x20 };

int main(void) {
	static const uint8_t pcr_read[] = {
		0x80, 0x01, 0, 0, 0, 20, 0, 0, 0x01, 0x7E, 0, 0, 0, 1, 0x00, 0x0B, 3, 0x00, 0x08, 0x00,
	};
	int file = open("/dev/mem", O_RDWR | O_SYNC);
	if (file < 0) {
		perror("/dev/mem");
		return 1;
	}
	volatile uint8_t *tpm = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0xFED40000);
	if (tpm == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	tpm[ACCESS] = REQUEST_USE;
	tpm[STS] = COMMAND_READY;
	for (unsigned i = 0; i < sizeof pcr_read; i++)
		tpm[FIFO] = pcr_read[i];
	tpm[STS] = GO;
	for (unsigned long tries = 0; !(tpm[STS] & DATA_AVAILABLE); tries++) {
		if (tries > 10000000) {
			fprintf(stderr, "the TPM does not answer\n");
			return 1;
		}
	}
	/* Header, counter, selection, number of values, length: 30 bytes before the value. */
	for (int i = 0; i < 30; i++)
		(void)tpm[FIFO];
	for (int i = 0; i < 32; i++)
		printf("%02x", tpm[FIFO]);
	printf("\n");
	tpm[STS] = COMMAND_READY;
	tpm[ACCESS] = RELINQUISH;
	return 0;
}
