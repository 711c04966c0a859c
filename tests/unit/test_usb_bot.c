/* UNIT: devices/host/usb/usb_bot.c devices/host/scsi/scsi.c kernel/lib/err.c */
// SPDX-License-Identifier: Apache-2.0
/* USB mass storage: commands over the bulk-only transport, and a stick that loses its way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/host/fake_stick.h"

static struct stick *const s = &fake_stick_driver;

static int setup(void **state)
{
	(void)state;
	fake_stick_init();
	return 0;
}

static int run(const uint8_t *cdb, uint8_t cdb_len, bool in, uint32_t len, uint32_t *got)
{
	struct usb_seg seg = bot_piece(s, fake_stick_mem.data, len);
	struct bot_cmd c = {.cdb = cdb, .cdb_len = cdb_len, .in = in, .seg = &seg,
			    .seg_count = len ? 1 : 0, .len = len};

	return bot_run(s, &c, got);
}

static int read_block(uint8_t lba, uint32_t *got)
{
	const uint8_t cdb[10] = {SCSI_READ_10, [5] = lba, [8] = 1};

	return run(cdb, sizeof(cdb), true, 512, got);
}

static void works(void)
{
	uint32_t got;

	memset(fake_stick.disk.data + 512 * 7, 0x77, 512);
	memset(fake_stick_mem.data, 0, 512);
	assert_int_equal(read_block(7, &got), 0);
	assert_int_equal(got, 512);
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(fake_stick_mem.data[i], 0x77);
}

static void test_read_and_write(void **state)
{
	static const uint8_t cdb[10] = {SCSI_WRITE_10, [5] = 3, [8] = 1};
	static const uint8_t flush[10] = {SCSI_SYNC_10};
	uint32_t got;

	(void)state;
	works();
	memset(fake_stick_mem.data, 0x33, 512);
	assert_int_equal(run(cdb, sizeof(cdb), false, 512, &got), 0);
	assert_int_equal(got, 512);
	assert_int_equal(fake_stick.disk.data[3 * 512 + 511], 0x33);
	assert_int_equal(run(flush, sizeof(flush), false, 0, &got), 0);
	assert_int_equal(fake_stick.disk.done[SCSI_SYNC_10], 1);
	assert_int_equal(fake_stick.resets, 0);
	assert_int_equal(bot_units(s), 1);
}

static void test_a_failed_command_says_why(void **state)
{
	struct scsi_sense why;
	uint32_t got, n;

	(void)state;
	for (unsigned int stalls = 0; stalls < 2; stalls++) {
		fake_stick.disk.fail_count = 1;
		fake_stick.disk.key = SCSI_MEDIUM_ERROR;
		fake_stick.disk.asc = 0x11;
		fake_stick.stall_data = stalls;
		assert_int_equal(read_block(1, &got), 1);
		n = bot_sense(s, 0);
		why = scsi_sense_take(fake_stick_mem.sense, n);
		assert_true(why.valid);
		assert_int_equal(why.key, SCSI_MEDIUM_ERROR);
		assert_int_equal(why.asc, 0x11);
		works();
	}
	assert_int_equal(fake_stick.resets, 0);
	assert_int_equal(fake_stick.unhalts, 1);
}

/* Stalls of the data and of the status are part of the transport: no reset. */
static void test_stalls(void **state)
{
	uint32_t got;

	(void)state;
	fake_stick.short_data = fake_stick.stall_data = true;
	assert_int_equal(read_block(1, &got), 0);
	assert_int_equal(got, 256);
	fake_stick.stall_status = true;
	assert_int_equal(read_block(1, &got), 0);
	assert_int_equal(got, 512);
	assert_int_equal(fake_stick.resets, 0);
	works();
}

static void test_nonsense_is_reset(void **state)
{
	bool *const wrongs[] = {
		&fake_stick.bad_signature, &fake_stick.bad_tag,     &fake_stick.bad_status,
		&fake_stick.bad_residue,   &fake_stick.phase_error, &fake_stick.short_status,
		&fake_stick.silent_data,   &fake_stick.lost,
	};
	uint32_t got;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(wrongs); i++) {
		*wrongs[i] = true;
		assert_int_equal(read_block(1, &got), -RAY_EAGAIN);
		assert_int_equal(fake_stick.resets, i + 1);
		works();
	}
}

static void test_dead_and_gone(void **state)
{
	uint32_t got;

	(void)state;
	fake_stick.lost = fake_stick.dead = true;
	assert_int_equal(read_block(1, &got), -RAY_EIO);
	fake_stick.gone = true;
	assert_int_equal(read_block(1, &got), -RAY_ENODEV);
	assert_int_equal(bot_units(s), 1);
	assert_int_equal(bot_sense(s, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_read_and_write, setup),
		cmocka_unit_test_setup(test_a_failed_command_says_why, setup),
		cmocka_unit_test_setup(test_stalls, setup),
		cmocka_unit_test_setup(test_nonsense_is_reset, setup),
		cmocka_unit_test_setup(test_dead_and_gone, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
