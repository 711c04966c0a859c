// SPDX-License-Identifier: Apache-2.0
/*
 * cutload DEVICE ACK STEPS SEED: a load whose every step can be told afterwards.
 *
 * Each step writes what cutload.h says to DEVICE, past the page cache, flushes it, and only then
 * writes its number to the first sector of ACK: whoever sees that number knows what DEVICE must
 * have. Prints
 *	CUTLOAD sectors=16384 steps=400
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cutload.h"

#define ALIGNMENT 4096u

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_disk(const char *path)
{
	int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		fail(path);
	return fd;
}

static void do_op(int fd, const struct cut_op *op, uint64_t step, uint64_t *buf)
{
	uint64_t range[2] = {op->first * CUT_SECTOR, op->count * CUT_SECTOR};

	if (op->zero) {
		if (ioctl(fd, BLKZEROOUT, range) < 0)
			fail("BLKZEROOUT");
		return;
	}
	for (uint64_t s = 0; s < op->count; s++) {
		for (unsigned int i = 0; i < CUT_SECTOR / 8; i++)
			buf[s * CUT_SECTOR / 8 + i] = cut_tag(step, op->first + s);
	}
	if (pwrite(fd, buf, range[1], (off_t)range[0]) != (ssize_t)range[1])
		fail("write");
}

int main(int argc, char **argv)
{
	uint64_t bytes = 0, steps, seed, *buf;
	struct cut_op op[CUT_OPS];
	int fd, ack;

	if (argc != 5) {
		fprintf(stderr, "usage: cutload DEVICE ACK STEPS SEED\n");
		return 2;
	}
	fd = open_disk(argv[1]);
	ack = open_disk(argv[2]);
	steps = strtoull(argv[3], NULL, 10);
	seed = strtoull(argv[4], NULL, 10);
	buf = aligned_alloc(ALIGNMENT, 256 * CUT_SECTOR);
	if (!buf || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		fail("BLKGETSIZE64");
	for (uint64_t step = 1; step <= steps; step++) {
		unsigned int n = cut_step(seed, step, bytes / CUT_SECTOR, op);

		for (unsigned int i = 0; i < n; i++)
			do_op(fd, &op[i], step, buf);
		if (fdatasync(fd) < 0)
			fail("flush");
		memset(buf, 0, ALIGNMENT);
		buf[0] = step;
		if (pwrite(ack, buf, CUT_SECTOR, 0) != (ssize_t)CUT_SECTOR)
			fail("ack");
	}
	printf("CUTLOAD sectors=%llu steps=%llu\n", (unsigned long long)(bytes / CUT_SECTOR),
	       (unsigned long long)steps);
	return 0;
}
