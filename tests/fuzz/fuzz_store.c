/* UNIT: kernel/store/tree.c kernel/store/tree_change.c kernel/store/tree_io.c kernel/store/space.c
 * kernel/store/layer.c kernel/store/object.c kernel/store/map.c kernel/store/sums.c kernel/store/log.c
 * kernel/store/log_record.c kernel/store/op.c kernel/store/change.c kernel/store/mount.c
 * kernel/store/info.c kernel/store/reclaim.c kernel/store/check.c kernel/lib/bitmap.c
 * kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c
 */
/* PARSER: kernel/store/tree_io.c kernel/store/layer.c kernel/store/object.c
 * kernel/store/log_record.c kernel/store/log.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * A store whose metadata is changed anywhere, with its checksums made right again or not, then
 * mounted, looked through and used: whatever it says, the host goes on. One in which everything
 * fits together still does after changes. Six bytes for each change: which of the blocks in use,
 * where (two), what, how often, and flags.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "kernel/lib/unaligned.h"
#include "tests/host/fake_heap.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_panic.h"
#include "tests/host/fake_store.h"

#define SEAL    1u
#define ADD     2u /* to what is there, as a 64-bit number */
#define COPY    4u /* eight bytes from so many records before */
#define VOLUMES 6u

static struct fake_store base, disk;
static uint64_t used[FAKE_STORE_BLOCKS];
static unsigned int used_count;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	memset(l, 0, sizeof(*l));
	l->order = (uint16_t)order;
}

static void must(int err)
{
	if (err)
		abort();
}

static void map_one(struct store *st, uint32_t id, uint64_t l, bool sums)
{
	uint32_t sum = 7;
	struct store_claim c;

	must(store_claim_wait(st, 1, &c));
	must(store_map(st, id, l, &c, sums ? &sum : NULL));
}

/* Leaves enough for an inner node, layers on layers, and one of each record in the log. */
static void fill(struct store *st)
{
	uint32_t id[VOLUMES], s, c, f, g;
	char name[16];

	for (unsigned int i = 0; i < VOLUMES; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		must(store_create(st, STORE_VOLUME, name, MIB(64), i % 2 ? STORE_F_SUMS : 0, &id[i]));
		for (unsigned int l = 0; l < 120; l++)
			map_one(st, id[i], (l * 37) % 1000, i % 2);
		must(store_snapshot(st, id[i], "s", &s));
		map_one(st, id[i], 5, i % 2);
	}
	must(store_checkpoint(st));
	for (unsigned int i = 0; i < VOLUMES; i++) {
		map_one(st, id[i], i + 3, i % 2);
		must(store_unmap(st, id[i], i + 200, 20));
	}
	must(store_create(st, STORE_FILE, "f/a", 4096, 0, &f));
	must(store_create(st, STORE_FILE, "f/b", 4096, 0, &g));
	map_one(st, g, 0, false);
	must(store_replace(st, f, g));
	must(store_clone(st, s, "clone", &c));
	must(store_rename(st, c, "renamed"));
	must(store_resize(st, c, MIB(1)));
	must(store_flags_set(st, c, STORE_F_PAUSE));
	must(store_rollback(st, id[VOLUMES - 1], s));
	must(store_delete(st, s));
	must(store_commit(st));
}

static void base_make(void)
{
	const struct store_port port = fake_store_port(&base);
	char why[STORE_WHY_LEN];
	struct store *st;

	must(store_format(&port, (const uint8_t *)"sixteen bytes..."));
	must(store_mount(&port, false, 4096, &st, why));
	fill(st);
	store_drop(st);
	for (uint64_t i = 0; i < FAKE_STORE_BLOCKS; i++) {
		if (base.page[i])
			used[used_count++] = i;
	}
}

static void seal(uint64_t block, uint8_t *p)
{
	unsigned int at = block == 0 || block == FAKE_STORE_BLOCKS - 1 ? 12 : 0;

	store32(p + at, 0);
	store32(p + at, (uint32_t)crc32(0, p, at ? 512 : STORE_BLOCK));
}

static void change(const uint8_t *c)
{
	uint64_t block = used[c[0] % used_count];
	unsigned int at = load_be16(c + 1) % STORE_BLOCK, count = c[4] % 16 + 1u;
	uint8_t *p;

	if (!disk.page[block])
		fake_store_put(&disk, block, base.page[block]);
	p = disk.page[block];
	if (c[5] & ADD) {
		at &= ~7u;
		store64(p + at, load64(p + at) + (uint64_t)(int64_t)(int8_t)c[3]);
	} else if (c[5] & COPY) {
		at &= ~7u;
		if (at >= 16u * count)
			store64(p + at, load64(p + at - 16u * count));
	} else {
		for (unsigned int i = 0; i < count && at + i < STORE_BLOCK; i++)
			p[at + i] = c[3];
	}
	if (c[5] & SEAL)
		seal(block, p);
}

/* As a user would: errors are fine, ends are not. */
static void use(struct store *st)
{
	struct store_entry e;
	struct store_piece p;
	uint32_t id, last = 0;

	for (id = 0; store_next(st, id, &e) == 0; id = e.id) {
		for (uint64_t l = 0; l < 64; l += p.n) {
			if (store_find_load(st, e.id, l, 64 - l, &p))
				break;
		}
		last = e.id;
	}
	if (last && store_snapshot(st, last, "fresh", &id) == 0)
		(void)!store_delete(st, id);
	(void)!store_unmap(st, last, 0, 16);
	for (id = 0; store_next(st, id, &e) == 0; id = e.id) {
		struct store_claim c;

		if (store_claim_wait(st, 8, &c) == 0)
			(void)!store_map(st, e.id, 2, &c, NULL);
	}
	(void)!store_commit(st);
	/* All of it is given back, wherever it was said to be. */
	for (unsigned int pass = 0; pass < 2; pass++) {
		for (id = 0; store_next(st, id, &e) == 0;) {
			if (store_delete(st, e.id))
				id = e.id;
		}
	}
	for (unsigned int i = 0; i < 400 && store_reclaim(st) == 1; i++)
		;
	(void)!store_checkpoint(st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct store_port port = fake_store_port(&disk);
	char why[STORE_WHY_LEN] = "";
	struct store_check c;
	struct store *st;
	bool whole;

	if (used_count == 0)
		base_make();
	memset(&disk, 0, sizeof(disk));
	disk.below = &base;
	for (size_t i = 1; i + 6 <= size; i += 6)
		change(data + i);
	if (size > 0 && data[0])
		disk.fail_read_at = data[0];
	if (store_mount(&port, size > 0 && data[0] & 1, 64, &st, why) == 0) {
		whole = store_check(st, &c) == 0 && c.wrong == 0;
		use(st);
		if (whole && disk.fail_read_at == 0 && store_check(st, &c) == 0 && c.wrong) {
			fprintf(stderr, "%s\n", c.first);
			abort();
		}
		store_drop(st);
	} else if (why[0] == '\0') {
		abort(); /* without a reason */
	}
	if (fake_heap_live != 0)
		abort();
	fake_store_free(&disk);
	return 0;
}
