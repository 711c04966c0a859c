/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory map building, see memmap.h. Every start and end of a statement is an edge; between
 * two neighbouring edges the map is uniform, so each such piece is looked up by itself. That
 * is quadratic, and right for any overlap; firmware maps have a few hundred entries.
 */
#include "boot/memmap.h"

#define ADDR_END (1ull << 52) /* AMD64 vol. 2, 5.1: the most a page table can name */

static int restrictiveness(uint32_t type)
{
	switch (type) {
	case BOOT_MEM_RAM:
		return 1;
	case BOOT_MEM_ACPI:
		return 2;
	case BOOT_MEM_ACPI_NVS:
		return 3;
	case BOOT_MEM_EFI_RT:
		return 4;
	case BOOT_MEM_RESERVED:
		return 5;
	case BOOT_MEM_MMIO:
		return 6;
	default:
		return 7;
	}
}

/* RAM is shrunk to whole pages, everything else is grown to them. */
static bool clip(const struct boot_mem *m, uint64_t *start, uint64_t *end)
{
	uint64_t e;

	if (m->base >= ADDR_END || m->len == 0)
		return false;
	e = m->len > ADDR_END - m->base ? ADDR_END : m->base + m->len;
	if (m->type == BOOT_MEM_RAM) {
		*start = ALIGN_UP(m->base, PAGE_SIZE);
		*end = ALIGN_DOWN(e, PAGE_SIZE);
	} else {
		*start = ALIGN_DOWN(m->base, PAGE_SIZE);
		*end = ALIGN_UP(e, PAGE_SIZE);
	}
	return *start < *end;
}

static void sift_down(uint64_t *a, uint64_t root, uint64_t n)
{
	for (uint64_t child; (child = 2 * root + 1) < n; root = child) {
		uint64_t t;

		if (child + 1 < n && a[child + 1] > a[child])
			child++;
		if (a[root] >= a[child])
			return;
		t = a[root];
		a[root] = a[child];
		a[child] = t;
	}
}

/* Heap sort: no recursion and no bad case for a hostile map. */
static void sort(uint64_t *a, uint64_t n)
{
	for (uint64_t i = n / 2; i-- > 0;)
		sift_down(a, i, n);
	for (uint64_t end = n; end-- > 1;) {
		uint64_t t = a[0];

		a[0] = a[end];
		a[end] = t;
		sift_down(a, 0, end);
	}
}

static uint64_t edges_add(const struct boot_mem *m, uint32_t n, uint64_t *edges, uint64_t count)
{
	uint64_t start, end;

	for (uint32_t i = 0; i < n; i++) {
		if (!clip(&m[i], &start, &end))
			continue;
		edges[count++] = start;
		edges[count++] = end;
	}
	return count;
}

/* Type of the most restrictive statement that covers @addr, 0 when none does. */
static uint32_t type_at(const struct boot_mem *m, uint32_t n, uint64_t addr)
{
	uint64_t start, end;
	uint32_t type = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (!clip(&m[i], &start, &end) || addr < start || addr >= end)
			continue;
		if (type == 0 || restrictiveness(m[i].type) > restrictiveness(type))
			type = m[i].type;
	}
	return type;
}

uint32_t memmap_build(const struct boot_mem *in, uint32_t n, const struct boot_mem *own,
		      uint32_t own_n, uint64_t *edges, struct boot_mem *out)
{
	uint64_t count = edges_add(in, n, edges, 0);
	uint32_t made = 0;

	count = edges_add(own, own_n, edges, count);
	sort(edges, count);
	for (uint64_t i = 0; i + 1 < count; i++) {
		uint64_t start = edges[i], end = edges[i + 1];
		uint32_t type;

		if (start == end)
			continue;
		type = type_at(own, own_n, start);
		if (type == 0)
			type = type_at(in, n, start);
		if (type == 0)
			continue;
		if (made > 0 && out[made - 1].type == type &&
		    out[made - 1].base + out[made - 1].len == start)
			out[made - 1].len += end - start;
		else
			out[made++] =
				(struct boot_mem){.base = start, .len = end - start, .type = type};
	}
	return made;
}
