/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the FADT (ACPI 6.5, 5.2.9) says that is needed without AML. Pure.
 */
#ifndef RAYOS_KERNEL_ACPI_FADT_H
#define RAYOS_KERNEL_ACPI_FADT_H

#include "kernel/lib/types.h"

enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI = 2 };

/* Generic Address Structure (5.2.3.2). */
struct acpi_gas {
	uint8_t space; /* enum acpi_space or something we do not know */
	uint8_t bit_width;
	uint64_t address;
};

struct acpi_fadt {
	uint32_t flags;
	uint16_t boot_arch; /* IAPC_BOOT_ARCH, 0 before ACPI 2 */
	uint16_t sci_irq;
	struct acpi_gas reset_reg; /* address 0: none */
	uint8_t reset_value;
	struct acpi_gas pm_timer; /* address 0: none */
	struct acpi_gas pm1a_control, pm1b_control; /* address 0: none */
	uint16_t smi_port; /* 0: ACPI mode is always on */
	uint8_t acpi_enable;
};

#define ACPI_FADT_TMR_32BIT     (1u << 8)
#define ACPI_FADT_RESET_REG_SUP (1u << 10)
#define ACPI_FADT_HW_REDUCED    (1u << 20)

#define ACPI_BOOT_ARCH_8042 (1u << 1)

/**
 * Read a FADT of any revision; what a short one lacks is 0.
 * @p, @len  the whole table
 * Returns:  0, -RAY_EPROTO (shorter than ACPI 1.0's)
 * Trust:    p is firmware's
 */
int __must_check acpi_fadt_parse(const void *p, size_t len, struct acpi_fadt *out);

#endif
