// SPDX-License-Identifier: Apache-2.0
#include "boot/boot_info.h"
#include "kernel/acpi/guard.h"
#include "kernel/lib/checked.h"
#include "kernel/mm/mm.h"

/* Physical addresses have at most 52 bits (SDM vol. 3, 4.1.4). */
#define PHYS_ADDR_MAX (1ull << 52)

static bool firmware_memory(uint32_t type)
{
	return type == BOOT_MEM_ACPI || type == BOOT_MEM_ACPI_NVS || type == BOOT_MEM_EFI_RT;
}

bool acpi_guard_allows(uint64_t hpa, uint64_t len, enum vmap_cache *cache)
{
	const struct memmap *map = mm_map();

	if (len == 0 || hpa >= PHYS_ADDR_MAX || len > PHYS_ADDR_MAX - hpa)
		return false;
	*cache = VMAP_UC;
	for (uint32_t i = 0; i < map->count; i++) {
		const struct mem_range *r = &map->r[i];

		if (!range_overlaps(hpa, len, r->base, r->len))
			continue;
		if (memmap_type_is_ram(r->type))
			return false;
		if (firmware_memory(r->type) && range_inside(hpa, len, r->base, r->len))
			*cache = VMAP_WB;
	}
	return true;
}
