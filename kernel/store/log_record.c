/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the log: a byte for the type, then numbers of seven bits a byte, lowest first.
 * Blocks are named by how far they are from where the record before ended, so that what is
 * written in sequence takes few bytes. Pure.
 */
#include <string.h>

#include "kernel/store/store_priv.h"

/* What a record has, in this order. */
enum field {
	F_OTHER = BIT(0), F_KIND = BIT(1), F_FLAGS = BIT(2), F_SIZE = BIT(3), F_WHEN = BIT(4),
	F_NAME = BIT(5), F_RANGE = BIT(6), F_PHYS = BIT(7),
};

static const uint8_t fields[] = {
	[OP_MAP] = F_FLAGS | F_RANGE | F_PHYS,
	[OP_UNMAP] = F_RANGE,
	[OP_CREATE] = F_KIND | F_FLAGS | F_SIZE | F_WHEN | F_NAME,
	[OP_DELETE] = 0,
	[OP_RENAME] = F_NAME,
	[OP_RESIZE] = F_SIZE,
	[OP_BRANCH] = F_OTHER | F_KIND | F_FLAGS | F_WHEN | F_NAME,
	[OP_ROLLBACK] = F_OTHER,
	[OP_REPLACE] = F_OTHER,
	[OP_FLAGS] = F_FLAGS,
};

static uint8_t *put(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;
	return p;
}

/* Small numbers of either sign stay small. */
static uint64_t zigzag(uint64_t d)
{
	return d << 1 ^ (d >> 63 ? ~0ull : 0);
}

static uint64_t zagzig(uint64_t z)
{
	return z >> 1 ^ (z & 1 ? ~0ull : 0);
}

static uint8_t *put_blocks(uint8_t *p, struct log_state *s, const struct op *op, unsigned int f)
{
	if (f & F_RANGE) {
		p = put(p, zigzag(op->l - s->l));
		p = put(p, op->n);
		s->l = op->l + op->n;
	}
	if (f & F_PHYS) {
		p = put(p, zigzag(op->phys - s->p));
		s->p = op->phys + op->n;
		if (op->flags & STORE_EXTENT_SUMS) {
			memcpy(p, op->sums, op->n * sizeof(op->sums[0]));
			p += op->n * sizeof(op->sums[0]);
		}
	}
	return p;
}

size_t log_encode(uint8_t *start, struct log_state *s, const struct op *op)
{
	unsigned int f = fields[op->type];
	uint8_t *p = start;

	*p++ = (uint8_t)op->type;
	p = put(p, op->object);
	if (f & F_OTHER)
		p = put(p, op->other);
	if (f & F_KIND)
		p = put(p, op->kind);
	if (f & F_FLAGS)
		p = put(p, op->flags);
	if (f & F_SIZE)
		p = put(p, op->size);
	if (f & F_WHEN)
		p = put(p, op->when);
	if (f & F_NAME) {
		p = put(p, op->name_len);
		memcpy(p, op->name, op->name_len);
		p += op->name_len;
	}
	return (size_t)(put_blocks(p, s, op, f) - start);
}

/* --- back --- */

struct reader {
	const uint8_t *p, *end;
	bool bad;
};

static uint64_t get(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64 && r->p < r->end; shift += 7) {
		uint8_t b = *r->p++;

		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	r->bad = true;
	return 0;
}

static uint32_t get32(struct reader *r)
{
	uint64_t v = get(r);

	r->bad |= v > UINT32_MAX;
	return (uint32_t)v;
}

static const uint8_t *get_bytes(struct reader *r, size_t len)
{
	const uint8_t *p = r->p;

	if (r->bad || len > (size_t)(r->end - r->p)) {
		r->bad = true;
		return NULL;
	}
	r->p += len;
	return p;
}

static void get_name(struct reader *r, struct op *op)
{
	uint64_t len = get(r);
	const uint8_t *p = len <= STORE_NAME_MAX ? get_bytes(r, len) : NULL;

	r->bad |= !p;
	if (!p)
		return;
	memcpy(op->name, p, len);
	op->name_len = (uint8_t)len;
}

static void get_blocks(struct reader *r, struct log_state *s, struct op *op, unsigned int f,
		       uint32_t sums[STORE_IO_BLOCKS])
{
	if (f & F_RANGE) {
		op->l = s->l + zagzig(get(r));
		op->n = get(r);
		if (op->n == 0 || op->l >= BIT(40) || op->n > BIT(40) - op->l)
			r->bad = true;
		s->l = op->l + op->n;
	}
	if (f & F_PHYS) {
		op->phys = s->p + zagzig(get(r));
		s->p = op->phys + op->n;
		if (op->flags & ~STORE_EXTENT_SUMS || op->n > STORE_IO_BLOCKS)
			r->bad = true;
		if (!r->bad && op->flags & STORE_EXTENT_SUMS) {
			const uint8_t *p = get_bytes(r, op->n * sizeof(sums[0]));

			if (p)
				memcpy(sums, p, op->n * sizeof(sums[0]));
			op->sums = sums;
		}
	}
}

size_t log_decode(const uint8_t *p, size_t len, struct log_state *s, struct op *op,
		  uint32_t sums[STORE_IO_BLOCKS])
{
	struct reader r = {.p = p, .end = p + len};
	unsigned int type = len > 0 ? *r.p++ : 0, f;

	memset(op, 0, sizeof(*op));
	if (type < OP_MAP || type > OP_FLAGS)
		return 0;
	f = fields[type];
	op->type = (enum op_type)type;
	op->object = get32(&r);
	if (f & F_OTHER)
		op->other = get32(&r);
	if (f & F_KIND)
		op->kind = get32(&r);
	if (f & F_FLAGS)
		op->flags = get32(&r);
	if (f & F_SIZE)
		op->size = get(&r);
	if (f & F_WHEN)
		op->when = get(&r);
	if (f & F_NAME)
		get_name(&r, op);
	get_blocks(&r, s, op, f, sums);
	return r.bad ? 0 : (size_t)(r.p - p);
}
