/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "mm"
#include "kernel/mm/mm.h"

#include "kernel/arch/start.h"
#include "kernel/bootinfo.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/kspace.h"
#include "kernel/mm/page_priv.h"
#include "kernel/mm/vmap.h"
#include "kernel/panic.h"

static struct memmap map;

const struct memmap *mm_map(void)
{
	return &map;
}

static void map_init(const struct boot_info *bi)
{
	memmap_build(&map, hpa_to_va(HPA(bi->mem.addr)), bi->mem_count);
	/* Page 0 stays out so that 0 can mean "none", and so that BIOS data survives. */
	memmap_set(&map, 0, PAGE_SIZE, BOOT_MEM_RESERVED);
	if (bi->ap_trampoline)
		memmap_set(&map, ALIGN_DOWN(bi->ap_trampoline, (uint32_t)PAGE_SIZE), PAGE_SIZE,
			   BOOT_MEM_RESERVED);
	if (map.senseless || map.dropped)
		log_warn("memory map is odd, senseless=%u dropped_bytes=%lu",
			 (unsigned int)map.senseless, map.dropped);
}

void mm_reclaim_loader(void)
{
	uint32_t i = 0;

	while (i < map.count) {
		const struct mem_range r = map.r[i];

		if (r.type != BOOT_MEM_LOADER) {
			i++;
			continue;
		}
		page_donate(r.base, r.len);
		/* Merges with its neighbours: what comes next is at this index or before. */
		memmap_set(&map, r.base, r.len, BOOT_MEM_RAM);
		i = 0;
	}
}

void mm_init(void)
{
	const struct boot_info *bi = bootinfo();

	mm_direct_base = bi->phys_map_base;
	map_init(bi);
	if (page_init(&map) != 0)
		panic("no RAM that could hold the page allocator's tables");
	kspace_init(&map, bi, arch_entropy(bi));
	vmap_init(arch_entropy(bi));
	heap_init();
}
