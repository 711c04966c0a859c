/* UNIT: devices/host/scsi/scsi.c devices/host/scsi/scsi_find.c kernel/dma/dma.c
 * kernel/block/dev.c kernel/block/queue.c kernel/block/merge.c kernel/block/fit.c
 * kernel/block/worker.c kernel/block/sync.c kernel/block/fault.c kernel/block/part.c
 * kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c kernel/lib/fmt.c
 * kernel/lib/sink.c kernel/block/gpt_write.c kernel/lib/utf8.c
 */
// SPDX-License-Identifier: Apache-2.0
/* SCSI: what a disk says of itself, commands for it, what its answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/fake_disk.h"
#include "tests/host/fake_scsi.h"

static struct fake_scsi model;
static struct fake_answer answer;
static int transport; /* what it fails with */
static uint8_t luns[64];
static size_t luns_len;

static int exec(void *ctx, struct scsi_exec *x)
{
	assert_ptr_equal(ctx, &model);
	assert_true(x->len <= SCSI_BUF_LEN && x->cdb_len <= SCSI_CDB_MAX);
	if (transport)
		return transport;
	if (x->cdb[0] == SCSI_REPORT_LUNS && luns_len) {
		answer.status = SCSI_GOOD;
		fake_answer(&answer, luns, luns_len, x->buf, x->len);
	} else {
		fake_scsi_do(&model, x->cdb, NULL, 0, x->buf, x->len, &answer);
	}
	x->status = answer.status;
	x->got = (uint32_t)answer.got;
	x->sense_len = (uint32_t)answer.sense_len;
	memcpy(x->sense, answer.sense, sizeof(x->sense));
	return 0;
}

static const struct scsi_port port = {.exec = exec, .ctx = &model};
static struct scsi_unit unit;

static int find(void)
{
	return scsi_unit_find(&port, &unit);
}

static int setup(void **state)
{
	(void)state;
	fake_scsi_init(&model);
	memset(&answer, 0, sizeof(answer));
	transport = 0;
	luns_len = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(fake_heap_live, 0);
	return 0;
}

static void test_what_it_is(void **state)
{
	struct block_limits l = {.bytes_max = MIB(1)};

	(void)state;
	assert_int_equal(find(), 0);
	assert_string_equal(unit.ident.model, "RAYOS Model disk");
	assert_string_equal(unit.ident.serial, "serial 7");
	assert_string_equal(unit.ident.firmware, "1.0");
	assert_int_equal(unit.ident.size, FAKE_SCSI_SIZE);
	assert_true(unit.cache && !unit.fua && !unit.read_only && !unit.wide && unit.zero_unmaps);
	scsi_limits_fill(&unit, &l);
	assert_int_equal(l.logical, 512);
	assert_int_equal(l.physical, 4096);
	assert_int_equal(l.bytes_max, 1000 * 512);
	assert_int_equal(l.discard_max, 500 * 512);
	assert_int_equal(l.discard_granule, 4096);
	assert_int_equal(l.zero_max, 400 * 512);
	assert_true(l.cache && !l.fua);
}

static void test_what_it_cannot(void **state)
{
	struct block_limits l = {.bytes_max = MIB(64)};

	(void)state;
	model.page_count = 2; /* no limits, no thin provisioning */
	model.mode_flags = 0x90;
	model.caching = 0;
	assert_int_equal(find(), 0);
	assert_true(unit.fua && unit.read_only && !unit.cache && !unit.zero_unmaps);
	scsi_limits_fill(&unit, &l);
	assert_int_equal(l.bytes_max, 65535 * 512);
	assert_true(l.discard_max == 0 && l.discard_granule == 0 && l.zero_max == 0);
	setup(NULL);
	model.thin = 0x00;
	assert_int_equal(find(), 0);
	assert_int_equal(unit.unmap_max, 0);
	setup(NULL);
	model.unmap_ranges = 0;
	assert_int_equal(find(), 0);
	assert_int_equal(unit.unmap_max, 0);
	setup(NULL);
	model.version = 4; /* a stick */
	assert_int_equal(find(), 0);
	assert_int_equal(model.done[SCSI_SERVICE_IN_16], 0);
	assert_int_equal(model.done[SCSI_INQUIRY], 1);
	assert_int_equal(unit.physical, 512);
}

static void test_a_cache_that_is_not_told(void **state)
{
	(void)state;
	model.no_mode = true;
	assert_int_equal(find(), 0);
	assert_true(unit.cache);
	model.no_flush = true;
	assert_int_equal(find(), 0);
	assert_false(unit.cache);
}

static bool clock_stop;

static void clock_thread(void *arg)
{
	(void)arg;
	while (!clock_stop) {
		fake_now += 1000000;
		thread_wake(thread_current());
		thread_yield();
	}
}

static void test_getting_ready(void **state)
{
	const struct thread_attr attr = {.cpu = -1};
	uint64_t before = fake_now;
	struct thread *clock;

	(void)state;
	clock_stop = false;
	assert_int_equal(thread_create(&clock, "clock", clock_thread, NULL, &attr), 0);
	model.attentions = 3;
	model.busy = 2;
	model.becoming = 20;
	assert_int_equal(find(), 0);
	model.stopped = true;
	assert_int_equal(find(), 0);
	assert_int_equal(model.done[SCSI_START_STOP], 1);
	model.no_medium = true;
	assert_int_equal(find(), -RAY_ENODEV);
	model.no_medium = false;
	assert_true(fake_now - before < 10000000000ull);
	model.becoming = UINT32_MAX;
	assert_int_equal(find(), -RAY_EIO);
	assert_true(fake_now - before >= 10000000000ull);
	clock_stop = true;
	thread_join(clock);
}

static void test_sizes(void **state)
{
	struct block_limits l = {.bytes_max = MIB(1)};

	(void)state;
	model.last = 0x123456789;
	assert_int_equal(find(), 0);
	assert_true(unit.wide);
	assert_int_equal(unit.ident.size, 0x12345678aull * 512);
	model.logical = 4096;
	model.physical = 0;
	assert_int_equal(find(), 0);
	scsi_limits_fill(&unit, &l);
	assert_int_equal(l.bytes_max, MIB(1));
	model.no_long = true; /* larger than it can say */
	assert_int_equal(find(), -RAY_ENOSYS);
	model.no_long = false;
	for (unsigned int i = 0; i < 4; i++) {
		static const uint32_t odd[] = {0, 256, 520, 8192};

		model.logical = odd[i];
		assert_int_equal(find(), -RAY_ENOSYS);
	}
	model.logical = 512;
	model.last = UINT64_MAX;
	assert_int_equal(find(), -RAY_ENOSYS);
	model.last = 7;
	model.physical = 15; /* 16 MiB: nonsense */
	assert_int_equal(find(), 0);
	assert_int_equal(unit.physical, 512);
	model.no_short = true;
	assert_int_equal(find(), -RAY_EIO);
}

static void test_not_a_disk(void **state)
{
	(void)state;
	model.type = 5; /* a CD drive */
	assert_int_equal(find(), -RAY_ENOSYS);
	model.type = 0x60; /* nothing at this number */
	assert_int_equal(find(), -RAY_ENOSYS);
	model.type = 0;
	transport = -RAY_ENODEV;
	assert_int_equal(find(), -RAY_ENODEV);
	transport = -RAY_ETIMEDOUT;
	assert_int_equal(find(), -RAY_ETIMEDOUT);
	transport = 0;
	fake_heap_fail_at = 1;
	assert_int_equal(find(), -RAY_ENOMEM);
	fake_heap_fail_at = 0;
}

static void cdb_is(enum block_op op, uint32_t flags, const char *want)
{
	const struct block_cmd cmd = {.op = op, .flags = flags, .off = 0x12345 * 512ull,
				      .len = 0x67 * 512};
	uint8_t cdb[SCSI_CDB_MAX], param[SCSI_PARAM_LEN];
	char text[3 * SCSI_CDB_MAX + 1] = "";
	uint8_t n = scsi_cdb_fill(&unit, &cmd, cdb, param);

	for (uint8_t i = 0; i < n; i++)
		snprintf(text + 3 * i, 4, "%02x ", cdb[i]);
	assert_string_equal(text, want);
	if (op == BLOCK_DISCARD)
		assert_memory_equal(param, "\0\x16\0\x10\0\0\0\0\0\0\0\0\0\x01\x23\x45\0\0\0\x67"
				    "\0\0\0\0", SCSI_PARAM_LEN);
}

static void test_commands(void **state)
{
	(void)state;
	assert_int_equal(find(), 0);
	cdb_is(BLOCK_READ, 0, "28 00 00 01 23 45 00 00 67 00 ");
	cdb_is(BLOCK_WRITE, BLOCK_F_FUA, "2a 08 00 01 23 45 00 00 67 00 ");
	cdb_is(BLOCK_FLUSH, 0, "35 00 00 00 00 00 00 00 00 00 ");
	cdb_is(BLOCK_DISCARD, 0, "42 00 00 00 00 00 00 00 18 00 ");
	cdb_is(BLOCK_ZERO, 0, "93 00 00 00 00 00 00 01 23 45 00 00 00 67 00 00 ");
	cdb_is(BLOCK_ZERO, BLOCK_F_UNMAP, "93 08 00 00 00 00 00 01 23 45 00 00 00 67 00 00 ");
	unit.wide = true;
	unit.zero_unmaps = false;
	cdb_is(BLOCK_READ, 0, "88 00 00 00 00 00 00 01 23 45 00 00 00 67 00 00 ");
	cdb_is(BLOCK_WRITE, 0, "8a 00 00 00 00 00 00 01 23 45 00 00 00 67 00 00 ");
	cdb_is(BLOCK_ZERO, BLOCK_F_UNMAP, "93 00 00 00 00 00 00 01 23 45 00 00 00 67 00 00 ");
}

static int result(uint8_t key, uint8_t asc, uint8_t ascq)
{
	struct fake_answer a = {.descriptors = false}, b = {.descriptors = true};
	int err;

	fake_sense(&a, key, asc, ascq);
	fake_sense(&b, key, asc, ascq);
	err = scsi_result(a.status, a.sense, a.sense_len);
	assert_int_equal(scsi_result(b.status, b.sense, b.sense_len), err);
	return err;
}

static void test_results(void **state)
{
	static const uint8_t junk[8] = {0x7f, 3, 3, 3, 3};

	(void)state;
	assert_int_equal(result(SCSI_RECOVERED, 0, 0), 0);
	assert_int_equal(result(SCSI_MEDIUM_ERROR, 0x11, 0), -RAY_EIO);
	assert_int_equal(result(SCSI_UNIT_ATTENTION, 0x29, 0), -RAY_EAGAIN);
	assert_int_equal(result(SCSI_ABORTED_COMMAND, 0, 0), -RAY_EAGAIN);
	assert_int_equal(result(SCSI_NOT_READY, 4, 1), -RAY_EAGAIN);
	assert_int_equal(result(SCSI_NOT_READY, 0x3a, 0), -RAY_EIO);
	assert_int_equal(result(0, 0, 0), -RAY_EIO);
	assert_int_equal(scsi_result(SCSI_GOOD, NULL, 0), 0);
	assert_int_equal(scsi_result(SCSI_CONDITION_MET, NULL, 0), 0);
	assert_int_equal(scsi_result(SCSI_BUSY, NULL, 0), -RAY_EAGAIN);
	assert_int_equal(scsi_result(SCSI_TASK_SET_FULL, NULL, 0), -RAY_EAGAIN);
	assert_int_equal(scsi_result(0x18, NULL, 0), -RAY_EIO);
	/* A check condition that says nothing, or what nobody can read. */
	assert_int_equal(scsi_result(SCSI_CHECK_CONDITION, NULL, 0), -RAY_EAGAIN);
	assert_int_equal(scsi_result(SCSI_CHECK_CONDITION, junk, sizeof(junk)), -RAY_EAGAIN);
	assert_int_equal(scsi_result(SCSI_CHECK_CONDITION, (const uint8_t *)"\x70", 1), -RAY_EAGAIN);
	assert_false(scsi_sense_take((const uint8_t *)"\x72\x03", 2).valid);
}

static void test_luns(void **state)
{
	uint16_t out[4];

	(void)state;
	assert_int_equal(scsi_luns_find(&port, out, 4), 1); /* it does not know the command */
	assert_int_equal(out[0], 0);
	/* 0, 5, 0x123 in flat addressing, one on another bus, 9 */
	luns_len = 8 + 5 * 8;
	store_be32(luns, 5 * 8);
	luns[8 + 8 + 1] = 5;
	luns[8 + 16] = 0x41;
	luns[8 + 17] = 0x23;
	luns[8 + 24] = 1;
	luns[8 + 32 + 1] = 9;
	assert_int_equal(scsi_luns_find(&port, out, 4), 4);
	assert_true(out[0] == 0 && out[1] == 5 && out[2] == 0x123 && out[3] == 9);
	assert_int_equal(scsi_luns_find(&port, out, 2), 2);
	store_be32(luns, UINT32_MAX); /* more than there is */
	assert_int_equal(scsi_luns_find(&port, out, 4), 4);
	luns_len = 12;
	assert_int_equal(scsi_luns_find(&port, out, 4), 1);
	transport = -RAY_ENODEV;
	assert_int_equal(scsi_luns_find(&port, out, 4), -RAY_ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_it_cannot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_cache_that_is_not_told, setup, teardown),
		cmocka_unit_test_setup_teardown(test_getting_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_a_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_results, setup, teardown),
		cmocka_unit_test_setup_teardown(test_luns, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
