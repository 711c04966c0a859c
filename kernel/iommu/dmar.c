/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/iommu/dmar.h"

#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"
#include "kernel/mm/page.h"

#define OFF_WIDTH   36u
#define OFF_FIRST   48u
#define TYPE_UNIT   0u
#define TYPE_REGION 1u
#define UNIT_LEN    16u
#define UNIT_ALL    BIT(0)
#define REGION_LEN  24u
#define SCOPE_LEN   6u
#define SCOPE_ENDPOINT 1u
#define SCOPE_BRIDGE   2u

/* Where one stands, from its beginning on. */
struct piece {
	const uint8_t *p;
	size_t len;
};

static void scope_take(const uint8_t *p, struct dmar_info *out)
{
	unsigned int hops = (p[1] - SCOPE_LEN) / 2u;
	struct dmar_scope *s = &out->scope[out->scope_count];

	/* Others are interrupt controllers and timers: no DMA of theirs is mapped. */
	if (p[0] != SCOPE_ENDPOINT && p[0] != SCOPE_BRIDGE)
		return;
	if (hops == 0 || hops > DMAR_PATH_MAX || out->scope_count == DMAR_SCOPES_MAX) {
		out->ignored++;
		return;
	}
	*s = (struct dmar_scope){
		.below = p[0] == SCOPE_BRIDGE, .bus = p[5], .hops = (uint8_t)hops};
	for (unsigned int i = 0; i < hops; i++)
		s->path[i] = (uint8_t)((p[SCOPE_LEN + 2 * i] & 0x1fu) << 3 |
				       (p[SCOPE_LEN + 2 * i + 1] & 7u));
	out->scope_count++;
}

/* Those that follow at @off. */
static int scopes_take(const struct piece *s, size_t off, struct dmar_info *out,
		       struct dmar_scopes *scopes)
{
	scopes->first = out->scope_count;
	while (off < s->len) {
		const uint8_t *p = s->p + off;

		if (s->len - off < SCOPE_LEN || p[1] < SCOPE_LEN || p[1] > s->len - off)
			return -RAY_EPROTO;
		scope_take(p, out);
		off += p[1];
	}
	scopes->count = (uint16_t)(out->scope_count - scopes->first);
	return 0;
}

static int unit_take(const struct piece *s, struct dmar_info *out)
{
	struct dmar_unit *u = &out->unit[out->unit_count];
	uint64_t base;

	if (s->len < UNIT_LEN)
		return -RAY_EPROTO;
	base = load64(s->p + 8);
	if (load16(s->p + 6) != 0)
		return 0;
	if (base == 0 || base % PAGE_SIZE || out->unit_count == DMAR_UNITS_MAX) {
		out->ignored++;
		return 0;
	}
	*u = (struct dmar_unit){.base = base, .all = (s->p[4] & UNIT_ALL) != 0};
	out->unit_count++;
	return scopes_take(s, UNIT_LEN, out, &u->scopes);
}

static int region_take(const struct piece *s, struct dmar_info *out)
{
	struct dmar_region *r = &out->region[out->region_count];
	uint64_t first, last;

	if (s->len < REGION_LEN)
		return -RAY_EPROTO;
	first = load64(s->p + 8);
	last = load64(s->p + 16);
	if (load16(s->p + 6) != 0)
		return 0;
	if (first % PAGE_SIZE || last % PAGE_SIZE != PAGE_SIZE - 1 || last < first ||
	    last - first >= GIB(4) || out->region_count == DMAR_REGIONS_MAX) {
		out->ignored++;
		return 0;
	}
	*r = (struct dmar_region){.first = first, .last = last};
	out->region_count++;
	return scopes_take(s, REGION_LEN, out, &r->scopes);
}

static int one_take(const struct piece *s, struct dmar_info *out)
{
	switch (load16(s->p)) {
	case TYPE_UNIT:
		return unit_take(s, out);
	case TYPE_REGION:
		return region_take(s, out);
	default:
		return 0;
	}
}

int dmar_parse(const void *table, size_t len, struct dmar_info *out)
{
	const uint8_t *p = table;
	size_t off = OFF_FIRST;

	*out = (struct dmar_info){.unit_count = 0};
	if (len < OFF_FIRST)
		return -RAY_EPROTO;
	out->address_bits = (uint8_t)(p[OFF_WIDTH] + 1u);
	while (off < len) {
		struct piece s = {.p = p + off};
		int err;

		if (len - off < 4)
			return -RAY_EPROTO;
		s.len = load16(p + off + 2);
		if (s.len < 4 || s.len > len - off)
			return -RAY_EPROTO;
		err = one_take(&s, out);
		if (err)
			return err;
		off += s.len;
	}
	return 0;
}
