/* UNIT: kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c kernel/lib/fmt.c
 * kernel/lib/sink.c
 */
// SPDX-License-Identifier: Apache-2.0
/* Damaged partition tables made whole again, and what must not happen meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/fake_gpt.h"

static struct fake_gpt g, before;
static struct gpt table;
static uint8_t buf[GPT_SCRATCH];
static char what[160];

static int repair(void)
{
	const struct gpt_source s = fake_gpt_source(&g);

	what[0] = '\0';
	return gpt_repair(&s, &table, buf, what, sizeof(what));
}

static int table_read(void)
{
	const struct gpt_source s = fake_gpt_source(&g);
	char why[96];

	return gpt_read(&s, &table, buf, why, sizeof(why));
}

static void make(uint32_t logical)
{
	fake_gpt_make(&g, logical);
	/* As the standard wants the protective MBR. */
	memcpy(fake_gpt_block(&g, 0) + 446, "\x00\x00\x02\x00\xee\xff\xff\xff\x01\x00\x00\x00", 12);
	store32(fake_gpt_block(&g, 0) + 458, FAKE_GPT_BLOCKS - 1);
	before = g;
}

static void whole_again(const char *how)
{
	assert_int_equal(repair(), 0);
	assert_string_equal(what, how);
	assert_memory_equal(g.disk, before.disk, FAKE_GPT_BLOCKS * g.logical);
	for (unsigned int i = 0; i < FAKE_GPT_BLOCKS; i++)
		assert_false(g.written_since_flush[i]);
	assert_int_equal(table_read(), 0);
	assert_string_equal(table.damage, "");
	assert_int_equal(table.count, 2);
	assert_int_equal(repair(), 0);
	assert_string_equal(what, "nothing is damaged");
}

/* Any byte of either copy that its checksums cover. */
static void test_each_copy(void **state)
{
	static const uint32_t sizes[] = {512, 4096};

	(void)state;
	for (unsigned int k = 0; k < 2; k++) {
		uint64_t last = FAKE_GPT_BLOCKS - 1, entries = 128 * 128 / sizes[k];

		for (unsigned int at = 0; at < 92 + 600; at += 7) {
			make(sizes[k]);
			*(at < 92 ? fake_gpt_block(&g, 1) + at : fake_gpt_block(&g, 2) + at - 92) ^= 0x20;
			whole_again("the primary table was written anew from the backup");
			*(at < 92 ? fake_gpt_block(&g, last) + at :
				    fake_gpt_block(&g, last - entries) + at - 92) ^= 0x20;
			whole_again("the backup table was written anew from the primary");
		}
		make(sizes[k]);
		memset(fake_gpt_block(&g, 1), 0, (size_t)(1 + entries) * sizes[k]);
		whole_again("the primary table was written anew from the backup");
		memset(fake_gpt_block(&g, 0) + 446, 0, 66);
		whole_again("the protective MBR was written anew");
	}
}

static void unchanged(int err, const char *how)
{
	static struct fake_gpt was;

	was = g;
	assert_int_equal(repair(), err);
	assert_string_equal(what, how);
	assert_memory_equal(g.disk, was.disk, FAKE_GPT_BLOCKS * g.logical);
}

static void test_what_cannot_be(void **state)
{
	(void)state;
	make(512);
	fake_gpt_block(&g, 1)[20] ^= 1;
	fake_gpt_block(&g, FAKE_GPT_BLOCKS - 1)[20] ^= 1;
	unchanged(-RAY_ENOEXEC, "both copies are damaged: primary header (block 1): its checksum "
				"does not match");
	make(512);
	*fake_gpt_entry(&g, true, 1) ^= 1;
	fake_gpt_seal_both(&g);
	unchanged(-RAY_EINVAL, "both copies are whole and differ; choose with another tool");
	/* Partitions may lie where the other copy belongs. */
	make(512);
	store64(fake_gpt_block(&g, 1) + 48, FAKE_GPT_BLOCKS - 20);
	fake_gpt_seal(&g, 1);
	fake_gpt_block(&g, FAKE_GPT_BLOCKS - 1)[0] = 0;
	unchanged(-RAY_ENOSPC, "no room behind the last partition");
	make(512);
	store64(fake_gpt_block(&g, FAKE_GPT_BLOCKS - 1) + 40, 20);
	fake_gpt_seal(&g, FAKE_GPT_BLOCKS - 1);
	fake_gpt_block(&g, 1)[0] = 0;
	unchanged(-RAY_ENOSPC, "no room before the first partition");
	/* A disk that fails is not one with other contents. */
	make(512);
	g.error = -RAY_ENODEV;
	g.error_at = 1;
	assert_int_equal(repair(), -RAY_ENODEV);
	/* Another kind of table is nobody's to overwrite. */
	make(512);
	fake_gpt_block(&g, 0)[446 + 4] = 0x83;
	unchanged(0, "nothing is damaged");
}

/* On a disk that has grown the primary is told where its backup is now. */
static void test_grown(void **state)
{
	(void)state;
	make(512);
	store64(fake_gpt_block(&g, 1) + 32, FAKE_GPT_BLOCKS / 2);
	fake_gpt_seal(&g, 1);
	memset(fake_gpt_block(&g, FAKE_GPT_BLOCKS - 33), 0, 33 * 512);
	whole_again("the backup table was written anew from the primary");
}

/* Power may go after any write: one copy is whole, and repair goes on. */
static void test_cut_short(void **state)
{
	(void)state;
	for (unsigned int n = 1; n < 8; n++) {
		for (unsigned int copy = 0; copy < 2; copy++) {
			make(512);
			fake_gpt_block(&g, copy ? FAKE_GPT_BLOCKS - 1 : 1)[20] ^= 1;
			g.writes = 0;
			g.write_error_at = n;
			if (repair() != 0) {
				assert_int_equal(table_read(), 0);
				assert_int_equal(table.count, 2);
			}
			g.write_error_at = 0;
			assert_int_equal(repair(), 0);
			assert_memory_equal(g.disk, before.disk, FAKE_GPT_BLOCKS * 512);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_copy),
		cmocka_unit_test(test_what_cannot_be),
		cmocka_unit_test(test_grown),
		cmocka_unit_test(test_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
