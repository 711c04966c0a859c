/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The random numbers that everything secret is made of: CTR_DRBG with AES-256 (SP 800-90A),
 * seeded from the CPU and from what firmware gave the loader. Guests read it through their
 * virtio entropy device, too.
 * Owns: the generator. Must not know: who reads.
 * Locking: one instance behind a mutex, taken anew every 256 bytes, so that a reader of much
 * does not keep others waiting.
 *
 * Blocked, never weak: nothing comes out before a source has given a whole seed, nor, later,
 * when it is due to be seeded again and no source gives anything. Firmware's seed carries on by
 * itself: without a source in the CPU, a piece of output kept apart seeds the next stretch.
 */
#ifndef RAYOS_SECURITY_DRBG_H
#define RAYOS_SECURITY_DRBG_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

/**
 * Known answers, sources, first seed.
 * Context: init, thread
 * Returns: 0, -RAY_EAGAIN (blocked for want of a source), -RAY_EIO (the known answers are not
 *          what comes out: blocked for good)
 */
int drbg_init(void);

/**
 * Did the last read give something (or, before any, would it)? When not, the next tries to seed.
 * Context: any
 */
bool drbg_ready(void);

/**
 * Fill @buf with random bytes.
 * @len  any; about 115 instructions a byte
 * Context: thread, IRQs on, no spinlock; locks up to LOCK_ORDER_RANDOM may be held
 * Returns: 0, -RAY_EAGAIN (blocked), -RAY_EIO (blocked for good); but for 0 @buf is zeroed and
 *          must not be used
 */
int __must_check drbg_read(void *buf, size_t len);

struct drbg_stats {
	bool ready;
	bool answers_right; /* the known-answer test passed */
	bool boot_seed;     /* firmware's seed is part of the state */
	uint64_t bytes;     /* given to readers */
	uint64_t reads;     /* that got all they wanted */
	uint64_t blocked;   /* that got nothing */
	uint64_t seedings;  /* the first one included */
};
void drbg_stats_get(struct drbg_stats *out);

#endif
