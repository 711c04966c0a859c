/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the MADT: IOAPICs and how ISA interrupts reach them (ACPI 6.5 sec. 5.2.12). Pure.
 * CPUs come from the loader's list and are only counted here.
 */
#ifndef RAYOS_KERNEL_ACPI_MADT_H
#define RAYOS_KERNEL_ACPI_MADT_H

#include "kernel/lib/types.h"

#define MADT_IOAPIC_MAX   16u
#define MADT_ISA_IRQS     16u

struct madt_ioapic {
	uint32_t addr; /* physical */
	uint32_t gsi_base;
	uint8_t id;
};

/* Where an ISA interrupt arrives; identity, edge, active high unless overridden. */
struct madt_isa {
	uint32_t gsi;
	bool level;
	bool active_low;
};

struct madt_info {
	uint64_t lapic_addr; /* 64-bit override included */
	bool has_8259;
	uint32_t ioapic_count;
	uint32_t cpu_count; /* enabled processors listed */
	uint32_t ignored;   /* entries beyond a limit or with nonsense in them */
	struct madt_ioapic ioapic[MADT_IOAPIC_MAX];
	struct madt_isa isa[MADT_ISA_IRQS];
};

/** What holds without any table: identity, no IOAPIC. */
void madt_defaults(struct madt_info *out);

/**
 * Read a table.
 * @table, @len  all of it, its header included
 * Returns: 0; -RAY_EPROTO when an entry reaches outside the table or has no length: what was
 *          read until then stays in *out
 * Trust:   the bytes are the firmware's
 */
int __must_check madt_parse(const void *table, size_t len, struct madt_info *out);

#endif
