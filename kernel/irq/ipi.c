/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/irq/ipi.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/lapic.h"
#include "kernel/arch/percpu.h"
#include "kernel/counter.h"
#include "kernel/irq/irq.h"
#include "kernel/sched/spinlock.h"
#include "kernel/sched/thread.h"

COUNTER(kicks, "ipi.kicks", "kicks sent");
COUNTER(calls, "ipi.calls", "functions called on other CPUs");

/*
 * One call at a time in the whole system. Interrupts stay on while a CPU waits for its turn
 * and for the others, so that it serves the call that is going on meanwhile.
 */
static struct {
	struct spinlock lock;
	void (*fn)(void *arg);
	void *arg;
	uint32_t left;                /* CPUs that have not finished */
	uint32_t wanted[CPU_MAX];     /* by CPU: it is to run fn */
} call = { .lock = SPINLOCK_INIT(LOCK_ORDER_NONE) };

static bool reachable(unsigned int cpu)
{
	return lapic_ready() && cpu_get(cpu)->online;
}

void ipi_kick(unsigned int cpu)
{
	counter_inc(kicks);
	lapic_ipi(cpu_get(cpu)->apic_id, VECTOR_KICK);
}

void ipi_resched(unsigned int cpu)
{
	lapic_ipi(cpu_get(cpu)->apic_id, VECTOR_RESCHED);
}

void ipi_nmi_others(void)
{
	/* One by one: a CPU that was never started still belongs to the firmware, which may
	 * answer an NMI by running what is no longer its code. */
	for (unsigned int cpu = 0; cpu < CPU_MAX; cpu++)
		if (cpu != this_cpu()->id && reachable(cpu))
			lapic_ipi_nmi(cpu_get(cpu)->apic_id);
}

void ipi_call_interrupt(void)
{
	uint32_t *wanted = &call.wanted[this_cpu()->id];

	if (!__atomic_exchange_n(wanted, 0, __ATOMIC_ACQ_REL))
		return;
	call.fn(call.arg);
	__atomic_sub_fetch(&call.left, 1, __ATOMIC_RELEASE);
}

static void call_here(void (*fn)(void *arg), void *arg)
{
	uint64_t flags = irq_save();

	fn(arg);
	irq_restore(flags);
}

/* Ask CPU @cpu. The lock is held. */
static void call_send(unsigned int cpu)
{
	counter_inc(calls);
	__atomic_add_fetch(&call.left, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&call.wanted[cpu], 1, __ATOMIC_RELEASE);
	lapic_ipi(cpu_get(cpu)->apic_id, VECTOR_CALL);
}

static void call_begin(void (*fn)(void *arg), void *arg)
{
	spin_lock(&call.lock);
	call.fn = fn;
	call.arg = arg;
}

static void call_end(void)
{
	while (__atomic_load_n(&call.left, __ATOMIC_ACQUIRE) != 0)
		cpu_relax();
	spin_unlock(&call.lock);
}

void ipi_call(unsigned int cpu, void (*fn)(void *arg), void *arg)
{
	preempt_disable();
	if (cpu == this_cpu()->id) {
		call_here(fn, arg);
	} else if (reachable(cpu)) {
		call_begin(fn, arg);
		call_send(cpu);
		call_end();
	}
	preempt_enable();
}

void ipi_call_all(void (*fn)(void *arg), void *arg)
{
	unsigned int self;

	preempt_disable();
	self = this_cpu()->id;
	call_begin(fn, arg);
	for (unsigned int i = 0; i < CPU_MAX; i++)
		if (i != self && reachable(i))
			call_send(i);
	call_here(fn, arg);
	call_end();
	preempt_enable();
}
