// SPDX-License-Identifier: Apache-2.0
/*
 * blkbench DEVICE BYTES COUNT [pages]: random reads past the page cache, one after the other.
 * Prints
 *	BENCH bytes=4096 count=1000 ticks=21000
 * the average of TSC ticks for one, the system call included: instructions, where the TSC
 * counts those. What it reads into lies in a huge page; with "pages" in single ones, none of
 * which has its neighbour behind it: what malloc() gives lies somewhere between.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#define ALIGNMENT 4096u
#define WARM_UP   32u
#define HUGE_PAGE (2ul << 20)
#define STRIDE    37u /* pages; odd, so that all of a power of two are reached */

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

/* Memory whose pages are all there. The kernel gives pages in rows, upwards or downwards: touched
 * in strides, none of them has a neighbour of its row before or behind it. */
static uint8_t *buffer_alloc(size_t bytes, bool single)
{
	size_t size = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	uint8_t *p;

	if (posix_memalign((void **)&p, HUGE_PAGE, size) != 0 ||
	    madvise(p, size, single ? MADV_NOHUGEPAGE : MADV_HUGEPAGE) != 0)
		return NULL;
	for (size_t i = 0, pages = size / ALIGNMENT; i < pages; i++)
		p[i * STRIDE % pages * ALIGNMENT] = 1;
	return p;
}

int main(int argc, char **argv)
{
	uint64_t size, ticks = 0, state = 1;
	unsigned long bytes, count;
	uint8_t *buffer;
	int fd;

	if ((argc != 4 && argc != 5) || (argc == 5 && strcmp(argv[4], "pages") != 0)) {
		fprintf(stderr, "usage: blkbench DEVICE BYTES COUNT [pages]\n");
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
	buffer = buffer_alloc(bytes, argc == 5);
	if (!buffer)
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
