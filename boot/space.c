/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's first address space, see space.h. */
#include "boot/space.h"

#include <string.h>

#include "boot/con.h"
#include "boot/cpu.h"
#include "boot/handover.h"
#include "boot/mem.h"
#include "boot/paging.h"
#include "kernel/lib/err.h"

#define STACK_SIZE KIB(16)
/* Pages taken from the firmware at once. Doubled each time, so that terabytes of RAM do not
 * fill the table of own allocations. */
#define POOL_FIRST 32u

/* Flat segments, already marked accessed: their page is not writable. SDM vol. 3A, 3.4.5. */
#define GDT_CODE64 0x00af9b000000ffffull
#define GDT_CODE32 0x00cf9b000000ffffull
#define GDT_DATA   0x00cf93000000ffffull

#define CR4_LA57           (1u << 12)
#define CPUID_EXT_FEATURES 0x80000001u
#define CPUID_EXT_EDX_1G   (1u << 26)

static struct {
	uint64_t next, left, chunk; /* pages, but next */
} pool;

static int pool_page_alloc(uint64_t *addr)
{
	if (pool.left == 0) {
		int err = mem_alloc_zeroed(pool.chunk * PAGE_SIZE, &pool.next);

		if (err)
			return err;
		pool.left = pool.chunk;
		pool.chunk *= 2;
	}
	*addr = pool.next;
	pool.next += PAGE_SIZE;
	pool.left--;
	return 0;
}

static int direct_map(const struct boot_info *bi, struct paging *p, uint64_t start, uint64_t end)
{
	return paging_map(p, bi->phys_map_base + start, start, end - start, PAGING_W | PAGING_NX,
			  SIZE_1G);
}

/* What may be cached and read speculatively; device memory above 4 GiB stays unmapped. */
static bool is_ram(uint32_t type)
{
	return type == BOOT_MEM_RAM || type == BOOT_MEM_ACPI || type == BOOT_MEM_ACPI_NVS ||
	       type == BOOT_MEM_EFI_RT;
}

static int direct_map_all(const struct boot_info *bi, struct paging *p, const struct boot_mem *map,
			  uint32_t count)
{
	int err = direct_map(bi, p, 0, GIB(4));

	for (uint32_t i = 0; i < count && !err; i++) {
		uint64_t start = MAX(ALIGN_DOWN(map[i].base, SIZE_2M), GIB(4));
		uint64_t end;

		if (!is_ram(map[i].type) || map[i].base >= KIMAGE_DIRECT_MAP_MAX)
			continue;
		end = map[i].base + MIN(map[i].len, KIMAGE_DIRECT_MAP_MAX - map[i].base);
		end = ALIGN_UP(end, SIZE_2M);
		if (start < end)
			err = direct_map(bi, p, start, end);
	}
	return err;
}

int space_build(const struct boot_info *bi, const struct kimage *k, const struct boot_mem *map,
		uint32_t count, struct space *out)
{
	bool gib = (cpuid(CPUID_EXT_FEATURES, 0).edx & CPUID_EXT_EDX_1G) != 0;
	uint64_t stack;
	struct paging p;
	int err;

	pool.left = 0;
	pool.chunk = POOL_FIRST;
	err = paging_init(&p, gib ? SIZE_1G : SIZE_2M, pool_page_alloc);
	if (!err)
		err = direct_map_all(bi, &p, map, count);
	if (!err)
		err = kimage_map(bi, k, &p);
	if (!err)
		err = mem_alloc_code_page(&out->page);
	if (!err)
		err = paging_map(&p, out->page, out->page, PAGE_SIZE, 0, PAGE_SIZE);
	if (!err)
		err = mem_alloc_zeroed(STACK_SIZE, &stack);
	if (err)
		return err;
	/* 32-bit code on the way out of 5-level paging loads CR3. */
	if (p.root > UINT32_MAX && (cpu_cr4() & CR4_LA57) != 0)
		return -RAY_ERANGE;
	memcpy(mem_ptr(out->page), handover_code, (size_t)(handover_code_end - handover_code));
	out->stack = bi->phys_map_base + stack + STACK_SIZE;
	out->cr3 = p.root;
	return 0;
}

void space_enter(const struct space *s, const struct boot_info *bi, uint64_t entry)
{
	handover_fn *go = (handover_fn *)mem_ptr(s->page);
	struct handover *h = mem_ptr(s->page + HANDOVER_DATA_AT);

	*h = (struct handover){
		.info = bi->phys_map_base + (uintptr_t)bi,
		.entry = entry,
		.cr3 = s->cr3,
		.stack = s->stack,
		.far_offset = (uint32_t)(s->page + (size_t)(handover_code64 - handover_code)),
		.far_selector = HANDOVER_CS64,
		.gdt_limit = sizeof(h->gdt) - 1,
		.gdt_base = s->page + HANDOVER_DATA_AT + offsetof(struct handover, gdt),
		.gdt = {0, GDT_CODE64, GDT_CODE32, GDT_DATA},
	};
	go(h);
	__builtin_unreachable();
}
