/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/lapic.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/trap.h"
#include "kernel/irq/ipi.h"
#include "kernel/irq/irq.h"
#include "kernel/irq/irq_priv.h"
#include "kernel/irq/pic.h"
#include "kernel/sched/sched.h"
#include "kernel/time/time.h"

#define SYSTEM_FIRST VECTOR_TIMER
#define SYSTEM_COUNT (VECTOR_SPURIOUS - SYSTEM_FIRST + 1)

static const char *const system_names[SYSTEM_COUNT] = {
	[VECTOR_TIMER - SYSTEM_FIRST] = "timer",
	[VECTOR_CALL - SYSTEM_FIRST] = "call",
	[VECTOR_RESCHED - SYSTEM_FIRST] = "resched",
	[VECTOR_KICK - SYSTEM_FIRST] = "kick",
	[VECTOR_ERROR - SYSTEM_FIRST] = "apic-error",
	[VECTOR_SPURIOUS - SYSTEM_FIRST] = "spurious",
};

static struct {
	uint64_t system[SYSTEM_COUNT];
	uint64_t stray; /* vectors without a handler */
} __cacheline counts[CPU_MAX];

static void system_vector(unsigned int vector)
{
	switch (vector) {
	case VECTOR_TIMER:
		timer_interrupt();
		break;
	case VECTOR_CALL:
		ipi_call_interrupt();
		break;
	case VECTOR_RESCHED:
		sched_ipi();
		break;
	case VECTOR_ERROR:
		(void)lapic_error_read();
		break;
	default: /* kick: that it came is all */
		break;
	}
}

static void device_vector(unsigned int cpu, unsigned int vector)
{
	bool pic = vector < VECTOR_DYN_BASE, taken;

	if (pic && !pic_is_real(vector - VECTOR_PIC_BASE)) {
		counts[cpu].stray++;
		return;
	}
	taken = vector < VECTOR_DYN_END && irq_handle_run(cpu, vector);
	if (!taken)
		counts[cpu].stray++;
	if (pic)
		pic_eoi(vector - VECTOR_PIC_BASE);
	else
		lapic_eoi();
}

void irq_deliver(unsigned int vector)
{
	struct cpu *c = this_cpu();

	if (vector < SYSTEM_FIRST) {
		c->irq_depth++;
		device_vector(c->id, vector);
		c->irq_depth--;
		return;
	}
	counts[c->id].system[vector - SYSTEM_FIRST]++;
	/* The spurious vector is not in service: nothing to end (SDM vol. 3 sec. 11.9). */
	if (vector == VECTOR_SPURIOUS)
		return;
	if (vector != VECTOR_KICK) {
		c->irq_depth++;
		system_vector(vector);
		c->irq_depth--;
	}
	lapic_eoi();
}

void irq_dispatch(struct trap_frame *tf, unsigned int vector)
{
	irq_deliver(vector);
	sched_irq_exit((tf->rflags & RFLAGS_IF) != 0);
}

bool irq_in_handler(void)
{
	return this_cpu()->irq_depth > 0;
}

uint64_t irq_count(unsigned int cpu, unsigned int vector)
{
	if (vector < SYSTEM_FIRST)
		return 0;
	return counts[cpu].system[vector - SYSTEM_FIRST];
}

static void system_info(struct irq_info *out, unsigned int cpu, unsigned int i)
{
	*out = (struct irq_info){
		.type = "system",
		.gsi = UINT32_MAX,
		.cpu = cpu,
		.vector = SYSTEM_FIRST + i,
		.count = counts[cpu].system[i],
	};
	strlcpy(out->name, system_names[i], sizeof(out->name));
}

size_t irq_list(struct irq_info *out, size_t max)
{
	size_t n = irq_handles_list(out, max);

	for (unsigned int cpu = 0; cpu < cpu_count(); cpu++) {
		for (unsigned int i = 0; i < SYSTEM_COUNT; i++, n++)
			if (n < max)
				system_info(&out[n], cpu, i);
		if (n < max) {
			out[n] = (struct irq_info){
				.type = "stray",
				.gsi = UINT32_MAX,
				.cpu = cpu,
				.count = counts[cpu].stray,
			};
			strlcpy(out[n].name, "no handler", sizeof(out[n].name));
		}
		n++;
	}
	return n;
}
