/* SPDX-License-Identifier: Apache-2.0 */
/* Host tests' kernel/arch/percpu.h: four CPUs, one of which is "this" one. */
#ifndef RAYOS_KERNEL_ARCH_PERCPU_H
#define RAYOS_KERNEL_ARCH_PERCPU_H

#include "kernel/lib/types.h"

#define CPU_MAX 64u
#define FAKE_CPUS 4u

struct thread;
struct hv_cpu;

struct cpu {
	struct cpu *self;
	struct thread *current;
	uint32_t id;
	uint32_t apic_id;
	int32_t preempt_count;
	uint32_t irq_depth;
	volatile uint32_t need_resched;
	volatile uint32_t online;
	struct hv_cpu *hv;
	uint64_t epoch;
};

__attribute__((weak)) struct cpu fake_cpus[FAKE_CPUS];
__attribute__((weak)) unsigned int fake_cpu_now;

static inline struct cpu *cpu_get(unsigned int id)
{
	fake_cpus[id].id = id;
	return &fake_cpus[id];
}

static inline struct cpu *this_cpu(void)
{
	return cpu_get(fake_cpu_now);
}

static inline unsigned int cpu_count(void)
{
	return FAKE_CPUS;
}

#endif
