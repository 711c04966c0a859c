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

/*
 * Its memory: rings and buffers from 16 MiB on, SCRATCH for devices to write into, and itself at
 * GUEST_BASE (scripts/mk/guests.mk), away from all that a device is told to write: only what
 * begins between RAM_LAST and its end, or is no memory, lies above. So whatever happens to this
 * guest's code, tables or stack was not its own doing.
 */
#define GUEST_BASE   0x3c00000ul
#define SCRATCH      0x2000000ul
#define SCRATCH_SIZE 0xb00000ul
#define REACH        0x1000000u /* bytes that from no place() lead into the image */
#define RAM_LAST     0x3fff000ul
#define RAM_END      0x4000000ul
#define LAPIC        0xfee00000ul
#define NO_MEMORY    0xd0000000ul
#define END_OF_MAP   0x100000000ul

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
/** How often to do again what is the same each time; @full: 8 at least. */
unsigned rounds(unsigned full);
/** An address for a device to read or write: memory nobody needs, its end, devices, nothing. */
uint64_t place(void);
/** Bytes for it: a few, many, or more than there is memory. */
uint32_t reach(void);

/** Take interrupts that wait. Returns: how many messages of attack_messages() have come so far. */
unsigned messages_take(void);
/** All of a device's messages are ones this guest handles. */
void messages_tame(struct target *t);

/* The parts. */
void attack_chains(struct target *t);
void attack_messages(struct target *t);
void attack_registers(struct target *t);
void attack_races(struct target *t);
void attack_requests(struct target *t);

#endif
