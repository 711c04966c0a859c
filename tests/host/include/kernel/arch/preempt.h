/* SPDX-License-Identifier: Apache-2.0 */
/* Host tests' kernel/arch/preempt.h: what the hypervisor asks of the scheduler's counts. */
#ifndef RAYOS_KERNEL_ARCH_PREEMPT_H
#define RAYOS_KERNEL_ARCH_PREEMPT_H

#include "kernel/arch/percpu.h"

static inline bool need_resched(void)
{
	return this_cpu()->need_resched != 0;
}

#endif
