/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monotonic time from the TSC and one-shot timers. No periodic tick exists.
 * Owns: TSC calibration and its check across CPUs, per-CPU timer queues, the wall clock base.
 */
#ifndef RAYOS_KERNEL_TIME_TIME_H
#define RAYOS_KERNEL_TIME_TIME_H

#include "kernel/lib/pheap.h"
#include "kernel/lib/types.h"

/**
 * Measure the TSC and the local APIC's timer, read the wall clock.
 * Context: init, boot processor, IRQs off, after irq_init(). Panics when no clock counts.
 */
void time_init(void);

/** Nanoseconds since the TSC was 0, that is since power-on; 0 before time_init(). Context: any. */
uint64_t time_now(void);
/** TSC ticks per second as calibrated. */
uint64_t time_tsc_hz(void);
/** Both serve points in time and durations alike, as both scales begin at 0. */
uint64_t time_tsc_to_ns(uint64_t tsc);
/** The smallest TSC value that is not before @ns. */
uint64_t time_ns_to_tsc(uint64_t ns);
/** Seconds since 1970 UTC as the RTC (later SNTP) has it; counts from 0 without a sane RTC. */
uint64_t time_wall_seconds(void);
/** The same in nanoseconds. */
uint64_t time_wall_ns(void);
/** Spin. Context: any; for microseconds, not milliseconds. */
void time_delay_ns(uint64_t ns);
/** TSCs of all CPUs agree and never stop; else guests get no stable-clock flag. */
bool time_tsc_stable(void);
/** A CPU's TSC was seen to differ by @ticks. Context: smp start-up. */
void time_tsc_set_unstable(const char *why);

/*
 * A one-shot timer. The callback runs on the CPU that set it, from the timer interrupt, IRQs
 * off. It may set the timer again, and may free what holds it.
 * Calls for one timer must not run at the same time; timer_cancel() may meet the callback.
 */
struct timer {
	struct pheap_node node;
	uint64_t deadline_tsc;
	void (*fn)(struct timer *t);
	uint32_t armed;
	uint32_t cpu; /* whose queue, when armed */
	uint32_t ran_on; /* the CPU its callback was called on last; with the queue's lock */
};

void timer_init(struct timer *t, void (*fn)(struct timer *t));
/** Arm or re-arm on this CPU for an absolute TSC value; in the past fires at once. Context: any but NMI. */
void timer_set_tsc(struct timer *t, uint64_t deadline_tsc);
/** UINT64_MAX stands for never and only disarms. */
void timer_set_ns(struct timer *t, uint64_t deadline_ns);
/**
 * Disarm; on return the callback is not running (unless called from it). Any CPU; the caller
 * holds no lock that the callback takes.
 */
void timer_cancel(struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
	return __atomic_load_n(&t->armed, __ATOMIC_RELAXED) != 0;
}
/** Earliest armed deadline on this CPU, UINT64_MAX when none. Context: IRQs off. */
uint64_t timer_next_tsc(void);

/** The timer interrupt. Context: interrupt, from irq/. */
void timer_interrupt(void);

#endif
