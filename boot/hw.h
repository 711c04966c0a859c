/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader finds out about the machine. Each function fills its fields of boot_info
 * and sets their feature bit; a missing facility leaves both alone and is no error.
 *
 * Owns: nothing. Context: boot services, BSP, unless said otherwise.
 */
#ifndef RAYOS_BOOT_HW_H
#define RAYOS_BOOT_HW_H

#include "boot/boot_info.h"
#include "kernel/lib/types.h"

/** ACPI root pointer (2.0 before 1.0) and SMBIOS entry point (3.x before 2.x). */
void acpi_collect(struct boot_info *bi);

/**
 * Find a valid ACPI table.
 * @signature  four characters
 * Context: boot services, after exit_map_get()
 * Returns: the table, checksum verified; NULL when there is none
 */
const void *acpi_table(const struct boot_info *bi, const char signature[4], uint32_t *len);

/** CPU list: MADT, else EFI_MP_SERVICES. Returns: 0, -RAY_ENOMEM. */
int __must_check cpus_collect(struct boot_info *bi);

/** Linear 32-bit framebuffer of the console's GOP. */
void gop_collect(struct boot_info *bi);

/** Copy of the TCG event log. */
void tcg_collect(struct boot_info *bi);

/** Append what firmware logged since. Context: after ExitBootServices. */
void tcg_finish(struct boot_info *bi);

/** Fill boot_info's entropy and its seed, and seed the loader's own generator. */
void rng_collect(struct boot_info *bi);

/** A number below @bound > 0, to place things with; not for keys. */
uint64_t rng_below(uint64_t bound);

#endif
