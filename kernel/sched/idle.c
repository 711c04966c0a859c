/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUs without work: which they are, and what they do meanwhile.
 */
#include "kernel/arch/cpu.h"
#include "kernel/arch/preempt.h"
#include "kernel/mm/page.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/sched_priv.h"

static uint64_t idle_mask; /* CPUs that wait, not yet claimed by a waker */

bool idle_claim(unsigned int cpu)
{
	return (__atomic_fetch_and(&idle_mask, ~BIT(cpu), __ATOMIC_ACQ_REL) & BIT(cpu)) != 0;
}

int idle_claim_any(uint64_t allowed)
{
	uint64_t idle;

	while ((idle = __atomic_load_n(&idle_mask, __ATOMIC_ACQUIRE) & allowed) != 0) {
		unsigned int cpu = (unsigned int)__builtin_ctzll(idle);

		if (idle_claim(cpu))
			return (int)cpu;
	}
	return -1;
}

void idle_wait(void)
{
	uint64_t bit = BIT(this_cpu()->id);

	while (!need_resched()) {
		__atomic_fetch_or(&idle_mask, bit, __ATOMIC_SEQ_CST);
		/* Housework in steps that delay no interrupt; sleep when there is none. */
		if (page_scrub_step()) {
			irq_window();
		} else {
			cpu_idle_wait();
			irq_disable();
		}
		__atomic_fetch_and(&idle_mask, ~bit, __ATOMIC_RELAXED);
	}
}

void sched_idle_loop(void)
{
	for (;;) {
		irq_disable();
		idle_wait();
		irq_enable();
		sched_point();
	}
}
