/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/iommu/ivrs.h"

#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"
#include "kernel/mm/page.h"

#define OFF_FIRST     48u
#define BLOCK_LEN     4u
#define UNIT_10_LEN   24u
#define UNIT_11_LEN   40u
#define REGION_LEN    32u

enum block_type {
	UNIT_10 = 0x10,
	UNIT_11 = 0x11,
	UNIT_40 = 0x40,
	REGION_ALL = 0x20,
	REGION_ONE = 0x21,
	REGION_RANGE = 0x22,
};

enum entry_type {
	ENTRY_ALL = 1,
	ENTRY_ONE = 2,
	ENTRY_FIRST = 3,
	ENTRY_LAST = 4,
	ENTRY_ALIAS = 0x42,
	ENTRY_ALIAS_FIRST = 0x43,
	ENTRY_EXT_ONE = 0x46,
	ENTRY_EXT_FIRST = 0x47,
	ENTRY_NAMED = 0xf0,
};
#define NAMED_LEN 22u /* and what its byte 21 says */

/* A walk over a unit's entries. */
struct walk {
	struct ivrs_info *out;
	uint16_t unit;
	struct ivrs_range open; /* begun by a FIRST entry */
	bool is_open;
};

static void range_add(struct walk *w, struct ivrs_range r)
{
	if (r.last < r.first || w->out->range_count == IVRS_RANGES_MAX) {
		w->out->ignored++;
		return;
	}
	r.unit = w->unit;
	w->out->range[w->out->range_count++] = r;
}

/* Bytes of an entry; 0: it does not fit. */
static size_t entry_len(const uint8_t *p, size_t left)
{
	size_t len = (size_t)4 << (p[0] >> 6);

	if (p[0] == ENTRY_NAMED)
		len = left >= NAMED_LEN ? NAMED_LEN + (size_t)p[NAMED_LEN - 1] : NAMED_LEN;
	return len <= left ? len : 0;
}

static void entry_take(struct walk *w, const uint8_t *p)
{
	uint16_t id = load16(p + 1);

	switch (p[0]) {
	case ENTRY_ALL:
		range_add(w, (struct ivrs_range){.first = 0, .last = UINT16_MAX});
		break;
	case ENTRY_ONE:
	case ENTRY_EXT_ONE:
		range_add(w, (struct ivrs_range){.first = id, .last = id});
		break;
	case ENTRY_ALIAS:
		range_add(w, (struct ivrs_range){.first = id, .last = id, .aliased = true,
						 .alias = load16(p + 5)});
		break;
	case ENTRY_FIRST:
	case ENTRY_EXT_FIRST:
		w->open = (struct ivrs_range){.first = id};
		w->is_open = true;
		break;
	case ENTRY_ALIAS_FIRST:
		w->open = (struct ivrs_range){.first = id, .aliased = true, .alias = load16(p + 5)};
		w->is_open = true;
		break;
	case ENTRY_LAST:
		w->open.last = id;
		if (w->is_open)
			range_add(w, w->open);
		w->is_open = false;
		break;
	default: /* padding, interrupt controllers and timers, devices without a PCI address */
		break;
	}
}

static int entries_take(struct walk *w, const uint8_t *p, size_t len)
{
	while (len) {
		size_t n = entry_len(p, len);

		if (n == 0)
			return -RAY_EPROTO;
		entry_take(w, p);
		p += n;
		len -= n;
	}
	return 0;
}

/* What an older block said of the same unit counts no more. */
static void ranges_drop(struct ivrs_info *out, uint16_t unit)
{
	uint16_t kept = 0;

	for (uint16_t i = 0; i < out->range_count; i++) {
		if (out->range[i].unit != unit)
			out->range[kept++] = out->range[i];
	}
	out->range_count = kept;
}

/* Its place; UNITS_MAX: no room, or a better block of it was there. */
static uint16_t unit_place(struct ivrs_info *out, const struct ivrs_unit *u)
{
	for (uint16_t i = 0; i < out->unit_count; i++) {
		if (out->unit[i].id != u->id)
			continue;
		if (out->unit[i].type >= u->type)
			return IVRS_UNITS_MAX;
		ranges_drop(out, i);
		return i;
	}
	if (out->unit_count == IVRS_UNITS_MAX) {
		out->ignored++;
		return IVRS_UNITS_MAX;
	}
	return out->unit_count++;
}

static int unit_take(const uint8_t *p, size_t len, struct ivrs_info *out)
{
	size_t head = p[0] == UNIT_10 ? UNIT_10_LEN : UNIT_11_LEN;
	struct ivrs_unit u = {.type = p[0]};
	struct walk w = {.out = out};

	if (len < head)
		return -RAY_EPROTO;
	if (load16(p + 16) != 0)
		return 0;
	u.id = load16(p + 4);
	u.base = load64(p + 8);
	if (u.base == 0 || u.base % PAGE_SIZE) {
		out->ignored++;
		return 0;
	}
	w.unit = unit_place(out, &u);
	if (w.unit == IVRS_UNITS_MAX)
		return 0;
	out->unit[w.unit] = u;
	return entries_take(&w, p + head, len - head);
}

static int region_take(const uint8_t *p, size_t len, struct ivrs_info *out)
{
	struct ivrs_region r;
	uint64_t bytes;

	if (len < REGION_LEN)
		return -RAY_EPROTO;
	r.first = load64(p + 16);
	bytes = load64(p + 24);
	r.id_first = p[0] == REGION_ALL ? 0 : load16(p + 4);
	r.id_last = p[0] == REGION_ALL ? UINT16_MAX : p[0] == REGION_RANGE ? load16(p + 6) : r.id_first;
	r.last = r.first + bytes - 1;
	if (r.first % PAGE_SIZE || bytes % PAGE_SIZE || bytes == 0 || bytes > GIB(4) ||
	    r.last < r.first || r.id_last < r.id_first || out->region_count == IVRS_REGIONS_MAX) {
		out->ignored++;
		return 0;
	}
	out->region[out->region_count++] = r;
	return 0;
}

static int block_take(const uint8_t *p, size_t len, struct ivrs_info *out)
{
	switch (p[0]) {
	case UNIT_10:
	case UNIT_11:
	case UNIT_40:
		return unit_take(p, len, out);
	case REGION_ALL:
	case REGION_ONE:
	case REGION_RANGE:
		return region_take(p, len, out);
	default:
		return 0;
	}
}

int ivrs_parse(const void *table, size_t len, struct ivrs_info *out)
{
	const uint8_t *p = table;
	size_t off = OFF_FIRST;

	*out = (struct ivrs_info){.unit_count = 0};
	if (len < OFF_FIRST)
		return -RAY_EPROTO;
	while (off < len) {
		size_t n;
		int err;

		if (len - off < BLOCK_LEN)
			return -RAY_EPROTO;
		n = load16(p + off + 2);
		if (n < BLOCK_LEN || n > len - off)
			return -RAY_EPROTO;
		err = block_take(p + off, n, out);
		if (err)
			return err;
		off += n;
	}
	return 0;
}

const struct ivrs_range *ivrs_range_of(const struct ivrs_info *info, uint16_t id)
{
	/* Later ones are about fewer devices: an entry for all comes first. */
	for (uint16_t i = info->range_count; i-- > 0;) {
		const struct ivrs_range *r = &info->range[i];

		if (id >= r->first && id <= r->last)
			return r;
	}
	return NULL;
}
