/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/block/fit.h"

#include <string.h>

#include "kernel/mm/page.h"

#define LOGICAL_MIN 512u
#define LOGICAL_MAX 4096u

static bool power_of_two(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

const char *block_limits_wrong(const struct block_limits *l)
{
	if (!power_of_two(l->logical) || l->logical < LOGICAL_MIN || l->logical > LOGICAL_MAX)
		return "logical block size";
	if (!power_of_two(l->physical) || l->physical < l->logical)
		return "physical block size";
	if (l->bytes_max < PAGE_SIZE || l->bytes_max % l->logical)
		return "bytes of a command";
	if (l->segs_max == 0 || (l->seg_len_max != 0 && l->seg_len_max < PAGE_SIZE))
		return "pieces of a command";
	if ((l->seg_align & (l->seg_align + 1)) != 0 || l->seg_align >= l->logical)
		return "alignment of a piece";
	if (l->page != 0 && (!power_of_two(l->page) || l->page < l->logical || l->page > PAGE_SIZE))
		return "page size";
	if (l->discard_granule % l->logical || l->discard_max % l->logical ||
	    l->zero_max % l->logical)
		return "granule";
	return NULL;
}

/* Whether a piece may stand in a command, apart from its place there. */
static bool piece_good(const struct block_limits *l, uint64_t addr, uint64_t len)
{
	return ((addr | len) & l->seg_align) == 0 && addr + len - 1 <= l->dma_max &&
	       (l->seg_len_max == 0 || len <= l->seg_len_max);
}

bool block_joins(const struct block_limits *l, const struct block_seg *a, const struct block_seg *b)
{
	uint64_t inner = l->page ? l->page - 1 : 0;

	return (((a->addr.v + a->len) | b->addr.v) & inner) == 0;
}

bool block_fits(const struct block_limits *l, const struct block_req *r)
{
	if (r->len > l->bytes_max || r->seg_count > l->segs_max)
		return false;
	for (uint32_t i = 0; i < r->seg_count; i++) {
		if (!piece_good(l, r->seg[i].addr.v, r->seg[i].len) ||
		    (i > 0 && !block_joins(l, &r->seg[i - 1], &r->seg[i])))
			return false;
	}
	return true;
}

/* A walk over the pieces from a request's position on. */
struct walk {
	const struct block_req *r;
	uint32_t at, off;
};

static bool walk_next(struct walk *w, struct block_seg *out, uint64_t max)
{
	const struct block_seg *s = &w->r->seg[w->at];

	if (w->at == w->r->seg_count || max == 0)
		return false;
	out->addr = HPA(s->addr.v + w->off);
	out->len = (uint32_t)MIN((uint64_t)s->len - w->off, max);
	w->off += out->len;
	if (w->off == s->len) {
		w->at++;
		w->off = 0;
	}
	return true;
}

/* Cut the pieces to @bytes. Returns: how many are left. */
static uint32_t cut(struct block_seg *seg, uint64_t bytes)
{
	uint32_t n = 0;

	for (; bytes > 0; n++) {
		seg[n].len = (uint32_t)MIN((uint64_t)seg[n].len, bytes);
		bytes -= seg[n].len;
	}
	return n;
}

uint64_t block_slice(const struct block_limits *l, const struct block_req *r,
		     struct block_seg *out, uint32_t *count)
{
	uint64_t sum = 0, good = 0;
	uint64_t left = MIN(r->len - r->issued, (uint64_t)l->bytes_max);
	struct walk w = {.r = r, .at = r->seg_at, .off = r->seg_off};
	bool whole = true;
	uint32_t n = 0;

	while (whole && n < l->segs_max && sum < left) {
		uint64_t max = MIN(left - sum, l->seg_len_max ? l->seg_len_max : UINT32_MAX);
		struct block_seg s;

		if (!walk_next(&w, &s, max) || (n > 0 && !block_joins(l, &out[n - 1], &s)))
			break;
		/* The command may end inside of a piece whose end is not aligned. */
		whole = (s.len & l->seg_align) == 0;
		s.len &= ~l->seg_align;
		if (s.len == 0 || !piece_good(l, s.addr.v, s.len))
			break;
		out[n++] = s;
		sum += s.len;
		good = ALIGN_DOWN(sum, (uint64_t)l->logical);
	}
	*count = cut(out, good);
	return good;
}

void block_advance(struct block_req *r, uint64_t bytes)
{
	r->issued += bytes;
	while (bytes > 0) {
		uint64_t here = MIN((uint64_t)r->seg[r->seg_at].len - r->seg_off, bytes);

		r->seg_off += (uint32_t)here;
		bytes -= here;
		if (r->seg_off == r->seg[r->seg_at].len) {
			r->seg_at++;
			r->seg_off = 0;
		}
	}
}

void block_copy(const struct block_req *r, uint64_t at, void *buf, uint64_t len, bool to_buf)
{
	char *p = buf;

	for (uint32_t i = 0; i < r->seg_count && len > 0; i++) {
		uint64_t n;
		char *mem;

		if (at >= r->seg[i].len) {
			at -= r->seg[i].len;
			continue;
		}
		n = MIN((uint64_t)r->seg[i].len - at, len);
		mem = (char *)hpa_to_va(r->seg[i].addr) + at;
		if (to_buf)
			memcpy(p, mem, n);
		else
			memcpy(mem, p, n);
		p += n;
		len -= n;
		at = 0;
	}
}

uint64_t block_range_max(const struct block_limits *l, enum block_op op)
{
	return op == BLOCK_DISCARD ? l->discard_max : l->zero_max;
}
