/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arithmetic of epochs. Pure.
 *
 * A CPU's word is 0 outside reader sections, else the word of the epoch it saw on entry, plus
 * one for each section nested inside (an interrupt handler may read while a thread does).
 * An object taken out of sight at epoch E is unreachable once no CPU's word shows an epoch
 * of E or less: who entered later saw E + 1, and the object was out of sight by then.
 */
#ifndef RAYOS_KERNEL_SCHED_EPOCH_LOGIC_H
#define RAYOS_KERNEL_SCHED_EPOCH_LOGIC_H

#include "kernel/lib/types.h"

#define EPOCH_NEST_BITS 8u
#define EPOCH_STEP      BIT(EPOCH_NEST_BITS)
#define EPOCH_WORD(e)   ((uint64_t)(e) << EPOCH_NEST_BITS | 1) /* one section, entered at @e */

/** @now  the word of a section entered at this moment */
static inline uint64_t epoch_word_enter(uint64_t word, uint64_t now)
{
	return word ? word + 1 : now;
}

static inline uint64_t epoch_word_leave(uint64_t word)
{
	return (word & (EPOCH_STEP - 1)) == 1 ? 0 : word - 1;
}

/** Whether the CPU of this word may still hold what was retired when @retired was "now". */
static inline bool epoch_word_blocks(uint64_t word, uint64_t retired)
{
	return word != 0 && word >> EPOCH_NEST_BITS <= retired >> EPOCH_NEST_BITS;
}

#endif
