/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cutload writes in each step, for it and for who checks afterwards what is left of it
 * (tests/tools/storecut.c).
 */
#ifndef RAYOS_TESTS_GUESTS_LINUX_CUTLOAD_H
#define RAYOS_TESTS_GUESTS_LINUX_CUTLOAD_H

#include <stdbool.h>
#include <stdint.h>

#define CUT_SECTOR 512u
#define CUT_OPS    6u

struct cut_op {
	uint64_t first, count; /* sectors */
	bool zero;             /* zeroed, not written */
};

static inline uint64_t cut_random(uint64_t *state)
{
	/* Knuth's MMIX generator; the upper bits are the random ones. */
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* The operations of a step on a disk of so many sectors. Returns how many. */
static inline unsigned int cut_step(uint64_t seed, uint64_t step, uint64_t sectors,
				    struct cut_op out[CUT_OPS])
{
	uint64_t state = seed * 1000003 + step;
	unsigned int n;

	cut_random(&state);
	n = 1 + (unsigned int)(cut_random(&state) % CUT_OPS);
	for (unsigned int i = 0; i < n; i++) {
		uint64_t kind = cut_random(&state) % 16;

		out[i].zero = kind == 0;
		/* Mostly whole blocks, some longer, some parts of them. */
		out[i].count = kind == 0 ? 128 : kind < 11 ? 8 : kind < 13 ? 256 : 3;
		out[i].first = cut_random(&state) % (sectors - 256);
		if (kind < 13)
			out[i].first &= ~7ull;
	}
	return n;
}

/* What every word of a sector is that a step has written. */
static inline uint64_t cut_tag(uint64_t step, uint64_t sector)
{
	return step << 32 | sector;
}

#endif
