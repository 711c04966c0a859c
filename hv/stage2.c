/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/stage2.h"

#include "kernel/lib/err.h"
#include "kernel/mm/page.h"

#define TABLE_ENTRIES 512u
#define TOP_LEVEL     3u
/* Four levels translate 48 bits (SDM vol. 3, 28.3.2; APM vol. 2, 15.25). */
#define GPA_LIMIT     (1ull << 48)

static unsigned int level_shift(unsigned int level)
{
	return PAGE_SHIFT + 9u * level;
}

static uint64_t level_size(unsigned int level)
{
	return 1ull << level_shift(level);
}

static unsigned int level_index(uint64_t gpa, unsigned int level)
{
	return (unsigned int)(gpa >> level_shift(level)) & (TABLE_ENTRIES - 1);
}

/* Hardware walks these tables while we write: one 64-bit store an entry. */
static void entry_write(uint64_t *e, uint64_t v)
{
	__atomic_store_n(e, v, __ATOMIC_RELEASE);
}

static uint64_t *table_va(hpa_t table)
{
	return hpa_to_va(table);
}

static int table_alloc(struct stage2 *s2, hpa_t *out)
{
	int err = page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO, out);

	if (err == 0)
		s2->table_pages++;
	return err;
}

void stage2_table_free(struct stage2 *s2, hpa_t table)
{
	page_free(table, PAGE_ORDER_4K);
	s2->table_pages--;
}

int stage2_init(struct stage2 *s2, const struct stage2_format *fmt, bool page_1g)
{
	int err;

	s2->page_1g = page_1g;
	s2->table_pages = 0;
	err = table_alloc(s2, &s2->root);
	s2->fmt = err == 0 ? fmt : NULL;
	return err;
}

static void table_free_tree(struct stage2 *s2, hpa_t table, unsigned int level)
{
	uint64_t *t = table_va(table);

	for (unsigned int i = 0; level > 0 && i < TABLE_ENTRIES; i++) {
		if (s2->fmt->present(t[i]) && !s2->fmt->is_leaf(t[i], level))
			table_free_tree(s2, s2->fmt->addr(t[i]), level - 1);
	}
	stage2_table_free(s2, table);
}

void stage2_fini(struct stage2 *s2)
{
	if (s2->fmt != NULL)
		table_free_tree(s2, s2->root, TOP_LEVEL);
	s2->fmt = NULL;
}

/* Replace a large leaf by a table of 512 smaller ones that map the same. */
static int entry_split(struct stage2 *s2, uint64_t *e, unsigned int level)
{
	const struct stage2_format *f = s2->fmt;
	hpa_t base = f->addr(*e);
	unsigned int prot = f->prot(*e);
	hpa_t table;
	int err = table_alloc(s2, &table);

	if (err != 0)
		return err;
	uint64_t *t = table_va(table);
	for (unsigned int i = 0; i < TABLE_ENTRIES; i++)
		t[i] = f->leaf(HPA(base.v + i * level_size(level - 1)), prot, level - 1);
	entry_write(e, f->table(table));
	return 0;
}

/* Whether [gpa, end) covers the whole of one entry at this level. */
static bool covers(uint64_t gpa, uint64_t end, unsigned int level)
{
	return IS_ALIGNED(gpa, level_size(level)) && end - gpa >= level_size(level);
}

static int range_check(gpa_t gpa, uint64_t len)
{
	uint64_t end;

	if (len == 0 || !IS_ALIGNED(gpa.v, PAGE_SIZE) || !IS_ALIGNED(len, PAGE_SIZE))
		return -RAY_EINVAL;
	if (__builtin_add_overflow(gpa.v, len, &end) || end > GPA_LIMIT)
		return -RAY_EINVAL;
	return 0;
}

/* The table at `level` that holds gpa's entry; makes or splits what is on the way. */
static int table_for(struct stage2 *s2, uint64_t gpa, unsigned int level, uint64_t **out)
{
	const struct stage2_format *f = s2->fmt;
	uint64_t *t = table_va(s2->root);

	for (unsigned int l = TOP_LEVEL; l > level; l--) {
		uint64_t *e = &t[level_index(gpa, l)];

		if (!f->present(*e)) {
			hpa_t next;
			int err = table_alloc(s2, &next);

			if (err != 0)
				return err;
			entry_write(e, f->table(next));
		} else if (f->is_leaf(*e, l)) {
			int err = entry_split(s2, e, l);

			if (err != 0)
				return err;
		}
		t = table_va(f->addr(*e));
	}
	*out = t;
	return 0;
}

static unsigned int map_level(const struct stage2 *s2, uint64_t gpa, uint64_t end, uint64_t hpa)
{
	for (unsigned int l = s2->page_1g ? 2 : 1; l > 0; l--) {
		if (covers(gpa, end, l) && IS_ALIGNED(hpa, level_size(l)))
			return l;
	}
	return 0;
}

int stage2_map(struct stage2 *s2, gpa_t gpa, hpa_t hpa, uint64_t len, unsigned int prot)
{
	const struct stage2_format *f = s2->fmt;
	int err = range_check(gpa, len);

	if (err != 0 || !IS_ALIGNED(hpa.v, PAGE_SIZE))
		return -RAY_EINVAL;
	uint64_t end = gpa.v + len;
	while (gpa.v < end) {
		unsigned int level = map_level(s2, gpa.v, end, hpa.v);
		uint64_t *t;

		err = table_for(s2, gpa.v, level, &t);
		if (err != 0)
			return err;
		uint64_t *e = &t[level_index(gpa.v, level)];
		uint64_t old = *e;
		entry_write(e, f->leaf(hpa, prot, level));
		if (level > 0 && f->present(old) && !f->is_leaf(old, level))
			table_free_tree(s2, f->addr(old), level - 1);
		gpa.v += level_size(level);
		hpa.v += level_size(level);
	}
	return 0;
}

struct change {
	uint64_t end;
	bool unmap;
	unsigned int prot;
};

/* Apply a change to the part of one table that lies in [gpa, c->end). */
static int table_change(struct stage2 *s2, uint64_t *t, unsigned int level, uint64_t gpa,
			const struct change *c)
{
	const struct stage2_format *f = s2->fmt;

	for (unsigned int i = level_index(gpa, level); i < TABLE_ENTRIES && gpa < c->end; i++) {
		uint64_t *e = &t[i];
		uint64_t next = ALIGN_DOWN(gpa, level_size(level)) + level_size(level);

		if (f->present(*e) && f->is_leaf(*e, level) && !covers(gpa, c->end, level)) {
			int err = entry_split(s2, e, level);

			if (err != 0)
				return err;
		}
		if (f->present(*e) && f->is_leaf(*e, level)) {
			entry_write(e, c->unmap ? 0 : f->leaf(f->addr(*e), c->prot, level));
		} else if (f->present(*e)) {
			int err = table_change(s2, table_va(f->addr(*e)), level - 1, gpa, c);

			if (err != 0)
				return err;
		}
		gpa = next;
	}
	return 0;
}

int stage2_unmap(struct stage2 *s2, gpa_t gpa, uint64_t len)
{
	struct change c = { .end = gpa.v + len, .unmap = true };
	int err = range_check(gpa, len);

	return err != 0 ? err : table_change(s2, table_va(s2->root), TOP_LEVEL, gpa.v, &c);
}

int stage2_unmap_2m(struct stage2 *s2, gpa_t gpa, hpa_t *table)
{
	const struct stage2_format *f = s2->fmt;
	uint64_t *t, *e;
	int err = table_for(s2, gpa.v, 1, &t);

	if (err != 0)
		return err;
	e = &t[level_index(gpa.v, 1)];
	*table = f->present(*e) && !f->is_leaf(*e, 1) ? f->addr(*e) : HPA(0);
	entry_write(e, 0);
	return 0;
}

int stage2_protect(struct stage2 *s2, gpa_t gpa, uint64_t len, unsigned int prot)
{
	struct change c = { .end = gpa.v + len, .unmap = false, .prot = prot };
	int err = range_check(gpa, len);

	return err != 0 ? err : table_change(s2, table_va(s2->root), TOP_LEVEL, gpa.v, &c);
}

int stage2_lookup(const struct stage2 *s2, gpa_t gpa, hpa_t *hpa, unsigned int *prot,
		  uint64_t *page_size)
{
	const struct stage2_format *f = s2->fmt;
	hpa_t table = s2->root;

	if (gpa.v >= GPA_LIMIT)
		return -RAY_EFAULT;
	for (unsigned int level = TOP_LEVEL;; level--) {
		uint64_t e = table_va(table)[level_index(gpa.v, level)];

		if (!f->present(e))
			return -RAY_EFAULT;
		if (f->is_leaf(e, level)) {
			if (hpa != NULL)
				*hpa = HPA(f->addr(e).v + (gpa.v & (level_size(level) - 1)));
			if (prot != NULL)
				*prot = f->prot(e);
			if (page_size != NULL)
				*page_size = level_size(level);
			return 0;
		}
		table = f->addr(e);
	}
}
