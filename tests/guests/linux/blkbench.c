// SPDX-License-Identifier: Apache-2.0
/*
 * blkbench DEVICE BYTES COUNT: random reads past the page cache, one after the other. Prints
 *	BENCH bytes=4096 count=1000 ticks=21000
 * the average of TSC ticks for one, the system call included: instructions, where the TSC
 * counts those.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>

#define ALIGNMENT 4096u
#define WARM_UP   32u

static uint64_t random_next(uint64_t *state)
{
	/* Knuth's MMIX generator; the upper bits are the random ones. */
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 24;
}

static int fail(const char *what)
{
	perror(what);
	return 1;
}

int main(int argc, char **argv)
{
	uint64_t size, ticks = 0, state = 1;
	unsigned long bytes, count;
	void *buffer;
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: blkbench DEVICE BYTES COUNT\n");
		return 2;
	}
	bytes = strtoul(argv[2], NULL, 0);
	count = strtoul(argv[3], NULL, 0);
	fd = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return fail(argv[1]);
	if (ioctl(fd, BLKGETSIZE64, &size) != 0)
		return fail("BLKGETSIZE64");
	if (bytes == 0 || bytes % ALIGNMENT != 0 || bytes > size || count == 0) {
		fprintf(stderr, "blkbench: %lu bytes at a time do not go with %s\n", bytes, argv[1]);
		return 2;
	}
	if (posix_memalign(&buffer, ALIGNMENT, bytes) != 0)
		return fail("buffer");
	for (unsigned long i = 0; i < WARM_UP + count; i++) {
		uint64_t at = random_next(&state) % (size / bytes) * bytes, begin = __rdtsc();

		if (pread(fd, buffer, bytes, (off_t)at) != (ssize_t)bytes)
			return fail("read");
		if (i >= WARM_UP)
			ticks += __rdtsc() - begin;
	}
	printf("BENCH bytes=%lu count=%lu ticks=%llu\n", bytes, count,
	       (unsigned long long)(ticks / count));
	return 0;
}
