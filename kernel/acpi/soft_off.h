/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switching off without AML, for firmware whose code cannot be run: the values of \_S5 are
 * read out of the DSDT's bytes.
 * Must not know: ACPICA.
 */
#ifndef RAYOS_KERNEL_ACPI_SOFT_OFF_H
#define RAYOS_KERNEL_ACPI_SOFT_OFF_H

#include "kernel/lib/types.h"

struct acpi_s5 {
	uint8_t type_a, type_b; /* SLP_TYP for PM1a and PM1b, 0..7 */
};

/**
 * Find Name(_S5_, Package(){a, b, ...}) in AML (ACPI 6.5, 7.4.2 and 20.2). Pure.
 * Returns: 0, -RAY_ENOENT (nothing that looks like it)
 * Trust:   p is firmware's; any bytes
 */
int __must_check acpi_s5_scan(const void *p, size_t len, struct acpi_s5 *out);

/** Whether this machine can be switched off this way: 0, -RAY_ENODEV, -RAY_ENOSYS. */
int __must_check acpi_soft_off_prepare(void);
/** Do it; comes back when nothing happened. Context: any. */
void acpi_soft_off_enter(void);

#endif
