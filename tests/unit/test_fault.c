/* UNIT: kernel/dma/dma.c kernel/block/dev.c kernel/block/queue.c kernel/block/merge.c
 * kernel/block/fit.c kernel/block/worker.c kernel/block/sync.c kernel/block/fault.c
 * kernel/block/part.c kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/block/gpt_write.c kernel/lib/utf8.c
 */
// SPDX-License-Identifier: Apache-2.0
/* Faults on demand: what they hit and what not, how often, and what becomes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/block/block_priv.h"
#include "tests/host/fake_disk.h"

static struct fake_disk disk;
static struct block_dev *dev;
static uint8_t buf[KIB(64)] __attribute__((aligned(4096)));

static int setup(void **state)
{
	struct block_init init = fake_disk_init(&disk, &fake_limits);

	(void)state;
	disk.at_once = true;
	assert_int_equal(block_init(), 0);
	assert_int_equal(block_publish(&init, &dev), 0);
	fake_threads_run();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (dev)
		block_unpublish(dev);
	assert_true(disk.gone);
	free(disk.data);
	fake_marker_text[0] = '\0';
	page_free_dirty(block_zeros, 0);
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(fake_pages_live, 0);
	assert_null(fake_timer());
	return 0;
}

static void add(enum block_fault_kind kind, uint32_t ops, uint64_t off, uint64_t len,
		uint32_t count)
{
	const struct block_fault f = {.kind = kind, .ops = ops, .off = off, .len = len,
				      .left = count};

	assert_int_equal(block_fault_add(dev, &f), 0);
}

static void test_what_fails(void **state)
{
	struct block_fault list[BLOCK_FAULTS_MAX];
	unsigned int reads = disk.seen[BLOCK_READ];

	(void)state;
	add(BLOCK_FAULT_ERROR, BIT(BLOCK_READ), KIB(8), 512, 2);
	add(BLOCK_FAULT_ERROR, BIT(BLOCK_FLUSH), 0, 512, BLOCK_FAULT_ALWAYS);
	assert_int_equal(block_read(dev, KIB(8) - 512, buf, 512), 0);
	assert_int_equal(block_read(dev, KIB(8) + 512, buf, 512), 0);
	assert_int_equal(block_write(dev, KIB(8), buf, 512, 0), 0);
	assert_int_equal(disk.seen[BLOCK_READ], reads + 2);
	assert_int_equal(block_read(dev, 0, buf, KIB(16)), -RAY_EIO);
	assert_int_equal(block_read(dev, KIB(8), buf, 512), -RAY_EIO);
	assert_int_equal(disk.seen[BLOCK_READ], reads + 2);
	assert_int_equal(block_read(dev, KIB(8), buf, 512), 0); /* used up */
	assert_int_equal(block_flush(dev), -RAY_EIO);
	assert_int_equal(block_flush(dev), -RAY_EIO);
	assert_int_equal(block_fault_list(dev, list), 1);
	assert_int_equal(list[0].hits, 2);
	block_fault_clear(dev);
	assert_int_equal(block_flush(dev), 0);
	assert_int_equal(block_fault_list(dev, list), 0);
	assert_int_equal(disk.recovered, 0);
}

struct op {
	struct block_req r;
	struct block_seg seg;
	bool over;
	int err;
};

static void op_done(struct block_req *r, int err)
{
	struct op *o = r->owner;

	assert_false(o->over);
	o->over = true;
	o->err = err;
}

static void submit(struct op *o, enum block_op op, uint64_t off)
{
	*o = (struct op){.r = {.op = op, .off = off, .len = 512, .seg = &o->seg, .seg_count = 1,
			       .done = op_done, .owner = o},
			 .seg = {va_to_hpa(buf), 512}};
	block_submit(dev, &o->r);
}

/* A thousand at once end one after the other, not one within the other. */
static void test_many(void **state)
{
	static struct op ops[1000];

	(void)state;
	add(BLOCK_FAULT_ERROR, BIT(BLOCK_WRITE), 0, FAKE_DISK_SIZE, BLOCK_FAULT_ALWAYS);
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		submit(&ops[i], BLOCK_WRITE, i * 512ull);
		assert_false(ops[i].over);
	}
	while (!ops[ARRAY_SIZE(ops) - 1].over)
		thread_yield();
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++)
		assert_int_equal(ops[i].err, -RAY_EIO);
	assert_int_equal(disk.seen[BLOCK_WRITE], 0);
}

static void test_silence(void **state)
{
	struct op lost, other;

	(void)state;
	add(BLOCK_FAULT_SILENT, BIT(BLOCK_READ), 0, 512, 1);
	submit(&lost, BLOCK_READ, 0);
	submit(&other, BLOCK_READ, 512);
	assert_true(other.over && !lost.over);
	fake_time_pass(29);
	fake_threads_run();
	assert_false(lost.over);
	fake_time_pass(2);
	fake_threads_run();
	assert_int_equal(disk.recovered, 1);
	assert_true(lost.over); /* repeated after the reset */
	assert_int_equal(lost.err, 0);
}

static void test_silence_that_lasts(void **state)
{
	struct op lost;

	(void)state;
	add(BLOCK_FAULT_SILENT, BIT(BLOCK_READ), 0, 512, BLOCK_FAULT_ALWAYS);
	submit(&lost, BLOCK_READ, 0);
	for (unsigned int i = 0; i < 400 && !lost.over; i++) {
		fake_time_pass(1);
		fake_threads_run();
	}
	assert_true(lost.over);
	assert_int_equal(lost.err, -RAY_EIO);
	assert_int_equal(disk.recovered, 5);
	assert_int_equal(block_state(dev), BLOCK_LIVE);
}

static void test_unplugged_meanwhile(void **state)
{
	struct op lost, failing;

	(void)state;
	add(BLOCK_FAULT_SILENT, BIT(BLOCK_READ), 0, 512, 1);
	add(BLOCK_FAULT_ERROR, BIT(BLOCK_WRITE), 0, 512, 1);
	submit(&lost, BLOCK_READ, 0);
	submit(&failing, BLOCK_WRITE, 0);
	block_unpublish(dev);
	dev = NULL;
	assert_true(lost.over && failing.over);
	assert_true(lost.err == -RAY_ENODEV && failing.err != 0);
}

static void test_what_cannot_be(void **state)
{
	struct block_fault f = {.kind = BLOCK_FAULT_ERROR, .ops = BIT(BLOCK_READ), .len = 512,
				.left = 1};

	(void)state;
	f.off = FAKE_DISK_SIZE;
	assert_int_equal(block_fault_add(dev, &f), -RAY_ERANGE);
	f.off = UINT64_MAX;
	assert_int_equal(block_fault_add(dev, &f), -RAY_ERANGE);
	f.off = 0;
	f.left = 0;
	assert_int_equal(block_fault_add(dev, &f), -RAY_ERANGE);
	f.left = 1;
	for (unsigned int i = 0; i < BLOCK_FAULTS_MAX; i++)
		assert_int_equal(block_fault_add(dev, &f), 0);
	assert_int_equal(block_fault_add(dev, &f), -RAY_ENOSPC);
	assert_int_equal(block_read(dev, 0, buf, 512), -RAY_EIO);
	assert_int_equal(block_fault_add(dev, &f), 0); /* one was used up */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence_that_lasts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unplugged_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_cannot_be, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
