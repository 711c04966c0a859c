/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files: written under another name first, then put in the place of the old one in one
 * change. What a cut leaves under that name goes with the next write.
 */
#include "kernel/store/store_file.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/store/volume_priv.h"

#define FRESH "_fresh"

BUILD_ASSERT(STORE_FILE_MAX % STORE_BLOCK == 0, "whole blocks");

static int block_keep(struct store_dev *s, uint32_t id, uint64_t l, const uint8_t *buf)
{
	uint32_t sum = store_sum_of(buf, STORE_BLOCK);
	struct store_claim c;
	int err = store_claim_wait(s->st, 1, &c);

	if (err)
		return err;
	err = block_write(s->dev, c.phys << STORE_BLOCK_SHIFT, buf, STORE_BLOCK, 0);
	if (err) {
		store_unclaim(s->st, &c);
		return err;
	}
	return store_map(s->st, id, l, &c, &sum);
}

static int fill(struct store_dev *s, uint32_t id, const uint8_t *data, size_t len)
{
	uint8_t *buf = kmalloc(STORE_BLOCK, MEM_STORE);
	int err = buf ? 0 : -RAY_ENOMEM;

	for (size_t at = 0; at < len && !err; at += STORE_BLOCK) {
		size_t n = MIN(len - at, (size_t)STORE_BLOCK);

		memset(buf, 0, STORE_BLOCK);
		memcpy(buf, data + at, n);
		err = block_keep(s, id, at >> STORE_BLOCK_SHIFT, buf);
	}
	kfree(buf);
	return err;
}

static int write(struct store_dev *s, const char *name, const void *data, size_t len)
{
	struct store_entry e;
	uint32_t id;
	int err = store_lookup(s->st, STORE_FILE, 0, FRESH, &e);

	if (err == 0)
		err = store_delete(s->st, e.id);
	if (err && err != -RAY_ENOENT)
		return err;
	err = store_create(s->st, STORE_FILE, FRESH, len, STORE_F_SUMS, &id);
	if (!err)
		err = fill(s, id, data, len);
	if (err)
		return err;
	if (store_lookup(s->st, STORE_FILE, 0, name, &e) == 0)
		err = store_replace(s->st, e.id, id);
	else
		err = store_rename(s->st, id, name);
	return err ? err : store_commit(s->st);
}

static void leave(struct store_dev *s, bool changed)
{
	s->reclaim |= changed;
	store_leave(s);
	if (changed)
		store_wake(s);
}

int store_file_write(const char *name, const void *data, size_t len)
{
	struct store_dev *s;
	int err;

	if (len > STORE_FILE_MAX)
		return -RAY_E2BIG;
	s = store_enter_first();
	if (!s)
		return -RAY_ENODEV;
	err = write(s, name, data, len);
	leave(s, true);
	return err;
}

static int read(struct store_dev *s, const struct store_entry *e, uint8_t *buf)
{
	uint64_t blocks = store_blocks(e->size);
	int err = e->size > STORE_FILE_MAX ? -RAY_EIO : 0;

	for (uint64_t l = 0; l < blocks && !err; l++) {
		uint8_t *to = buf + (l << STORE_BLOCK_SHIFT);
		struct store_piece p;
		uint32_t sum = 0;

		memset(to, 0, STORE_BLOCK);
		err = store_find_load(s->st, e->id, l, 1, &p);
		if (err || p.kind != STORE_PIECE_DATA)
			continue;
		err = block_read(s->dev, p.phys << STORE_BLOCK_SHIFT, to, STORE_BLOCK);
		if (!err && p.sums)
			err = store_sum(s->st, p.phys, &sum);
		if (!err && p.sums && sum != store_sum_of(to, STORE_BLOCK))
			err = -RAY_EIO;
	}
	return err;
}

int store_file_read(const char *name, void *buf, size_t *len)
{
	struct store_dev *s = store_enter_first();
	struct store_entry e;
	int err;

	if (!s)
		return -RAY_ENODEV;
	err = store_lookup(s->st, STORE_FILE, 0, name, &e);
	if (!err)
		err = read(s, &e, buf);
	if (!err)
		*len = e.size;
	store_leave(s);
	return err;
}

int store_file_delete(const char *name)
{
	struct store_dev *s = store_enter_first();
	struct store_entry e;
	int err;

	if (!s)
		return -RAY_ENODEV;
	err = store_lookup(s->st, STORE_FILE, 0, name, &e);
	if (!err)
		err = store_delete(s->st, e.id);
	if (!err)
		err = store_commit(s->st);
	leave(s, true);
	return err == -RAY_ENOENT ? 0 : err;
}

int store_file_next(const char *prefix, const char *name, char out[64])
{
	struct store_dev *s = store_enter_first();
	struct store_entry e = {0};
	int err = 0;

	BUILD_ASSERT(sizeof(e.name) == 64, "a name with its end");
	if (!s)
		return -RAY_ENODEV;
	if (name)
		err = store_lookup(s->st, STORE_FILE, 0, name, &e);
	while (!err) {
		err = store_next(s->st, e.id, &e);
		if (!err && e.kind == STORE_FILE && strncmp(e.name, prefix, strlen(prefix)) == 0) {
			memcpy(out, e.name, sizeof(e.name));
			break;
		}
	}
	store_leave(s);
	return err;
}
