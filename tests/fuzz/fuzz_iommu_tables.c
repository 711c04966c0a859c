/* UNIT: kernel/iommu/dmar.c kernel/iommu/ivrs.c */
/* PARSER: kernel/iommu/dmar.c kernel/iommu/ivrs.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * DMAR and IVRS of any bytes: what is taken of them is inside its arrays, of whole pages, and in
 * order. The input's first byte chooses which of the two it is.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/iommu/dmar.h"
#include "kernel/iommu/ivrs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pages_check(uint64_t first, uint64_t last)
{
	if (first % 4096 || last % 4096 != 4095 || last < first || last - first >= 1ull << 32)
		abort();
}

static void scopes_check(const struct dmar_info *d, const struct dmar_scopes *s)
{
	if (s->first > d->scope_count || s->count > d->scope_count - s->first)
		abort();
	for (unsigned int i = 0; i < s->count; i++) {
		if (d->scope[s->first + i].hops == 0 || d->scope[s->first + i].hops > DMAR_PATH_MAX)
			abort();
	}
}

static void dmar_check(const uint8_t *data, size_t size)
{
	static struct dmar_info d;

	(void)!dmar_parse(data, size, &d);
	if (d.unit_count > DMAR_UNITS_MAX || d.region_count > DMAR_REGIONS_MAX ||
	    d.scope_count > DMAR_SCOPES_MAX)
		abort();
	for (unsigned int i = 0; i < d.unit_count; i++) {
		if (d.unit[i].base == 0 || d.unit[i].base % 4096)
			abort();
		scopes_check(&d, &d.unit[i].scopes);
	}
	for (unsigned int i = 0; i < d.region_count; i++) {
		pages_check(d.region[i].first, d.region[i].last);
		scopes_check(&d, &d.region[i].scopes);
	}
}

static void ivrs_check(const uint8_t *data, size_t size)
{
	static struct ivrs_info v;
	const struct ivrs_range *r;

	(void)!ivrs_parse(data, size, &v);
	if (v.unit_count > IVRS_UNITS_MAX || v.range_count > IVRS_RANGES_MAX ||
	    v.region_count > IVRS_REGIONS_MAX)
		abort();
	for (unsigned int i = 0; i < v.range_count; i++) {
		if (v.range[i].unit >= v.unit_count || v.range[i].last < v.range[i].first)
			abort();
	}
	for (unsigned int i = 0; i < v.region_count; i++) {
		pages_check(v.region[i].first, v.region[i].last);
		if (v.region[i].id_last < v.region[i].id_first)
			abort();
	}
	r = ivrs_range_of(&v, 0x123);
	if (r && (r < v.range || r >= v.range + v.range_count))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & 1)
		dmar_check(data + 1, size - 1);
	else
		ivrs_check(data + 1, size - 1);
	return 0;
}
