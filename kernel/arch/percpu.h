/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One struct cpu per logical processor, found through the GS base. The GS base is valid in
 * all kernel C code (SVM exits reload it by VMLOAD before any C runs).
 */
#ifndef RAYOS_KERNEL_ARCH_PERCPU_H
#define RAYOS_KERNEL_ARCH_PERCPU_H

#include "kernel/lib/types.h"

#define CPU_MAX 64u
#define CPU_COUNTERS_MAX 256u /* linker.ld checks */

struct thread;
struct hv_cpu;

struct cpu {
	struct cpu *self;          /* %gs:0 */
	struct thread *current;    /* %gs:8 */
	uint32_t id;               /* 0..cpu_count-1, 0 is the BSP */
	uint32_t apic_id;
	int32_t preempt_count;     /* > 0: no switch */
	uint32_t irq_depth;        /* nesting of interrupt handlers */
	volatile uint32_t need_resched;
	volatile uint32_t online;
	struct hv_cpu *hv;         /* the hypervisor's per-CPU part, hv/ owns it */
	uint64_t epoch;            /* 0 outside a reader section */
	uint64_t *counters;        /* kernel/counter.h */
	/* arch, sched, time and irq keep their own per-CPU arrays indexed by id. */
} __cacheline;

static inline struct cpu *this_cpu(void)
{
	struct cpu *c;

	/* volatile: a thread may move to another CPU between two reads. */
	__asm__ volatile("movq %%gs:0, %0" : "=r"(c));
	return c;
}

/** Number of CPUs started; fixed after smp_init(). */
unsigned int cpu_count(void);
/** @id < CPU_MAX; the struct exists before the CPU runs. */
struct cpu *cpu_get(unsigned int id);

/** Fill in the identity of CPU @id before it starts. Context: boot processor. */
struct cpu *percpu_prepare(unsigned int id, uint32_t apic_id);
/** Make @c the calling CPU's own. Context: that CPU, IRQs off, after gdt_load(). */
void percpu_load(struct cpu *c);
/** Set what cpu_count() returns: CPUs 0..count-1 have started. */
void percpu_publish(unsigned int count);

#endif
