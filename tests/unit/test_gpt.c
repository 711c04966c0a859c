/* UNIT: kernel/block/gpt.c kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c
 */
// SPDX-License-Identifier: Apache-2.0
/* Partition tables: read, and each way in which one can be damaged, in one copy and in both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/fake_gpt.h"

static struct fake_gpt g;
static struct gpt out;
static char why[96];

static int read_it(void)
{
	static uint8_t buf[GPT_SCRATCH];
	const struct gpt_source s = fake_gpt_source(&g);

	return gpt_read(&s, &out, buf, why, sizeof(why));
}

static void test_whole(void **state)
{
	static const uint32_t sizes[] = {512, 1024, 4096};
	char text[GPT_TEXT_LEN];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		fake_gpt_make(&g, sizes[i]);
		assert_int_equal(read_it(), 0);
		assert_false(out.backup);
		assert_string_equal(out.damage, "");
		assert_int_equal(out.count, 2);
		assert_int_equal(out.part[0].number, 1);
		assert_int_equal(out.part[0].first, 40);
		assert_int_equal(out.part[0].blocks, 60);
		assert_string_equal(out.part[0].name, "store");
		assert_int_equal(out.part[1].number, 5);
		assert_int_equal(out.part[1].blocks, 1);
		gpt_guid_text(&out.part[0].type, text);
		assert_string_equal(text, "7a0b6e52-3c3d-4f58-9c1e-5d2f8a4e91c7");
		assert_string_equal(gpt_type_name(&out.part[0].type), "rayos");
		assert_string_equal(gpt_type_name(&out.part[0].id), "");
	}
}

static void test_names(void **state)
{
	uint8_t *e;

	(void)state;
	fake_gpt_make(&g, 512);
	for (int copy = 0; copy < 2; copy++) {
		e = fake_gpt_entry(&g, copy, 1) + 56;
		for (unsigned int i = 0; i < 36; i++)
			store16(e + 2 * i, 0x20ac); /* the euro sign, to the last unit */
		store16(e, 'a');
		store16(e + 2, 0xfc);
		store16(e + 4, 0xd800); /* half a pair */
		store16(e + 6, '\n');
	}
	fake_gpt_seal_both(&g);
	assert_int_equal(read_it(), 0);
	assert_memory_equal(out.part[0].name, "a\xc3\xbc??\xe2\x82\xac", 8);
	assert_int_equal(strlen(out.part[0].name), 1 + 2 + 2 + 32 * 3);
}

/* A change of one field, its checksums made right again where @seal. */
struct damage {
	unsigned int at, len;
	uint64_t value;
	bool seal;
	const char *said;
};

static const struct damage damages[] = {
	{0, 4, 0, false, "no signature"},
	{12, 4, 91, true, "its size is out of bounds"},
	{12, 4, 513, true, "its size is out of bounds"},
	{20, 4, 1, false, "its checksum does not match"},
	{24, 8, 7, true, "it belongs to another block"},
	{84, 4, 64, true, "entries of an impossible size"},
	{84, 4, 192, true, "entries of an impossible size"},
	{84, 4, 8192, true, "entries of an impossible size"},
	{80, 4, 0, true, "an impossible number of entries"},
	{80, 4, 0xffffffff, true, "an impossible number of entries"},
	{72, 8, 1, true, "its entries lie outside the disk"},
	{72, 8, FAKE_GPT_BLOCKS - 2, true, "its entries lie outside the disk"},
	{72, 8, UINT64_MAX, true, "its entries lie outside the disk"},
	{48, 8, FAKE_GPT_BLOCKS, true, "usable blocks outside the disk"},
	{40, 8, FAKE_GPT_BLOCKS, true, "usable blocks outside the disk"},
};

static void damage(uint64_t header, const struct damage *d)
{
	uint8_t *h = fake_gpt_block(&g, header);

	memcpy(h + d->at, &d->value, d->len);
	if (d->seal)
		fake_gpt_seal(&g, header);
}

static void test_damaged_header(void **state)
{
	char said[128];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(damages); i++) {
		fake_gpt_make(&g, 512);
		damage(1, &damages[i]);
		assert_int_equal(read_it(), 0);
		assert_true(out.backup);
		assert_int_equal(out.count, 2);
		snprintf(said, sizeof(said), "primary header (block 1): %s", damages[i].said);
		assert_string_equal(out.damage, said);
		fake_gpt_make(&g, 512);
		damage(FAKE_GPT_BLOCKS - 1, &damages[i]);
		assert_int_equal(read_it(), 0);
		assert_false(out.backup);
		assert_int_equal(out.count, 2);
		snprintf(said, sizeof(said), "backup header (block 255): %s", damages[i].said);
		assert_string_equal(out.damage, said);
		damage(1, &damages[i]);
		assert_int_equal(read_it(), -RAY_ENOEXEC);
		snprintf(said, sizeof(said), "primary header (block 1): %s", damages[i].said);
		assert_string_equal(why, said);
	}
}

static void entry_both(unsigned int number, unsigned int at, uint64_t value)
{
	for (int copy = 0; copy < 2; copy++)
		store64(fake_gpt_entry(&g, copy, number) + at, value);
	fake_gpt_seal_both(&g);
}

static void test_damaged_entries(void **state)
{
	(void)state;
	fake_gpt_make(&g, 512);
	fake_gpt_entry(&g, false, 100)[60] = 1;
	assert_int_equal(read_it(), 0);
	assert_true(out.backup);
	assert_string_equal(out.damage, "primary header (block 1): the checksum of its entries does "
					"not match");
	fake_gpt_make(&g, 512);
	entry_both(1, 32, 39);
	assert_int_equal(read_it(), -RAY_ENOEXEC);
	assert_string_equal(why, "partition 1 of the primary table: outside the usable blocks");
	fake_gpt_make(&g, 512);
	entry_both(5, 40, 99);
	assert_int_equal(read_it(), -RAY_ENOEXEC);
	fake_gpt_make(&g, 512);
	entry_both(1, 40, 100);
	assert_int_equal(read_it(), -RAY_ENOEXEC);
	assert_string_equal(why, "partition 5 of the primary table: it overlaps another one");
	fake_gpt_make(&g, 512);
	entry_both(5, 40, UINT64_MAX);
	assert_int_equal(read_it(), -RAY_ENOEXEC);
}

static void test_other_disks(void **state)
{
	uint8_t *mbr = g.disk;
	struct gpt_source s;
	static uint8_t buf[GPT_SCRATCH];

	(void)state;
	fake_gpt_make(&g, 512);
	mbr[446 + 4] = 0;
	assert_int_equal(read_it(), 0);
	assert_string_equal(out.damage, "no protective MBR");
	memset(g.disk + 512, 0, sizeof(g.disk) - 512);
	assert_int_equal(read_it(), -RAY_ENOENT);
	assert_string_equal(why, "it has no table");
	mbr[446 + 4] = 0x83;
	assert_int_equal(read_it(), -RAY_ENOENT);
	assert_string_equal(why, "it has an MBR's table");
	s = fake_gpt_source(&g);
	s.blocks = 5;
	assert_int_equal(gpt_read(&s, &out, buf, why, sizeof(why)), -RAY_ENOENT);
	assert_string_equal(why, "the disk is too small");
}

static void test_disk_errors(void **state)
{
	(void)state;
	for (unsigned int block = 0; block < FAKE_GPT_BLOCKS; block++) {
		fake_gpt_make(&g, 512);
		g.error = -RAY_EIO;
		g.error_at = block;
		assert_int_equal(read_it(), 0);
		assert_int_equal(out.count, 2);
		assert_int_equal(out.backup, block > 0 && block < 34);
		assert_int_equal(out.damage[0] == '\0', block >= 34 && block < FAKE_GPT_BLOCKS - 33);
		g.error = -RAY_ENODEV;
		assert_true(read_it() == (block < 34 ? -RAY_ENODEV : 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	      cmocka_unit_test(test_names),
		cmocka_unit_test(test_damaged_header), cmocka_unit_test(test_damaged_entries),
		cmocka_unit_test(test_other_disks),   cmocka_unit_test(test_disk_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
