/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guests that measure virtio devices share: an interrupt handler that notes when it was
 * called, waiting as a system without other work does, and a menu on the serial line.
 * Owns: vectors METER_VECTOR and METER_VECTOR_2. Must not know: devices.
 */
#ifndef RAYOS_TESTS_GUESTS_METER_H
#define RAYOS_TESTS_GUESTS_METER_H

#include <stdint.h>

#include "virtio.h"

#define METER_VECTOR   0x50u
#define METER_VECTOR_2 0x51u

extern volatile uint32_t meter_handled; /* interrupts */
extern volatile uint64_t meter_tsc;     /* when the last one's handler began */

/** Local APIC, handlers, interrupts on; an interrupt ends as under Linux, by the paravirtual
 *  bit where it is granted. */
void meter_init(void);

/** Halt until @until interrupts have been handled. */
void meter_wait(uint32_t until);

/**
 * Print "BENCH ready", wait for a byte, call @run with it, and so on until the byte 'q'. Values
 * are printed by @run when it has measured: nothing but its work lies between the byte and them.
 */
void meter_menu(void (*run)(uint8_t byte));

/** Say why nothing can be measured, and end. */
void __attribute__((noreturn)) meter_fail(const char *why);

/** Ask for an interrupt when @n more are used (2.7.7). */
static inline void meter_interrupt_after(struct vring *r, uint16_t n)
{
	r->avail[2 + r->size] = (uint16_t)(r->used_seen + n - 1);
}

/** The device's way to completion where no interrupt tells. */
static inline void meter_until_used(const struct vring *r, uint16_t n)
{
	while (vring_used_waiting(r) < n)
		;
}

static inline void meter_take(struct vring *r, uint16_t n)
{
	uint32_t len;

	while (n-- > 0)
		(void)vring_used_take(r, &len);
}

/** Undo @n vring_push() and meter_take(): for who wants to know what they cost by themselves. */
static inline void meter_undo(struct vring *r, uint16_t n)
{
	r->avail_idx = (uint16_t)(r->avail_idx - n);
	r->used_seen = (uint16_t)(r->used_seen - n);
	__atomic_store_n(&r->avail[1], r->avail_idx, __ATOMIC_RELEASE);
}

#endif
