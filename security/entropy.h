/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is random in this machine: the CPU's RDSEED and RDRAND, watched while they are used.
 * Owns: the sources, their health. Must not know: what is made of it (security/drbg.h).
 * Locking: the caller's; the figures may be read by anybody.
 *
 * Health (SP 800-90B sec. 4.4): a source that gives the same 64 bits twice, or none or all of
 * them set, is stuck and not asked again; some CPUs answer so, and call it success, after a
 * resume. The odds that a good one does are below 2^-62 a word.
 */
#ifndef RAYOS_SECURITY_ENTROPY_H
#define RAYOS_SECURITY_ENTROPY_H

#include "kernel/lib/types.h"

#define ENTROPY_WORDS 16u

struct entropy_source {
	const char *name;
	bool (*word)(uint64_t *out); /* false: none this time */
	unsigned int tries;          /* in a row, before it counts as none */
	bool present;
	bool stuck;
	uint64_t last;     /* to compare the next with */
	uint64_t bytes;    /* given */
	uint64_t refusals; /* it had none in all its tries */
};

/** Look for the sources. Context: once, init. */
void entropy_init(void);

/**
 * Fill @out from every source that works, each in full, one upon the other by XOR: as good as
 * the best of them.
 * Context: thread. Returns: whether there was at least one; else @out is all zero.
 */
bool __must_check entropy_gather(uint64_t out[ENTROPY_WORDS]);

/** The sources in order, for those who show them; NULL behind the last. */
const struct entropy_source *entropy_source(unsigned int index);

#endif
