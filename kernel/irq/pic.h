/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair of 8259s: put out of the way, or used where there is no IOAPIC.
 * Locking: the caller's.
 */
#ifndef RAYOS_KERNEL_IRQ_PIC_H
#define RAYOS_KERNEL_IRQ_PIC_H

#include "kernel/lib/types.h"

/** Move it to VECTOR_PIC_BASE, all inputs masked. */
void pic_init(void);
void pic_mask(unsigned int irq, bool masked);
void pic_level(unsigned int irq, bool level);
/** False for a spurious interrupt, of which the slave's cascade is acknowledged if need be. */
bool pic_is_real(unsigned int irq);
void pic_eoi(unsigned int irq);

#endif
