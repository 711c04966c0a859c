/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware's ACPI tables as bytes, from early boot on, without AML.
 * Owns: the mappings of all sound tables. Must not know: what the tables mean.
 * Locking: written once by acpi_tables_init() on the boot CPU, read-only afterwards.
 */
#ifndef RAYOS_KERNEL_ACPI_TABLES_H
#define RAYOS_KERNEL_ACPI_TABLES_H

#include "kernel/acpi/walk.h"
#include "kernel/lib/types.h"

struct boot_info;

/**
 * Find and check the tables. Firmware without ACPI is normal.
 * Context: init, after vmap() works, before interrupts and SMP
 * Returns: 0, -RAY_ENODEV (no ACPI here), -RAY_EPROTO (RSDP there, root table damaged)
 */
int __must_check acpi_tables_init(const struct boot_info *bi);

/**
 * One table, header included; its length is at least ACPI_SDT_HDR_LEN (the FACS': 64) and its
 * checksum is right. It stays mapped for ever.
 * @instance  0 for the first of that signature
 * Returns: NULL when there is none. Context: any.
 * Trust:   the contents are firmware's: check every field against *len
 */
const void *acpi_table_find(const char sig[4], unsigned int instance, size_t *len);

/** All of them; never NULL, empty without ACPI. */
const struct acpi_table_list *acpi_tables(void);

/** Address of the RSDP, 0 without ACPI. */
hpa_t acpi_rsdp_hpa(void);

#endif
