/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monotonic time from the TSC and one-shot timers. No periodic tick exists.
 * Owns: TSC calibration and its check across CPUs, per-CPU timer queues, the wall clock base.
 */
#ifndef RAYOS_KERNEL_TIME_TIME_H
#define RAYOS_KERNEL_TIME_TIME_H

#include "kernel/lib/types.h"

/** Nanoseconds since boot. Context: any. */
uint64_t time_now(void);
/** TSC ticks per second as calibrated. */
uint64_t time_tsc_hz(void);
uint64_t time_tsc_to_ns(uint64_t tsc);
uint64_t time_ns_to_tsc(uint64_t ns);
/** Seconds since 1970 UTC as the RTC (later SNTP) has it. */
uint64_t time_wall_seconds(void);
/** Spin. Context: any; for microseconds, not milliseconds. */
void time_delay_ns(uint64_t ns);
/** TSCs of all CPUs agree and never stop; else guests get no stable-clock flag. */
bool time_tsc_stable(void);

/*
 * A one-shot timer. The callback runs on the CPU that set it, from the timer interrupt, IRQs
 * off. It may set the timer again.
 */
struct timer {
	uint64_t deadline_tsc;
	void (*fn)(struct timer *t);
	uint32_t heap_index; /* position in the CPU's queue + 1; 0 = not armed */
	uint32_t cpu;
};

void timer_init(struct timer *t, void (*fn)(struct timer *t));
/** Arm or re-arm on this CPU for an absolute TSC value; in the past fires at once. */
void timer_set_tsc(struct timer *t, uint64_t deadline_tsc);
void timer_set_ns(struct timer *t, uint64_t deadline_ns);
/** Disarm; on return the callback is not running (unless called from it). Any CPU. */
void timer_cancel(struct timer *t);
/** Earliest armed deadline on this CPU, UINT64_MAX when none. Context: IRQs off. */
uint64_t timer_next_tsc(void);

#endif
