/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inter-processor interrupts the kernel itself uses. ipi_kick() and ipi_call() are in irq.h.
 */
#ifndef RAYOS_KERNEL_IRQ_IPI_H
#define RAYOS_KERNEL_IRQ_IPI_H

#include "kernel/lib/types.h"

/** Make @cpu, perhaps the caller's own, look at need_resched. Context: any but NMI. */
void ipi_resched(unsigned int cpu);

/** The call interrupt arrived. Context: interrupt. */
void ipi_call_interrupt(void);

#endif
