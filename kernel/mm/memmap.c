/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mm/memmap.h"

#include <string.h>

/* Later ones win over earlier ones. Types not in here count as reserved. */
static const uint32_t by_rank[] = {
	BOOT_MEM_RAM,	   BOOT_MEM_LOADER, BOOT_MEM_MODULE, BOOT_MEM_KERNEL,	BOOT_MEM_ACPI,
	BOOT_MEM_ACPI_NVS, BOOT_MEM_EFI_RT, BOOT_MEM_MMIO,   BOOT_MEM_RESERVED, BOOT_MEM_BAD,
};

bool memmap_type_is_ram(uint32_t type)
{
	return type == BOOT_MEM_RAM || type == BOOT_MEM_LOADER || type == BOOT_MEM_MODULE ||
	       type == BOOT_MEM_KERNEL;
}

const char *memmap_type_name(uint32_t type)
{
	static const char *const names[] = {
		[BOOT_MEM_RAM] = "ram",		  [BOOT_MEM_LOADER] = "loader",
		[BOOT_MEM_KERNEL] = "kernel",	  [BOOT_MEM_MODULE] = "module",
		[BOOT_MEM_ACPI] = "acpi",	  [BOOT_MEM_ACPI_NVS] = "acpi-nvs",
		[BOOT_MEM_EFI_RT] = "efi-runtime", [BOOT_MEM_RESERVED] = "reserved",
		[BOOT_MEM_MMIO] = "mmio",	  [BOOT_MEM_BAD] = "bad",
	};

	return type < ARRAY_SIZE(names) && names[type] ? names[type] : "unknown";
}

static uint64_t range_end(const struct mem_range *r)
{
	return r->base + r->len;
}

static void range_delete(struct memmap *m, uint32_t i)
{
	m->count--;
	memmove(&m->r[i], &m->r[i + 1], (m->count - i) * sizeof(m->r[0]));
}

static void range_drop(struct memmap *m, uint64_t len, uint32_t type)
{
	if (memmap_type_is_ram(type))
		m->dropped += len;
}

/* Remove [base, end) from the one range i, which overlaps it; returns whether i is gone. */
static bool range_cut(struct memmap *m, uint32_t i, uint64_t base, uint64_t end)
{
	struct mem_range *r = &m->r[i];
	uint64_t before = base > r->base ? base - r->base : 0;
	uint64_t after = range_end(r) > end ? range_end(r) - end : 0;

	if (before && after && m->count == MEMMAP_MAX) {
		range_drop(m, MIN(before, after), r->type);
		if (before < after)
			before = 0;
		else
			after = 0;
	}
	if (before && after) {
		memmove(&r[2], &r[1], (m->count - i - 1) * sizeof(*r));
		m->count++;
		r[1] = (struct mem_range){ .base = end, .len = after, .type = r->type };
		r->len = before;
	} else if (before) {
		r->len = before;
	} else if (after) {
		r->base = end;
		r->len = after;
	} else {
		range_delete(m, i);
		return true;
	}
	return false;
}

static void carve(struct memmap *m, uint64_t base, uint64_t end)
{
	uint32_t i = 0;

	while (i < m->count && m->r[i].base < end) {
		if (range_end(&m->r[i]) <= base || !range_cut(m, i, base, end))
			i++;
	}
}

/* Make room by giving up the smallest RAM range, if that is smaller than @len. */
static bool evict_smaller(struct memmap *m, uint64_t len)
{
	uint32_t smallest = MEMMAP_MAX;

	for (uint32_t i = 0; i < m->count; i++)
		if (memmap_type_is_ram(m->r[i].type) && m->r[i].len < len &&
		    (smallest == MEMMAP_MAX || m->r[i].len < m->r[smallest].len))
			smallest = i;
	if (smallest == MEMMAP_MAX)
		return false;
	range_drop(m, m->r[smallest].len, m->r[smallest].type);
	range_delete(m, smallest);
	return true;
}

/* [base, end) is free of ranges. */
static void insert(struct memmap *m, uint64_t base, uint64_t end, uint32_t type)
{
	uint32_t i = 0;
	bool left, right;

	while (i < m->count && m->r[i].base < base)
		i++;
	left = i > 0 && m->r[i - 1].type == type && range_end(&m->r[i - 1]) == base;
	right = i < m->count && m->r[i].type == type && m->r[i].base == end;
	if (left) {
		m->r[i - 1].len += end - base;
		if (right) {
			m->r[i - 1].len += m->r[i].len;
			range_delete(m, i);
		}
		return;
	}
	if (right) {
		m->r[i].base = base;
		m->r[i].len += end - base;
		return;
	}
	if (m->count == MEMMAP_MAX) {
		/* Without an entry the hole reads as "not RAM", which is what is meant. */
		if (!memmap_type_is_ram(type))
			return;
		if (!evict_smaller(m, end - base)) {
			range_drop(m, end - base, type);
			return;
		}
		insert(m, base, end, type);
		return;
	}
	memmove(&m->r[i + 1], &m->r[i], (m->count - i) * sizeof(m->r[0]));
	m->count++;
	m->r[i] = (struct mem_range){ .base = base, .len = end - base, .type = type };
}

void memmap_set(struct memmap *m, uint64_t base, uint64_t len, uint32_t type)
{
	carve(m, base, base + len);
	insert(m, base, base + len, type);
}

/* Page-aligned extent of a raw entry: RAM shrinks to whole pages, anything else grows. */
static bool entry_extent(const struct boot_mem *e, uint64_t *base, uint64_t *end)
{
	uint64_t b = e->base, l = e->len;

	if (l == 0 || b >= MEMMAP_PHYS_LIMIT)
		return false;
	if (e->type == BOOT_MEM_RAM) {
		/* RAM that claims to reach past the end of memory is not believed at all. */
		if (b + l < b)
			return false;
		*base = ALIGN_UP(b, PAGE_SIZE);
		*end = ALIGN_DOWN(MIN(b + l, MEMMAP_PHYS_LIMIT), PAGE_SIZE);
		return *base < *end;
	}
	*base = ALIGN_DOWN(b, PAGE_SIZE);
	*end = l > MEMMAP_PHYS_LIMIT - b ? MEMMAP_PHYS_LIMIT : ALIGN_UP(b + l, PAGE_SIZE);
	return true;
}

static uint32_t entry_type(const struct boot_mem *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(by_rank); i++)
		if (by_rank[i] == e->type)
			return e->type;
	return BOOT_MEM_RESERVED;
}

void memmap_build(struct memmap *m, const struct boot_mem *in, size_t n)
{
	uint64_t base, end;

	memset(m, 0, sizeof(*m));
	for (size_t rank = 0; rank < ARRAY_SIZE(by_rank); rank++) {
		for (size_t i = 0; i < n; i++) {
			if (entry_type(&in[i]) != by_rank[rank])
				continue;
			if (entry_extent(&in[i], &base, &end))
				memmap_set(m, base, end - base, by_rank[rank]);
			else
				m->senseless++;
		}
	}
}

bool memmap_is_ram(const struct memmap *m, uint64_t base, uint64_t len)
{
	uint64_t at = base, end = base + len;

	if (end <= base)
		return false;
	for (uint32_t i = 0; i < m->count && at < end; i++) {
		const struct mem_range *r = &m->r[i];

		if (memmap_type_is_ram(r->type) && r->base <= at && at < range_end(r))
			at = range_end(r);
	}
	return at >= end;
}
