/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the hostile guest share. An attack ends in one of three ways: the device
 * needs a reset, it has answered the chain, or nothing happened; which of them may be is the
 * attack's to say. After each the device is reset and must work.
 */
#ifndef RAYOS_TESTS_GUESTS_HOSTILE_H
#define RAYOS_TESTS_GUESTS_HOSTILE_H

#include "guest.h"
#include "virtio.h"

#define QUEUE_SIZE 16u
#define BUFFER     4096u

/* How an attack may end. */
#define BROKEN  1u
#define USED    2u
#define NOTHING 4u
#define ANY     (BROKEN | USED | NOTHING)

/* A device under attack and the queue of it that is served when it is notified. */
struct target {
	struct virtio v;
	struct vring ring;
	unsigned type;
	const char *name;
	uint8_t *buffer; /* BUFFER bytes */
	unsigned attacks;
};

/** Reset and set up to DRIVER_OK with those of @features that are offered. */
bool target_begin(struct target *t, uint64_t features);
/** Notify and wait for how it ends: BROKEN, USED or NOTHING; not for long where NOTHING may be. */
unsigned target_kick(struct target *t, unsigned may);
/** A request as a driver would make it, after a reset: is it answered as it should be? */
bool target_works(struct target *t);
/** Fill the chain of such a request from descriptor 0 on. */
void target_request(struct target *t);
/** The attack is over: was @outcome one of @may, and does the device work? */
void target_end(struct target *t, const char *attack, unsigned outcome, unsigned may);

/** The second CPU runs @fn again and again until other_stop(). */
void other_start(void (*fn)(void *arg), void *arg);
void other_stop(void);

/** Pseudo-random, the same in every run. */
uint64_t dice(void);

/* The parts. */
void attack_chains(struct target *t);
void attack_registers(struct target *t);
void attack_races(struct target *t);
void attack_requests(struct target *t);

#endif
