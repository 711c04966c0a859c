/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the registration of handlers (irq.c) and their dispatch (dispatch.c).
 */
#ifndef RAYOS_KERNEL_IRQ_IRQ_PRIV_H
#define RAYOS_KERNEL_IRQ_IRQ_PRIV_H

#include "kernel/arch/lapic.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/types.h"

#define IRQ_TABLE_FIRST VECTOR_PIC_BASE
#define IRQ_TABLE_LEN   (VECTOR_DYN_END - IRQ_TABLE_FIRST)

/** The first handler of a vector below VECTOR_DYN_END, or NULL. */
struct irq_handle *irq_table_get(unsigned int cpu, unsigned int vector);
/** Call them all. Returns: false when there is none. Context: interrupt. */
bool irq_handle_run(unsigned int cpu, unsigned int vector);

size_t irq_handles_list(struct irq_info *out, size_t max);

#endif
