/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory map a guest is told, in the form of BIOS function E820 (ACPI 6.5, 15.1).
 */
#ifndef RAYOS_HV_LOADER_E820_H
#define RAYOS_HV_LOADER_E820_H

#include "kernel/lib/types.h"

struct gmem;

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

struct e820_entry {
	uint64_t base;
	uint64_t size;
	uint32_t type;
} __packed;
BUILD_ASSERT(sizeof(struct e820_entry) == 20, "ACPI 15.1 layout");

#define E820_MAX (2 * 8 + 4)

/* Below 1 MiB: RAM up to the EBDA, then what a PC has there; firmware tables lie in the top
 * 128 KiB. */
#define GUEST_LOW_RAM_END  0x9fc00u
#define GUEST_FIRMWARE     0xe0000u
#define GUEST_ONE_MIB      0x100000u

/** Write the map of a guest's memory; returns the number of entries, sorted by base. */
unsigned int e820_build(const struct gmem *m, struct e820_entry out[E820_MAX]);

#endif
