/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event counters: one cell per CPU, summed when read; `stats` lists them.
 * Owns: registration and the cells. Must not know: what is counted.
 *
 *	COUNTER(sched_switches, "sched.switches", "thread switches");
 *	...
 *	counter_inc(sched_switches);
 *
 * Adding is five instructions and never locks. With preemption or interrupts off it is exact;
 * otherwise a thread that moves to another CPU in mid-addition may lose one count.
 */
#ifndef RAYOS_KERNEL_COUNTER_H
#define RAYOS_KERNEL_COUNTER_H

#include "kernel/arch/percpu.h"
#include "kernel/lib/types.h"

struct counter {
	const char *name;    /* "area.event" */
	const char *meaning; /* one line, no full stop */
};

extern const struct counter *const __start_rayos_counters[];
extern const struct counter *const __stop_rayos_counters[];

#define COUNTER(ident, counter_name, counter_meaning)                                          \
	static const struct counter counter_##ident = { .name = (counter_name),                \
							.meaning = (counter_meaning) };        \
	static const struct counter *const counter_slot_##ident                                \
		__attribute__((used, section("rayos_counters"))) = &counter_##ident

/** Context: any. @ident  as given to COUNTER() in this file */
#define counter_add(ident, n) counter_slot_add(&counter_slot_##ident, (n))
#define counter_inc(ident)    counter_add(ident, 1)

static inline void counter_slot_add(const struct counter *const *slot, uint64_t n)
{
	this_cpu()->counters[slot - __start_rayos_counters] += n;
}

/** Sum over all CPUs. @slot  between __start_ and __stop_rayos_counters */
uint64_t counter_read(const struct counter *const *slot);

/** Cells for CPU @cpu before it starts; the boot processor has some from the beginning. */
int __must_check counter_cpu_prepare(unsigned int cpu);

#endif
