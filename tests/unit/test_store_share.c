/* UNIT: kernel/store/tree.c kernel/store/tree_change.c kernel/store/tree_io.c kernel/store/space.c
 * kernel/store/layer.c kernel/store/object.c kernel/store/map.c kernel/store/sums.c kernel/store/log.c
 * kernel/store/log_record.c kernel/store/op.c kernel/store/change.c kernel/store/mount.c
 * kernel/store/info.c kernel/store/reclaim.c kernel/store/check.c kernel/store/scrub.c kernel/lib/bitmap.c
 * kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * How much a store writes besides data: the log, nodes, bitmaps and superblocks, all that reaches
 * the disk. Of a store of 4 GiB, whose data is not kept here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define FAKE_STORE_BLOCKS (1u << 20)

#include "tests/host/fake_heap.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_panic.h"
#include "tests/host/fake_store.h"

#define GIB_BLOCKS (1u << 18)

static struct fake_store disk;
static struct store *st;
static uint64_t data; /* blocks since begin() */
static struct store_stats before;

void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	memset(l, 0, sizeof(*l));
	l->order = (uint16_t)order;
}

static int begin(void **state)
{
	const struct store_port port = fake_store_port(&disk);
	char why[STORE_WHY_LEN];

	(void)state;
	assert_int_equal(store_format(&port, (const uint8_t *)"sixteen bytes..."), 0);
	assert_int_equal(store_mount(&port, false, 16384, &st, why), 0);
	return 0;
}

static int end(void **state)
{
	struct store_check c;

	(void)state;
	assert_int_equal(store_check(st, &c), 0);
	assert_int_equal(c.wrong, 0);
	store_unmount(st);
	fake_store_free(&disk);
	memset(&disk, 0, sizeof(disk));
	assert_int_equal(fake_heap_live, 0);
	return 0;
}

static void count_from_here(void)
{
	assert_int_equal(store_checkpoint(st), 0);
	store_stats_get(st, &before);
	data = 0;
}

/* In thousandths of a percent of the data. */
static uint64_t share(const char *what)
{
	struct store_stats now;
	uint64_t meta, log;

	assert_int_equal(store_checkpoint(st), 0);
	store_stats_get(st, &now);
	meta = now.meta_blocks - before.meta_blocks;
	log = now.log_blocks - before.log_blocks;
	print_message("%s: %lu blocks of data, %lu of metadata, %lu of the log: %lu.%03lu %%\n", what,
		      (unsigned long)data, (unsigned long)meta, (unsigned long)log,
		      (unsigned long)((meta + log) * 100 / data),
		      (unsigned long)((meta + log) * 100000 / data % 1000));
	return (meta + log) * 100000 / data;
}

static void map(uint32_t id, uint64_t l, uint32_t n, const uint32_t *sums)
{
	data += n;
	while (n > 0) {
		struct store_claim c;

		assert_int_equal(store_claim_wait(st, n, &c), 0);
		n -= c.n;
		l += c.n;
		assert_int_equal(store_map(st, id, l - c.n, &c, sums), 0);
	}
}

/* A GiB in requests of 1 MiB, a flush every 16 MiB. */
static void write_all(uint32_t id, const uint32_t *sums)
{
	for (uint64_t l = 0; l < GIB_BLOCKS; l += 256) {
		map(id, l, 256, sums);
		if (l % 4096 == 0)
			assert_int_equal(store_commit(st), 0);
	}
}

static void test_in_sequence(void **state)
{
	uint32_t id;

	(void)state;
	assert_int_equal(store_create(st, STORE_VOLUME, "v", 1ull << 30, 0, &id), 0);
	count_from_here();
	write_all(id, NULL);
	assert_in_range(share("in sequence"), 0, 200);
}

static void test_in_sequence_with_checksums(void **state)
{
	static uint32_t sums[256];
	uint32_t id;

	(void)state;
	for (unsigned int i = 0; i < 256; i++)
		sums[i] = i * 2654435761u + 1;
	assert_int_equal(store_create(st, STORE_VOLUME, "v", 1ull << 30, STORE_F_SUMS, &id), 0);
	count_from_here();
	write_all(id, sums);
	assert_in_range(share("in sequence, with checksums"), 0, 400);
}

/* 4 KiB at a time anywhere in a volume that a snapshot has, a flush every 256. */
static void test_random_after_a_snapshot(void **state)
{
	uint32_t id, s;

	(void)state;
	assert_int_equal(store_create(st, STORE_VOLUME, "v", 1ull << 30, 0, &id), 0);
	write_all(id, NULL);
	assert_int_equal(store_snapshot(st, id, "s", &s), 0);
	count_from_here();
	srand(1);
	for (unsigned int i = 0; i < GIB_BLOCKS; i++) {
		struct store_piece p;
		uint64_t l = (uint64_t)rand() % GIB_BLOCKS;

		assert_int_equal(store_find_load(st, id, l, 1, &p), 0);
		if (p.own)
			data++; /* where it is */
		else
			map(id, l, 1, NULL);
		if (i % 256 == 0)
			assert_int_equal(store_commit(st), 0);
	}
	assert_in_range(share("at random after a snapshot"), 0, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_sequence, begin, end),
		cmocka_unit_test_setup_teardown(test_in_sequence_with_checksums, begin, end),
		cmocka_unit_test_setup_teardown(test_random_after_a_snapshot, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
