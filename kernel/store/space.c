/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which blocks are taken: a bitmap for each group of 32,768, loaded when it is needed.
 * What is given back stays taken until a checkpoint that does not name it any more is on the disk:
 * until then a cut would bring back who had it.
 */
#include <string.h>

#include "kernel/lib/bitmap.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/store/store_priv.h"

#define MAP_WORDS (STORE_GROUP_BLOCKS / 64)

static uint64_t group_start(uint32_t group)
{
	return (uint64_t)group << STORE_GROUP_SHIFT;
}

/* Blocks of the group that the partition has. */
static uint32_t group_size(const struct store *st, uint32_t group)
{
	return (uint32_t)MIN(st->super.blocks - group_start(group), (uint64_t)STORE_GROUP_BLOCKS);
}

/* Where a group's own blocks begin, behind what has a fixed place. */
static uint32_t group_first(const struct store *st, uint32_t group)
{
	return group == 0 ? 1 + 2 * st->super.log_blocks + 2 : 2;
}

uint64_t space_bitmap_block(const struct store *st, uint32_t group, unsigned int slot)
{
	return group_start(group) + (group == 0 ? 1 + 2 * st->super.log_blocks : 0) + slot;
}

/* The last block of the partition is a superblock's. */
static uint32_t group_end(const struct store *st, uint32_t group)
{
	return group_size(st, group) - (group + 1 == st->space.groups ? 1 : 0);
}

bool space_valid(const struct store *st, uint64_t first, uint64_t count)
{
	uint32_t group = (uint32_t)(first >> STORE_GROUP_SHIFT);
	uint64_t at = first - group_start(group);

	return first < st->super.blocks && count > 0 && at >= group_first(st, group) &&
	       at < group_end(st, group) && count <= group_end(st, group) - at;
}

int space_init(struct store *st)
{
	struct space *s = &st->space;

	s->groups = (uint32_t)((st->super.blocks + STORE_GROUP_BLOCKS - 1) >> STORE_GROUP_SHIFT);
	/* A last group with nothing but what is fixed would be none. */
	if (st->super.blocks - group_start(s->groups - 1) < 4)
		s->groups--;
	s->group = kcalloc(s->groups, sizeof(s->group[0]), MEM_STORE);
	if (!s->group)
		return -RAY_ENOMEM;
	s->reserve = 320 + st->super.blocks / 256;
	for (uint32_t i = 0; i < s->groups; i++) {
		s->group[i].free = (uint16_t)(group_end(st, i) - group_first(st, i));
		s->free += s->group[i].free;
	}
	return 0;
}

void space_fini(struct store *st)
{
	struct space *s = &st->space;

	for (uint32_t i = 0; s->group && i < s->groups; i++) {
		kfree(s->group[i].map);
		kfree(s->group[i].image);
	}
	kfree(s->group);
	for (struct freed *f = s->ranges ? s->ranges : s->spare; f; f = s->ranges ? s->ranges : s->spare) {
		if (s->ranges)
			s->ranges = f->next;
		else
			s->spare = f->next;
		kfree(f);
	}
}

/* --- bitmaps --- */

void space_fixed_mark(const struct store *st, uint32_t group, uint64_t *map)
{
	uint32_t end = group_end(st, group);

	bitmap_set_range(map, 0, group_first(st, group));
	bitmap_set_range(map, end, STORE_GROUP_BLOCKS - end);
}

static int map_check(struct store *st, uint32_t group, const uint64_t *map)
{
	const struct group *g = &st->space.group[group];
	uint32_t first = group_first(st, group), end = group_end(st, group);

	if (store_sum_of(map, STORE_BLOCK) == g->sum &&
	    bitmap_weight(map, STORE_GROUP_BLOCKS) == STORE_GROUP_BLOCKS - g->free &&
	    bitmap_next_clear(map, first, 0) == first &&
	    bitmap_next_clear(map, STORE_GROUP_BLOCKS, end) == STORE_GROUP_BLOCKS)
		return 0;
	return store_fail(st, -RAY_EIO, "the bitmap of group %u is damaged (block %llu)", group,
			  (unsigned long long)space_bitmap_block(st, group, g->slot));
}

int space_load(struct store *st, uint32_t group)
{
	struct group *g = &st->space.group[group];
	uint64_t block = space_bitmap_block(st, group, g->slot), flags;
	uint64_t *map;
	int err = 0;

	if (g->map)
		return 0;
	map = kzalloc(STORE_BLOCK, MEM_STORE);
	if (!map)
		return -RAY_ENOMEM;
	if (!g->stored) {
		space_fixed_mark(st, group, map);
	} else {
		err = st->port.read(st->port.ctx, block, map, 1);
		if (err)
			store_fail(st, err, "the bitmap of group %u cannot be read (block %llu)",
				   group, (unsigned long long)block);
		else
			err = map_check(st, group, map);
	}
	if (err) {
		kfree(map);
		return err;
	}
	flags = store_lock(st);
	g->map = map;
	store_unlock(st, flags);
	return 0;
}

/* --- taking --- */

static uint32_t take_from(struct space *s, struct group *g, uint32_t want)
{
	size_t first = bitmap_next_clear(g->map, STORE_GROUP_BLOCKS, s->at_bit), end;

	if (first == STORE_GROUP_BLOCKS)
		first = bitmap_next_clear(g->map, STORE_GROUP_BLOCKS, 0);
	end = bitmap_next_set(g->map, MIN(first + want, (size_t)STORE_GROUP_BLOCKS), first);
	bitmap_set_range(g->map, first, end - first);
	s->at_bit = (uint32_t)end;
	g->free = (uint16_t)(g->free - (end - first));
	g->dirty = true;
	s->free -= end - first;
	return (uint32_t)(end - first);
}

uint32_t space_take(struct store *st, uint32_t want, uint64_t *first)
{
	struct space *s = &st->space;
	struct group *g = &s->group[s->at_group];
	uint32_t got;

	if (!g->map || g->free == 0 || want == 0)
		return 0;
	got = take_from(s, g, want);
	*first = group_start(s->at_group) + s->at_bit - got;
	return got;
}

int space_prepare(struct store *st)
{
	struct space *s = &st->space;

	for (uint32_t i = 0; i < s->groups; i++) {
		uint32_t group = (s->at_group + i) % s->groups;
		uint64_t flags;
		int err;

		if (s->group[group].free == 0)
			continue;
		err = space_load(st, group);
		if (err)
			return err;
		flags = store_lock(st);
		if (group != s->at_group) {
			s->at_group = group;
			s->at_bit = 0;
		}
		store_unlock(st, flags);
		return 0;
	}
	return -RAY_ENOSPC;
}

int space_mark(struct store *st, uint64_t first, uint64_t count)
{
	uint32_t group = (uint32_t)(first >> STORE_GROUP_SHIFT);
	size_t at = first - group_start(group);
	struct group *g;
	int err;

	if (!space_valid(st, first, count))
		return store_fail(st, -RAY_EIO, "the log names a block that no volume can have: %llu",
				  (unsigned long long)first);
	err = space_load(st, group);
	if (err)
		return err;
	g = &st->space.group[group];
	if (bitmap_next_set(g->map, at + count, at) != at + count)
		return store_fail(st, -RAY_EIO, "the log writes to a block that is taken: %llu",
				  (unsigned long long)first);
	bitmap_set_range(g->map, at, count);
	g->free = (uint16_t)(g->free - count);
	g->dirty = true;
	st->space.free -= count;
	return 0;
}

/* --- giving back --- */

static void give_back(struct store *st, uint64_t first, uint64_t count)
{
	struct group *g = &st->space.group[first >> STORE_GROUP_SHIFT];
	size_t at = first & (STORE_GROUP_BLOCKS - 1);

	if (bitmap_next_clear(g->map, at + count, at) != at + count) {
		store_fail(st, -RAY_EIO, "a block is given back that was not taken: %llu",
			   (unsigned long long)first);
		return;
	}
	bitmap_clear_range(g->map, at, count);
	g->free = (uint16_t)(g->free + count);
	g->dirty = true;
	st->space.free += count;
}

void space_untake(struct store *st, uint64_t first, uint64_t count)
{
	give_back(st, first, count);
}

int space_free_prepare(struct store *st, unsigned int ranges)
{
	struct space *s = &st->space;

	while (s->room < ranges) {
		struct freed *f = kmalloc(sizeof(*f), MEM_STORE);

		if (!f)
			return -RAY_ENOMEM;
		f->count = 0;
		f->next = s->spare;
		s->spare = f;
		s->room += FREED_RANGES;
	}
	return 0;
}

void space_free(struct store *st, uint64_t first, uint64_t count)
{
	struct space *s = &st->space;
	struct freed *f = s->ranges;

	if (count == 0)
		return;
	s->freed += count;
	if (f && f->count > 0 &&
	    f->range[f->count - 1].block + f->range[f->count - 1].count == first &&
	    (first & (STORE_GROUP_BLOCKS - 1)) != 0) {
		f->range[f->count - 1].count += count;
		return;
	}
	if (!f || f->count == FREED_RANGES) {
		f = s->spare;
		s->spare = f->next;
		f->next = s->ranges;
		s->ranges = f;
	}
	f->range[f->count].block = first;
	f->range[f->count].count = count;
	f->count++;
	s->room--;
}

/* --- checkpoint --- */

int space_load_freed(struct store *st)
{
	for (const struct freed *f = st->space.ranges; f; f = f->next) {
		for (unsigned int i = 0; i < f->count; i++) {
			uint32_t group = (uint32_t)(f->range[i].block >> STORE_GROUP_SHIFT);
			int err = space_load(st, group);

			if (err)
				return err;
			st->space.group[group].dirty = true;
		}
	}
	return 0;
}

int space_record(struct store *st, bool *recorded)
{
	for (uint32_t i = 0; i < st->space.groups; i++) {
		struct group *g = &st->space.group[i];
		uint64_t key = STORE_KEY(STORE_GROUP, i), flags;
		int err;

		if (!g->dirty || g->recorded)
			continue;
		err = tree_load(st, key, key);
		if (!err)
			err = tree_prepare(st);
		if (err)
			return err;
		flags = store_lock(st);
		tree_put(st, key, STORE_VAL_GROUP(g->free, g->slot, g->sum));
		store_unlock(st, flags);
		g->recorded = true;
		*recorded = true;
	}
	return 0;
}

/* The bitmaps as they will be: without what is freed, and without what is only claimed, which a
 * cut gives back. */
static int images_make(struct store *st)
{
	struct space *s = &st->space;
	struct store_claim *c;
	uint64_t flags;
	int err = 0;

	for (uint32_t i = 0; i < s->groups; i++) {
		struct group *g = &s->group[i];

		if (!g->recorded)
			continue;
		g->image = kmalloc(STORE_BLOCK, MEM_STORE);
		if (!g->image)
			return -RAY_ENOMEM;
	}
	flags = store_lock(st);
	for (uint32_t i = 0; i < s->groups; i++) {
		if (s->group[i].recorded)
			memcpy(s->group[i].image, s->group[i].map, STORE_BLOCK);
	}
	list_for_each_entry(c, &st->claims, node) {
		struct group *g = &s->group[c->phys >> STORE_GROUP_SHIFT];

		/* One that was taken just now and is in a group without an image changes nothing. */
		if (g->image)
			bitmap_clear_range(g->image, c->phys & (STORE_GROUP_BLOCKS - 1), c->n);
	}
	store_unlock(st, flags);
	for (const struct freed *f = s->ranges; f && !err; f = f->next) {
		for (unsigned int i = 0; i < f->count && !err; i++) {
			uint64_t *image = s->group[f->range[i].block >> STORE_GROUP_SHIFT].image;
			size_t at = f->range[i].block & (STORE_GROUP_BLOCKS - 1);
			size_t end = at + f->range[i].count;

			if (bitmap_next_clear(image, end, at) != end)
				err = store_fail(st, -RAY_EIO,
						 "a block was given back that was not taken: %llu",
						 (unsigned long long)f->range[i].block);
			bitmap_clear_range(image, at, f->range[i].count);
		}
	}
	return err;
}

static int image_write(struct store *st, uint32_t group)
{
	struct group *g = &st->space.group[group];
	unsigned int slot = g->stored ? !g->slot : 0;
	uint64_t key = STORE_KEY(STORE_GROUP, group), flags, old;
	size_t free = STORE_GROUP_BLOCKS - bitmap_weight(g->image, STORE_GROUP_BLOCKS);
	struct cursor c;
	int err;

	g->sum = store_sum_of(g->image, STORE_BLOCK);
	err = st->port.write(st->port.ctx, space_bitmap_block(st, group, slot), g->image, 1);
	st->stats.meta_blocks++;
	if (!err)
		err = tree_get(&st->tree, key, &old, &c);
	if (err)
		return err;
	flags = store_lock(st);
	tree_set(st, &c, STORE_VAL_GROUP(free, slot, g->sum));
	store_unlock(st, flags);
	g->slot = (uint8_t)slot;
	g->stored = true;
	return 0;
}

int space_write(struct store *st)
{
	int err = images_make(st);

	for (uint32_t i = 0; i < st->space.groups && !err; i++) {
		if (st->space.group[i].recorded)
			err = image_write(st, i);
	}
	return err;
}

void space_abandon(struct store *st)
{
	for (uint32_t i = 0; i < st->space.groups; i++) {
		kfree(st->space.group[i].image);
		st->space.group[i].image = NULL;
		st->space.group[i].recorded = false;
	}
}

void space_release(struct store *st)
{
	struct space *s = &st->space;
	struct store_claim *c;
	uint64_t flags;

	flags = store_lock(st);
	for (uint32_t i = 0; i < s->groups; i++) {
		if (s->group[i].recorded)
			s->group[i].dirty = false;
	}
	while (s->ranges) {
		struct freed *f = s->ranges;

		s->ranges = f->next;
		for (unsigned int i = 0; i < f->count; i++) {
			struct group *g = &s->group[f->range[i].block >> STORE_GROUP_SHIFT];
			bool was = g->dirty;

			give_back(st, f->range[i].block, f->range[i].count);
			g->dirty = was;
		}
		s->room += f->count;
		f->count = 0;
		f->next = s->spare;
		s->spare = f;
	}
	s->freed = 0;
	/* The disk has these as free. */
	list_for_each_entry(c, &st->claims, node)
		s->group[c->phys >> STORE_GROUP_SHIFT].dirty = true;
	store_unlock(st, flags);
	space_abandon(st);
}

int space_open(struct store *st)
{
	struct space *s = &st->space;
	uint64_t last = STORE_KEY(STORE_GROUP, BIT(60) - 1);
	struct cursor c;
	int err = tree_ceil_load(st, STORE_KEY(STORE_GROUP, 0), &c);

	while (!err && cursor_rec(&c)->key <= last) {
		uint64_t group = STORE_KEY_REST(cursor_rec(&c)->key), val = cursor_rec(&c)->val;
		uint32_t most = group < s->groups ? s->group[group].free : 0;
		struct group *g;

		if (group >= s->groups || (val & 0xffff) > most || (val >> 17 & 0x7fff))
			return store_fail(st, -RAY_EIO, "the record of group %llu is nonsense",
					  (unsigned long long)group);
		g = &s->group[group];
		s->free -= g->free - (val & 0xffff);
		g->free = (uint16_t)(val & 0xffff);
		g->slot = (uint8_t)(val >> 16 & 1);
		g->sum = (uint32_t)(val >> 32);
		g->stored = true;
		err = tree_next_load(st, &c);
	}
	return err == -RAY_ENOENT ? 0 : err;
}
