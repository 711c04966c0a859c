/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the CPU list from an ACPI MADT.
 *
 * Owns: nothing; pure. Must not know: EFI, where tables are. Builds on the host for tests.
 */
#ifndef RAYOS_BOOT_MADT_H
#define RAYOS_BOOT_MADT_H

#include "boot/boot_info.h"
#include "kernel/lib/types.h"

/**
 * Collect the enabled CPUs of a MADT, in table order, each APIC id once.
 * @madt, @len  the table with its header
 * @bsp         APIC id of the running CPU
 * @out, @max   result
 * Context: any
 * Returns: CPUs stored (0 when the table names none); what comes behind a malformed entry
 *          is not looked at
 * Trust:   the table is the firmware's and may be damaged
 * Spec:    ACPI 6.5, 5.2.12
 */
uint32_t madt_cpus(const void *madt, uint32_t len, uint32_t bsp, struct boot_cpu *out,
		   uint32_t max);

#endif
