/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One counter of an 8254 interval timer (Intel 8254 data sheet). A counter is not counted: its
 * value follows from the time it was loaded. BCD counting is accepted and done in binary, as
 * nobody has used it since 1985.
 *
 * Owns: modes, latches, the gate. Must not know: VMs, interrupts, locks.
 * Context: any; the caller serialises. @now is time_now() and does not go back.
 */
#ifndef RAYOS_DEVICES_VIRT_PIT_CHANNEL_H
#define RAYOS_DEVICES_VIRT_PIT_CHANNEL_H

#include "hv/vdev.h"
#include "kernel/lib/types.h"

#define PIT_RW_LATCH 0u
#define PIT_RW_LSB   1u
#define PIT_RW_MSB   2u
#define PIT_RW_WORD  3u

struct pit_channel {
	uint8_t mode, rw;
	bool gate;
	bool loaded;        /* counts since a count was written */
	bool high_next;     /* PIT_RW_WORD: the next byte is the high one */
	bool read_high;
	uint8_t low;        /* first byte of a word being written */
	uint8_t latched;    /* bytes of `latch` yet to be read */
	bool status_latched;
	uint8_t status;
	uint16_t latch;
	uint32_t count;     /* 1..65536 */
	uint64_t start;     /* time_now() at its tick 0 */
	uint64_t elapsed;   /* ns, while it stands still (gate low, held) */
	bool stopped;
};

/** As after power-on, with this level at its gate. */
void pit_channel_reset(struct pit_channel *c, bool gate);
/** Control word: access (PIT_RW_*, not LATCH) and mode 0..7. Trust: both are the guest's. */
void pit_channel_program(struct pit_channel *c, unsigned int rw, unsigned int mode);
/** A byte to the data port. Returns: whether that loaded a new count. */
bool pit_channel_write(struct pit_channel *c, uint8_t value, uint64_t now);
/** A byte from the data port: latched status, latched count, else the count as it is. */
uint8_t pit_channel_read(struct pit_channel *c, uint64_t now);
/** Latch what the next reads give, unless an earlier latch is still unread. */
void pit_channel_latch_count(struct pit_channel *c, uint64_t now);
void pit_channel_latch_status(struct pit_channel *c, uint64_t now);
/** Level at the gate input. */
void pit_channel_gate(struct pit_channel *c, bool gate, uint64_t now);
/** Level at the output. */
bool pit_channel_out(const struct pit_channel *c, uint64_t now);
/** When its output next rises (time_now() clock), later than @now; 0: not without help. */
uint64_t pit_channel_next_edge(const struct pit_channel *c, uint64_t now);
/** Time stands still for it from pit_channel_hold() to pit_channel_go_on(). */
void pit_channel_hold(struct pit_channel *c, uint64_t now);
void pit_channel_go_on(struct pit_channel *c, uint64_t now);

/** @held  between pit_channel_hold() and pit_channel_go_on() */
void pit_channel_save(const struct pit_channel *c, struct state_buf *b, bool held, uint64_t now);
/** Returns: whether the record makes sense. Trust: the record may be hostile. */
bool pit_channel_load(struct pit_channel *c, struct state_buf *b, uint64_t now);

#endif
