/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the other CPUs.
 */
#ifndef RAYOS_KERNEL_SCHED_SMP_H
#define RAYOS_KERNEL_SCHED_SMP_H

struct boot_info;

/**
 * Start every CPU of the loader's list, one after the other. One that does not come up is
 * reported and left out. cpu_count() is final afterwards.
 * Context: init, boot thread, IRQs on, after sched_init().
 */
void smp_init(const struct boot_info *bi);

#endif
