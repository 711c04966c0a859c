/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/percpu.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/msr_index.h"

static struct cpu cpus[CPU_MAX];
static unsigned int cpus_used;
static uint64_t boot_counters[CPU_COUNTERS_MAX]; /* used before there is a heap */

unsigned int cpu_count(void)
{
	return __atomic_load_n(&cpus_used, __ATOMIC_ACQUIRE);
}

struct cpu *cpu_get(unsigned int id)
{
	return &cpus[id];
}

struct cpu *percpu_prepare(unsigned int id, uint32_t apic_id)
{
	struct cpu *c = &cpus[id];

	c->self = c;
	c->id = id;
	c->apic_id = apic_id;
	if (id == 0)
		c->counters = boot_counters;
	return c;
}

void percpu_load(struct cpu *c)
{
	wrmsr(MSR_GS_BASE, (uint64_t)(uintptr_t)c);
}

void percpu_publish(unsigned int count)
{
	__atomic_store_n(&cpus_used, count, __ATOMIC_RELEASE);
}
