/* UNIT: kernel/store/tree.c kernel/store/tree_change.c kernel/store/tree_io.c kernel/store/space.c
 * kernel/store/layer.c kernel/store/object.c kernel/store/map.c kernel/store/sums.c kernel/store/log.c
 * kernel/store/log_record.c kernel/store/op.c kernel/store/change.c kernel/store/mount.c
 * kernel/store/info.c kernel/store/reclaim.c kernel/store/check.c kernel/store/scrub.c kernel/lib/bitmap.c
 * kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The volume store: what is written is read, through snapshots, clones and everything between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "tests/host/fake_heap.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_panic.h"
#include "kernel/store/store_priv.h"
#include "tests/host/fake_store.h"

static struct fake_store disk;
static struct store *st;
static char why[STORE_WHY_LEN];
static const uint8_t uuid[16] = "store of a test";

void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	memset(l, 0, sizeof(*l));
	l->order = (uint16_t)order;
}

static void mount_it(void)
{
	const struct store_port port = fake_store_port(&disk);
	int err = store_mount(&port, false, 4096, &st, why);

	if (err)
		fail_msg("mount: %d %s", err, why);
}

static int begin(void **state)
{
	const struct store_port port = fake_store_port(&disk);

	(void)state;
	assert_int_equal(store_format(&port, uuid), 0);
	mount_it();
	return 0;
}

static void check(void)
{
	struct store_check c;

	assert_int_equal(store_check(st, &c), 0);
	if (c.wrong)
		fail_msg("%lu wrong: %s", (unsigned long)c.wrong, c.first);
}

static int end(void **state)
{
	(void)state;
	if (st) {
		check();
		store_unmount(st);
	}
	st = NULL;
	fake_store_free(&disk);
	memset(&disk, 0, sizeof(disk));
	assert_int_equal(fake_heap_live, 0);
	return 0;
}

static void again(void)
{
	check();
	store_unmount(st);
	mount_it();
	check();
}

/* A block that says what it is. */
static void tag_fill(uint8_t *buf, uint64_t tag)
{
	for (unsigned int i = 0; i < STORE_BLOCK; i += 8)
		memcpy(buf + i, &tag, 8);
}

static uint32_t volume(const char *name, uint64_t blocks, uint32_t flags)
{
	uint32_t id = 0;

	assert_int_equal(store_create(st, STORE_VOLUME, name, blocks * STORE_BLOCK, flags, &id), 0);
	return id;
}

static void write_new(uint32_t id, uint64_t l, uint32_t n, uint64_t tag, bool sums)
{
	uint8_t buf[STORE_BLOCK];

	while (n > 0) {
		uint32_t sum[STORE_IO_BLOCKS];
		struct store_claim c;

		assert_int_equal(store_claim_wait(st, n, &c), 0);
		for (uint32_t i = 0; i < c.n; i++) {
			tag_fill(buf, tag + l + i);
			sum[i] = (uint32_t)(tag + l + i);
			assert_int_equal(fake_store_write(&disk, c.phys + i, buf, 1), 0);
		}
		n -= c.n;
		l += c.n;
		assert_int_equal(store_map(st, id, l - c.n, &c, sums ? sum : NULL), 0);
	}
}

static uint64_t read_tag(uint32_t id, uint64_t l)
{
	struct store_piece p;
	uint64_t tag;
	uint8_t buf[STORE_BLOCK];

	assert_int_equal(store_find_load(st, id, l, 1, &p), 0);
	assert_int_equal(p.n, 1);
	if (p.kind == STORE_PIECE_ZERO)
		return 0;
	assert_int_equal(fake_store_read(&disk, p.phys, buf, 1), 0);
	memcpy(&tag, buf, 8);
	if (p.sums) {
		uint32_t sum;

		assert_int_equal(store_sum(st, p.phys, &sum), 0);
		assert_int_equal(sum, (uint32_t)tag);
	}
	return tag;
}

static void expect(uint32_t id, uint64_t l, uint64_t n, uint64_t tag)
{
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(read_tag(id, l + i), tag ? tag + l + i : 0);
}

static void reclaim_all(void)
{
	int more;

	while ((more = store_reclaim(st)) == 1)
		;
	assert_int_equal(more, 0);
}

static void test_written_is_read(void **state)
{
	uint32_t a = volume("a", 2000, 0);

	(void)state;
	expect(a, 0, 10, 0);
	write_new(a, 0, 1000, 1 << 20, false);
	write_new(a, 500, 10, 2 << 20, false);
	expect(a, 0, 500, 1 << 20);
	expect(a, 500, 10, 2 << 20);
	expect(a, 510, 490, 1 << 20);
	expect(a, 1000, 10, 0);
	assert_int_equal(store_commit(st), 0);
	again();
	expect(a, 0, 500, 1 << 20);
	expect(a, 500, 10, 2 << 20);
	expect(a, 510, 490, 1 << 20);
	assert_int_equal(store_unmap(st, a, 100, 800), 0);
	expect(a, 0, 100, 1 << 20);
	expect(a, 100, 800, 0);
	expect(a, 900, 100, 1 << 20);
	again();
	expect(a, 100, 800, 0);
}

static void test_the_log_brings_it_back(void **state)
{
	const struct store_port port = fake_store_port(&disk);
	uint32_t a = volume("a", 4000, 0), b, s;

	(void)state;
	write_new(a, 7, 300, 1 << 20, false);
	assert_int_equal(store_snapshot(st, a, "one", &s), 0);
	write_new(a, 100, 10, 2 << 20, false);
	assert_int_equal(store_unmap(st, a, 20, 5), 0);
	assert_int_equal(store_clone(st, s, "b", &b), 0);
	assert_int_equal(store_rename(st, b, "bb"), 0);
	assert_int_equal(store_commit(st), 0);
	write_new(a, 3000, 3, 3 << 20, false); /* not committed */
	store_drop(st);
	assert_int_equal(store_mount(&port, false, 4096, &st, why), 0);
	check();
	expect(a, 7, 13, 1 << 20);
	expect(a, 20, 5, 0);
	expect(a, 100, 10, 2 << 20);
	expect(a, 3000, 3, 0);
	expect(s, 7, 300, 1 << 20);
	expect(b, 7, 300, 1 << 20);
}

static void test_snapshots(void **state)
{
	uint32_t a = volume("a", 1000, 0), s[5], c;
	struct store_space before, after;

	(void)state;
	store_space_get(st, &before);
	for (unsigned int i = 0; i < 5; i++) {
		char name[8];

		write_new(a, i * 50, 100, (uint64_t)(i + 1) << 20, false);
		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(store_snapshot(st, a, name, &s[i]), 0);
	}
	assert_int_equal(store_snapshot(st, a, "s1", &c), -RAY_EEXIST);
	assert_int_equal(store_clone(st, s[2], "clone", &c), 0);
	write_new(c, 0, 10, 9 << 20, false);
	again();
	for (unsigned int i = 0; i < 5; i++)
		expect(s[i], i * 50, 100, (uint64_t)(i + 1) << 20);
	expect(c, 0, 10, 9 << 20);
	expect(c, 10, 40, 1 << 20);
	expect(c, 100, 100, 3 << 20);
	assert_int_equal(store_delete(st, a), -RAY_EBUSY);
	assert_int_equal(store_delete(st, s[1]), 0);
	assert_int_equal(store_delete(st, s[3]), 0);
	reclaim_all();
	check();
	for (unsigned int i = 0; i < 5; i += 2)
		expect(s[i], i * 50, 100, (uint64_t)(i + 1) << 20);
	expect(c, 10, 40, 1 << 20);
	assert_int_equal(store_rollback(st, a, s[0]), 0);
	expect(a, 0, 100, 1 << 20);
	expect(a, 100, 100, 0);
	reclaim_all();
	again();
	expect(a, 0, 100, 1 << 20);
	expect(s[2], 100, 100, 3 << 20);
	for (unsigned int i = 0; i < 5; i += 2)
		assert_int_equal(store_delete(st, s[i]), 0);
	assert_int_equal(store_delete(st, a), 0);
	expect(c, 50, 50, 2 << 20);
	assert_int_equal(store_delete(st, c), 0);
	reclaim_all();
	assert_int_equal(store_checkpoint(st), 0);
	assert_int_equal(store_checkpoint(st), 0);
	store_space_get(st, &after);
	assert_int_equal(after.data, 0);
	assert_int_equal(after.free + after.freed, before.free + before.freed);
	check();
}

static void test_sums(void **state)
{
	uint32_t a = volume("a", 3000, STORE_F_SUMS), s;

	(void)state;
	write_new(a, 0, 900, 1 << 20, true);
	assert_int_equal(store_snapshot(st, a, "s", &s), 0);
	write_new(a, 100, 600, 2 << 20, true);
	again();
	expect(s, 0, 900, 1 << 20);
	expect(a, 100, 600, 2 << 20);
	assert_int_equal(store_unmap(st, a, 0, 3000), 0);
	expect(a, 0, 900, 0);
	assert_int_equal(store_delete(st, s), 0);
	reclaim_all();
	again();
	expect(a, 0, 900, 0);
	assert_int_equal(store_delete(st, a), 0);
	reclaim_all();
}

static void test_names(void **state)
{
	uint32_t id;
	char name[80];

	(void)state;
	for (unsigned int c = 1; c < 256; c++) {
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';

		snprintf(name, sizeof(name), "x%c", c);
		assert_int_equal(store_create(st, STORE_VOLUME, name, 4096, 0, &id),
				 good ? 0 : -RAY_EINVAL);
		assert_int_equal(store_name_check(STORE_VOLUME, name, 2, why), good ? 0 : -RAY_EINVAL);
		if (!good)
			assert_non_null(strstr(why, "byte 2 "));
	}
	assert_int_equal(store_create(st, STORE_VOLUME, "", 4096, 0, &id), -RAY_EINVAL);
	assert_int_equal(store_create(st, STORE_VOLUME, ".x", 4096, 0, &id), -RAY_EINVAL);
	memset(name, 'n', sizeof(name));
	name[63] = 0;
	assert_int_equal(store_create(st, STORE_VOLUME, name, 4096, 0, &id), 0);
	assert_int_equal(store_create(st, STORE_VOLUME, name, 4096, 0, &id), -RAY_EEXIST);
	name[63] = 'n';
	name[64] = 0;
	assert_int_equal(store_create(st, STORE_VOLUME, name, 4096, 0, &id), -RAY_EINVAL);
	assert_int_equal(store_create(st, STORE_VOLUME, "big", STORE_VOLUME_MAX + 1, 0, &id),
			 -RAY_ERANGE);
	again();
}

/* Random blocks over everything, so that leaves split and join again. */
static void test_scattered(void **state)
{
	static uint64_t model[4000];
	uint32_t a = volume("a", ARRAY_SIZE(model), 0), s = 0;

	(void)state;
	srand(1);
	memset(model, 0, sizeof(model));
	for (unsigned int i = 0; i < 12000; i++) {
		uint64_t l = (uint64_t)rand() % ARRAY_SIZE(model);

		if (rand() % 3) {
			write_new(a, l, 1, (uint64_t)(i + 1) << 20, false);
			model[l] = (uint64_t)(i + 1) << 20;
		} else {
			uint64_t n = (uint64_t)rand() % 40 + 1;

			n = MIN(n, ARRAY_SIZE(model) - l);
			assert_int_equal(store_unmap(st, a, l, n), 0);
			memset(&model[l], 0, n * sizeof(model[0]));
		}
		if (i == 6000)
			assert_int_equal(store_snapshot(st, a, "s", &s), 0);
		if (i == 9000)
			assert_int_equal(store_delete(st, s), 0);
		if (i > 9000 && i % 7 == 0)
			assert_in_range(store_reclaim(st), 0, 1);
		if (i % 1500 == 0)
			again();
	}
	reclaim_all();
	again();
	for (uint64_t l = 0; l < ARRAY_SIZE(model); l++)
		expect(a, l, 1, model[l]);
}

/* Full to the last block: the volume that wants more gets an error, nothing else changes. */
static void test_full(void **state)
{
	uint32_t a = volume("a", 100000, 0), b = volume("b", 100, 0), s;
	struct store_claim c;
	uint64_t l = 0;
	int err;

	(void)state;
	write_new(b, 0, 100, 5 << 20, false);
	for (;;) {
		err = store_claim_wait(st, STORE_IO_BLOCKS, &c);
		if (!err)
			err = store_map(st, a, l, &c, NULL), l += c.n;
		if (err)
			break;
	}
	assert_int_equal(err, -RAY_ENOSPC);
	assert_in_range(l, 7000, 8192);
	check();
	assert_int_equal(store_snapshot(st, b, "s", &s), 0);
	expect(b, 0, 100, 5 << 20);
	again();
	expect(b, 0, 100, 5 << 20);
	/* What is given back can be used. */
	assert_int_equal(store_unmap(st, a, 0, 1000), 0);
	write_new(b, 0, 100, 6 << 20, false);
	assert_int_equal(store_delete(st, a), 0);
	reclaim_all();
	write_new(b, 0, 100, 7 << 20, false);
	again();
	expect(b, 0, 100, 7 << 20);
	expect(s, 0, 100, 5 << 20);
}

/* Ten thousand of them: each found by its name, at once and after a mount; then none. */
static void test_many(void **state)
{
	struct store_entry e;
	char name[16];
	uint32_t id;

	(void)state;
	for (unsigned int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "volume-%u", i);
		assert_int_equal(store_create(st, STORE_VOLUME, name, MIB(1) + i * 512ull, 0, &id), 0);
		if (i % 1000 == 0)
			write_new(id, 0, 3, (uint64_t)(i + 1) << 20, false);
	}
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < 10000; i++) {
			snprintf(name, sizeof(name), "volume-%u", i);
			assert_int_equal(store_lookup(st, STORE_VOLUME, 0, name, &e), 0);
			assert_int_equal(e.size, MIB(1) + i * 512ull);
			if (i % 1000 == 0)
				expect(e.id, 0, 3, (uint64_t)(i + 1) << 20);
		}
		again();
	}
	while (store_next(st, 0, &e) == 0)
		assert_int_equal(store_delete(st, e.id), 0);
	reclaim_all();
	again();
	assert_int_equal(st->tree.nodes, 1);
	assert_int_equal(st->layer_count, 0);
}

/* --- scrub --- */

static unsigned int told;
static char told_first[256];

static void tell(void *arg, const char *what)
{
	(void)arg;
	if (told++ == 0)
		snprintf(told_first, sizeof(told_first), "%s", what);
}

static int scrub(struct store_scrub *s)
{
	int more;

	told = 0;
	told_first[0] = '\0';
	assert_int_equal(store_scrub_begin(s, tell, NULL), 0);
	while ((more = store_scrub_step(st, s)) == 1)
		;
	store_scrub_end(s);
	assert_int_equal(s->wrong, told);
	return more;
}

/* Real checksums: the data is what they are of. */
static void write_summed(uint32_t id, uint64_t l, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t buf[STORE_BLOCK];
		struct store_claim c;
		uint32_t sum;

		tag_fill(buf, l + i);
		sum = store_sum_of(buf, sizeof(buf));
		assert_int_equal(store_claim_wait(st, 1, &c), 0);
		assert_int_equal(fake_store_write(&disk, c.phys, buf, 1), 0);
		assert_int_equal(store_map(st, id, l + i, &c, &sum), 0);
	}
}

/* Any one bit of a block that counts is found, and named. */
static void test_scrub(void **state)
{
	uint32_t a = volume("a", 1000, STORE_F_SUMS), b = volume("b", 1000, 0), s;
	struct store_scrub scr;
	struct store_piece p;
	unsigned int in_tree = 0;

	(void)state;
	write_summed(a, 0, 400);
	assert_int_equal(store_snapshot(st, a, "snap", &s), 0);
	write_summed(a, 100, 50);
	for (unsigned int i = 0; i < 500; i++)
		write_new(b, (i * 37) % 1000, 1, 1 << 20, false);
	assert_int_equal(store_checkpoint(st), 0);
	assert_int_equal(scrub(&scr), 0);
	assert_int_equal(told, 0);
	assert_int_equal(scr.data, 450);
	/* Of a block that only the snapshot sees, and of one that both do. */
	for (unsigned int l = 120; l <= 220; l += 100) {
		assert_int_equal(store_find_load(st, s, l, 1, &p), 0);
		disk.page[p.phys][9] ^= 2;
		assert_int_equal(scrub(&scr), 0);
		assert_int_equal(told, 1);
		assert_non_null(strstr(told_first, l == 120 ? "block 120 of 'a@snap' is not"
							    : "block 220 of 'a"));
		disk.page[p.phys][9] ^= 2;
	}
	/* Of each block that is in use and not data. */
	/* Each that is found makes new ones, so not for ever. */
	for (uint64_t block = 0; block < FAKE_STORE_BLOCKS && in_tree < 12; block++) {
		char text[64];

		if (!disk.page[block])
			continue;
		disk.page[block][40] ^= 1;
		assert_int_equal(scrub(&scr), 0);
		disk.page[block][40] ^= 1;
		snprintf(text, sizeof(text), "block %lu", (unsigned long)block);
		assert_in_range(told, 0, 1);
		if (told && strstr(told_first, "of the tree")) {
			assert_non_null(strstr(told_first, text));
			in_tree++;
			assert_in_range(st->tree.dirty, 1, 100);
			/* It is written elsewhere, and then all is well. */
			disk.page[block][40] ^= 1;
			assert_int_equal(store_checkpoint(st), 0);
			assert_int_equal(scrub(&scr), 0);
			assert_int_equal(told, 0);
			assert_int_equal(store_checkpoint(st), 0);
			disk.page[block][40] ^= 1;
		} else if (told) {
			assert_non_null(strstr(told_first, text));
		}
	}
	assert_int_equal(in_tree, 12);
}

/* --- what fails, fails whole --- */

/* One of everything. @upto: how many of them. Returns the first error. */
static int some_of_everything(uint32_t a, unsigned int round)
{
	uint32_t s = 0, c = 0;
	struct store_claim claim;
	char name[16];
	int err;

	snprintf(name, sizeof(name), "s%u", round);
	err = store_snapshot(st, a, name, &s);
	if (!err)
		err = store_unmap(st, a, 5, 20);
	if (!err) {
		err = store_claim_wait(st, 7, &claim);
		if (!err)
			err = store_map(st, a, 40, &claim, NULL);
	}
	if (!err)
		err = store_clone(st, s, name, &c);
	snprintf(name, sizeof(name), "r%u", round);
	if (!err)
		err = store_rename(st, c, name);
	if (!err)
		err = store_resize(st, c, 3 * STORE_BLOCK);
	if (!err)
		err = store_rollback(st, a, s);
	if (!err)
		err = store_delete(st, c);
	if (!err)
		err = store_commit(st);
	if (!err)
		err = store_reclaim(st) < 0 ? -RAY_ENOMEM : 0;
	return err ? err : store_checkpoint(st);
}

static void test_no_memory(void **state)
{
	uint32_t a = volume("a", 1000, 0);
	unsigned int failed = 0;

	(void)state;
	write_new(a, 0, 300, 1 << 20, false);
	for (unsigned int n = 1;; n++) {
		int err;

		again();
		fake_heap_fail_at = n;
		err = some_of_everything(a, n);
		if (fake_heap_fail_at > 0) {
			fake_heap_fail_at = 0;
			assert_int_equal(err, 0);
			break;
		}
		fake_heap_fail_at = 0;
		assert_int_equal(err, err ? -RAY_ENOMEM : 0);
		failed += err != 0;
		check();
		expect(a, 0, 5, 1 << 20);
	}
	assert_in_range(failed, 10, 1000);
	fake_heap_fail_at = 1;
	store_drop(st);
	st = NULL;
	for (unsigned int n = 1;; n++) {
		const struct store_port port = fake_store_port(&disk);
		int err;

		fake_heap_fail_at = n;
		err = store_mount(&port, false, 4096, &st, why);
		if (fake_heap_fail_at > 0) {
			fake_heap_fail_at = 0;
			assert_int_equal(err, 0);
			break;
		}
		assert_int_equal(err, -RAY_ENOMEM);
	}
}

/* A write or flush that fails: no change after it, and what was committed is there. */
static void test_failing_disk(void **state)
{
	uint32_t a = volume("a", 1000, 0), id;

	(void)state;
	write_new(a, 0, 300, 1 << 20, false);
	assert_int_equal(store_commit(st), 0);
	for (unsigned int n = 1;; n++) {
		int err;

		check();
		if (n % 2)
			disk.fail_write_at = n / 2 + 1;
		else
			disk.fail_flush_at = n / 2;
		err = some_of_everything(a, n);
		if (disk.fail_write_at > 0 || disk.fail_flush_at > 0) {
			disk.fail_write_at = disk.fail_flush_at = 0;
			assert_int_equal(err, 0);
			break;
		}
		assert_int_equal(err, -RAY_EIO);
		assert_int_equal(store_create(st, STORE_VOLUME, "later", 4096, 0, &id), -RAY_EIO);
		assert_int_equal(store_commit(st), -RAY_EIO);
		expect(a, 0, 5, 1 << 20); /* reading goes on */
		store_unmount(st);
		mount_it();
		expect(a, 0, 5, 1 << 20);
	}
}

/* A node that cannot be read is named, and what needs it fails. */
static void test_unreadable(void **state)
{
	const struct store_port port = fake_store_port(&disk);
	uint32_t a = volume("a", 1000, 0);
	unsigned long reads;
	int err;

	(void)state;
	write_new(a, 0, 300, 1 << 20, false);
	store_unmount(st);
	st = NULL;
	disk.reads = 0;
	mount_it();
	reads = disk.reads;
	store_drop(st);
	st = NULL;
	for (unsigned long n = 1; n <= reads; n++) {
		disk.fail_read_at = (long)n;
		err = store_mount(&port, true, 4096, &st, why);
		disk.fail_read_at = 0;
		if (err) {
			assert_int_equal(err, -RAY_EIO);
			assert_string_not_equal(why, "");
			continue;
		}
		/* Of two superblocks, or behind the log's end. */
		expect(a, 0, 5, 1 << 20);
		store_drop(st);
		st = NULL;
	}
	mount_it();
}

/* Any byte of any block that is in use: found, and nothing is written. */
static void test_flipped_bits(void **state)
{
	const struct store_port port = fake_store_port(&disk);
	uint32_t a = volume("a", 1000, 0), s;
	unsigned int found = 0;

	(void)state;
	for (unsigned int i = 0; i < 300; i++)
		write_new(a, (i * 37) % 1000, 1, (uint64_t)(i + 1) << 20, false);
	assert_int_equal(store_snapshot(st, a, "s", &s), 0);
	write_new(a, 0, 1, 1 << 20, false);
	assert_int_equal(store_checkpoint(st), 0);
	write_new(a, 1, 1, 1 << 20, false);
	assert_int_equal(store_commit(st), 0);
	store_drop(st);
	st = NULL;
	srand(3);
	for (uint64_t b = 0; b < FAKE_STORE_BLOCKS; b++) {
		uint8_t *p = disk.page[b];
		unsigned int at = (unsigned int)rand() % STORE_BLOCK, bit = (unsigned int)rand() % 8;
		struct store_check c;
		unsigned long writes = disk.writes;
		int err;

		if (!p)
			continue;
		p[at] = (uint8_t)(p[at] ^ 1u << bit);
		err = store_mount(&port, true, 4096, &st, why);
		if (err == 0) {
			err = store_check(st, &c);
			assert_int_equal(c.wrong, 0);
			store_drop(st);
		}
		st = NULL;
		assert_true(err == 0 || err == -RAY_EIO);
		assert_int_equal(disk.writes, writes);
		found += err != 0;
		p[at] = (uint8_t)(p[at] ^ 1u << bit);
	}
	/* Nodes, bitmap, log; data has no checksums here, old nodes do not count. */
	assert_in_range(found, 4, 100);
	mount_it();
}

static void test_other_stores(void **state)
{
	const struct store_port port = fake_store_port(&disk);
	uint8_t id[16];
	struct store *s;
	struct store_super *super;
	uint32_t sum;

	(void)state;
	store_unmount(st);
	st = NULL;
	assert_int_equal(store_probe(&port, id, why), 0);
	assert_memory_equal(id, uuid, 16);
	for (unsigned int slot = 0; slot < 2; slot++) {
		super = (struct store_super *)(void *)disk.page[slot ? FAKE_STORE_BLOCKS - 1 : 0];
		super->version = 2;
		super->sum = 0;
		sum = (uint32_t)crc32(0, (const Bytef *)super, sizeof(*super));
		super->sum = sum;
	}
	assert_int_equal(store_probe(&port, id, why), -RAY_ENOSYS);
	assert_non_null(strstr(why, "version 2"));
	assert_int_equal(store_mount(&port, false, 100, &s, why), -RAY_ENOSYS);
	super->magic = 0;
	super = (struct store_super *)(void *)disk.page[0];
	super->magic = 0;
	assert_int_equal(store_probe(&port, id, why), -RAY_ENOENT);
	assert_int_equal(store_format(&port, uuid), 0);
	mount_it();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_written_is_read, begin, end),
		cmocka_unit_test_setup_teardown(test_the_log_brings_it_back, begin, end),
		cmocka_unit_test_setup_teardown(test_snapshots, begin, end),
		cmocka_unit_test_setup_teardown(test_sums, begin, end),
		cmocka_unit_test_setup_teardown(test_names, begin, end),
		cmocka_unit_test_setup_teardown(test_scattered, begin, end),
		cmocka_unit_test_setup_teardown(test_full, begin, end),
		cmocka_unit_test_setup_teardown(test_many, begin, end),
		cmocka_unit_test_setup_teardown(test_scrub, begin, end),
		cmocka_unit_test_setup_teardown(test_no_memory, begin, end),
		cmocka_unit_test_setup_teardown(test_failing_disk, begin, end),
		cmocka_unit_test_setup_teardown(test_unreadable, begin, end),
		cmocka_unit_test_setup_teardown(test_flipped_bits, begin, end),
		cmocka_unit_test_setup_teardown(test_other_stores, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
