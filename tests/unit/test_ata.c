/* UNIT: devices/host/ata/ata.c kernel/lib/err.c */
// SPDX-License-Identifier: Apache-2.0
/* What ATA disks say of themselves, sound and spoilt, and which commands they get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/err.h"
#include "tests/host/fake_ata.h"

static uint8_t id[ATA_DATA_LEN];
static struct ata_id got;

void block_text_take(char *out, size_t out_len, const uint8_t *p, size_t len)
{
	size_t n = MIN(len, out_len - 1);

	memcpy(out, p, n);
	out[n] = '\0';
}

static int setup(void **state)
{
	(void)state;
	fake_ata_identify(id, 1000);
	return 0;
}

static void test_sound(void **state)
{
	(void)state;
	assert_int_equal(ata_id_take(id, &got), 0);
	assert_int_equal(strncmp(got.ident.model, "Fake ATA disk ", 14), 0);
	assert_int_equal(got.ident.size, 512000);
	assert_int_equal(got.logical, 512);
	assert_int_equal(got.physical, 4096);
	assert_int_equal(got.depth, 32);
	assert_true(got.cache && got.trim && got.smart);
	/* Sectors of 4 KiB. */
	store16(id + 2 * 106, 0x5000);
	store32(id + 2 * 117, 2048);
	assert_int_equal(ata_id_take(id, &got), 0);
	assert_int_equal(got.logical, 4096);
	assert_int_equal(got.physical, 4096);
	assert_int_equal(got.ident.size, 4096000);
	/* None of the extras. */
	store16(id + 2 * 76, 0xffff);
	store16(id + 2 * 85, 0);
	store16(id + 2 * 169, 0);
	assert_int_equal(ata_id_take(id, &got), 0);
	assert_true(got.depth == 0 && !got.cache && !got.trim && !got.smart);
}

static int with(unsigned int word, uint16_t v)
{
	uint8_t spoilt[ATA_DATA_LEN];

	memcpy(spoilt, id, sizeof(spoilt));
	store16(spoilt + 2 * word, v);
	return ata_id_take(spoilt, &got);
}

static void test_spoilt(void **state)
{
	uint8_t sum = 0;

	(void)state;
	assert_int_equal(with(0, 0x8000), -RAY_ENOSYS);
	assert_int_equal(with(83, 0x4000), -RAY_ENOSYS);
	assert_int_equal(with(83, 0xffff), -RAY_ENOSYS);
	assert_int_equal(with(103, 1), -RAY_ENOSYS);
	assert_int_equal(with(100, 0), -RAY_ENOSYS);
	store16(id + 2 * 106, 0x5000);
	for (uint32_t words = 0; words < 5000; words++) {
		bool good = words == 256 || words == 512 || words == 1024 || words == 2048;

		store32(id + 2 * 117, words);
		assert_int_equal(ata_id_take(id, &got), good ? 0 : -RAY_ENOSYS);
	}
	store32(id + 2 * 117, 0x80000100); /* twice that has 33 bits */
	assert_int_equal(ata_id_take(id, &got), -RAY_ENOSYS);
	store32(id + 2 * 117, 256);
	id[510] = 0xa5;
	for (unsigned int i = 0; i < 511; i++)
		sum = (uint8_t)(sum + id[i]);
	id[511] = (uint8_t)-sum;
	assert_int_equal(ata_id_take(id, &got), 0);
	for (unsigned int i = 0; i < 510; i++) {
		id[i] ^= 0x10;
		assert_int_equal(ata_id_take(id, &got), -RAY_EIO);
		id[i] ^= 0x10;
	}
}

static void test_commands(void **state)
{
	uint8_t ranges[ATA_DATA_LEN];
	struct block_cmd c = {.op = BLOCK_READ, .off = 512ull << 40, .len = 65536ull * 512};
	struct ata_taskfile t;
	struct block_limits l;

	(void)state;
	assert_int_equal(ata_id_take(id, &got), 0);
	ata_limits_fill(&got, &l);
	assert_int_equal(l.discard_max, 64ull * 65535 * 512);
	assert_int_equal(l.discard_granule, 4096);
	ata_taskfile_fill(&got, &c, ranges, &t);
	assert_int_equal(t.command, ATA_READ_DMA_EXT);
	assert_int_equal(t.count, 0); /* 65536 */
	assert_int_equal(t.lba, 1ull << 40);
	ata_taskfile_queued(&got, &c, 31, &t);
	assert_int_equal(t.command, ATA_READ_FPDMA);
	assert_int_equal(t.count, 31 << 3);
	assert_int_equal(t.features, 0);
	c = (struct block_cmd){.op = BLOCK_DISCARD, .off = 512 * 7, .len = l.discard_max};
	ata_taskfile_fill(&got, &c, ranges, &t);
	assert_int_equal(t.command, ATA_DATA_SET);
	assert_int_equal(t.count, 1);
	assert_int_equal(load64(ranges), 7 | 65535ull << 48);
	assert_int_equal(load64(ranges + 63 * 8), (7 + 63 * 65535ull) | 65535ull << 48);
	c.len = 512;
	ata_taskfile_fill(&got, &c, ranges, &t);
	assert_int_equal(load64(ranges), 7 | 1ull << 48);
	assert_int_equal(load64(ranges + 8), 0);
}

static void test_results_and_health(void **state)
{
	uint8_t page[ATA_DATA_LEN];
	struct block_health h;

	(void)state;
	assert_int_equal(ata_result(0x50, 0), 0);
	assert_int_equal(ata_result(0x51, 0x40), -RAY_EIO);
	assert_int_equal(ata_result(0x51, 0x84), -RAY_EAGAIN); /* a cable's fault */
	assert_int_equal(ata_result(0x70, 0), -RAY_EIO);
	fake_ata_smart(page);
	ata_health_take(page, false, &h);
	assert_int_equal(h.power_on_hours, 1234);
	assert_int_equal(h.celsius, 37);
	assert_int_equal(h.media_errors, 5);
	assert_int_equal(h.wear_percent, 12);
	memset(page, 0xff, sizeof(page));
	ata_health_take(page, true, &h);
	assert_int_equal(h.celsius, INT16_MIN);
	assert_true(h.failing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sound, setup),
		cmocka_unit_test_setup(test_spoilt, setup),
		cmocka_unit_test_setup(test_commands, setup),
		cmocka_unit_test_setup(test_results_and_health, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
