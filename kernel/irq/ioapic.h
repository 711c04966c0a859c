/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOAPICs: redirection entries by global system interrupt. Intel 82093AA datasheet.
 * Owns: the entries. Locking: own spinlock. Context: any but NMI.
 */
#ifndef RAYOS_KERNEL_IRQ_IOAPIC_H
#define RAYOS_KERNEL_IRQ_IOAPIC_H

#include "kernel/lib/types.h"

struct madt_info;

/** Map and mask all that are listed and answer. Returns: how many. Context: init. */
unsigned int ioapic_init(const struct madt_info *madt);

/** Whether some IOAPIC serves @gsi. */
bool ioapic_has(uint32_t gsi);

/** Route @gsi, which exists, and leave it masked. */
void ioapic_route(uint32_t gsi, uint32_t apic_id, uint8_t vector, bool level, bool active_low);
void ioapic_mask(uint32_t gsi, bool masked);

#endif
