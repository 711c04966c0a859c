/* UNIT: kernel/block/gpt.c kernel/block/gpt_repair.c kernel/block/gpt_write.c kernel/lib/err.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/utf8.c
 */
// SPDX-License-Identifier: Apache-2.0
/* Partition tables that are made and changed: read back, by sgdisk too, and cut at each write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "kernel/block/gpt_priv.h"
#include "tests/host/fake_gpt.h"

static struct fake_gpt g;
static struct gpt table, back;
static uint8_t buf[GPT_SCRATCH];
static char why[96];

static void begin(uint32_t logical)
{
	memset(&g, 0, sizeof(g));
	g.logical = logical;
	memset(&table, 0, sizeof(table));
	memset(table.disk.b, 0x42, 16);
}

static void put(unsigned int number, uint64_t first, uint64_t blocks, const char *type,
		const char *name)
{
	struct gpt_part *p = &table.part[table.count++];

	*p = (struct gpt_part){.number = number, .first = first, .blocks = blocks};
	assert_true(gpt_type_find(type, &p->type));
	memset(p->id.b, (int)(0x50 + number), 16);
	strcpy(p->name, name);
}

static int write_it(void)
{
	const struct gpt_source s = fake_gpt_source(&g);

	return gpt_write(&s, &table, buf);
}

static int read_back(void)
{
	const struct gpt_source s = fake_gpt_source(&g);

	return gpt_read(&s, &back, buf, why, sizeof(why));
}

static void same(void)
{
	assert_int_equal(read_back(), 0);
	assert_string_equal(back.damage, "");
	assert_int_equal(back.count, table.count);
	assert_memory_equal(back.disk.b, table.disk.b, 16);
	for (unsigned int i = 0; i < back.count; i++) {
		const struct gpt_part *a = &back.part[i], *b = table.part;

		while (b->number != a->number)
			b++;
		assert_int_equal(a->first, b->first);
		assert_int_equal(a->blocks, b->blocks);
		assert_memory_equal(a->type.b, b->type.b, 16);
		assert_memory_equal(a->id.b, b->id.b, 16);
		assert_string_equal(a->name, b->name);
	}
}

static void test_written_and_read(void **state)
{
	static const uint32_t sizes[] = {512, 1024, 4096};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		begin(sizes[i]);
		assert_int_equal(write_it(), 0);
		same();
		put(2, 100, 23, "linux", "für Gäste \xf0\x9f\x98\x80");
		put(128, 40, 60, "rayos", "");
		put(1, 130, 1, "bios-boot", "abcdefghijklmnopqrstuvwxyz0123456789");
		assert_int_equal(write_it(), 0);
		same();
		for (unsigned int n = 0; n < FAKE_GPT_BLOCKS; n++)
			assert_false(g.written_since_flush[n]);
	}
}

/* Places and numbers on a disk that is only described. */
static struct gpt_source large(void)
{
	return (struct gpt_source){.logical = 512, .blocks = 100 * 2048};
}

static int add_large(uint64_t bytes, struct gpt_part *p)
{
	const struct gpt_source s = large();

	*p = (struct gpt_part){.number = 0};
	return gpt_add(&s, &table, bytes, p);
}

static void test_places(void **state)
{
	struct gpt_part a, b, c, d;

	(void)state;
	memset(&table, 0, sizeof(table));
	assert_int_equal(add_large(MIB(10), &a), 0);
	assert_int_equal(a.number, 1);
	assert_int_equal(a.first, 2048);
	assert_int_equal(a.blocks, 10 * 2048);
	assert_int_equal(add_large(MIB(20), &b), 0);
	assert_int_equal(b.first, 11 * 2048);
	assert_int_equal(add_large(0, &c), 0); /* the rest */
	assert_int_equal(c.first, 31 * 2048);
	assert_int_equal(c.first + c.blocks, 100 * 2048 - 33);
	assert_int_equal(add_large(MIB(1), &d), -RAY_ENOSPC);
	assert_int_equal(gpt_remove(&table, 2), 0);
	assert_int_equal(gpt_remove(&table, 2), -RAY_ENOENT);
	assert_int_equal(add_large(MIB(21), &d), -RAY_ENOSPC);
	assert_int_equal(add_large(MIB(5), &d), 0);
	assert_int_equal(d.number, 2);
	assert_int_equal(d.first, 11 * 2048);
	assert_int_equal(add_large(0, &d), 0);
	assert_int_equal(d.first, 16 * 2048);
	assert_int_equal(d.blocks, 15 * 2048);
	memset(&table, 0, sizeof(table));
	for (unsigned int i = 0; i < 98; i++)
		assert_int_equal(add_large(512, &d), 0);
	assert_int_equal(add_large(512, &d), 0);
	assert_int_equal(add_large(512, &d), -RAY_ENOSPC); /* every MiB has one */
}

/* Cut after each write: what is read is the old table or the new one, never none. */
static void test_cut(void **state)
{
	(void)state;
	for (unsigned int n = 1;; n++) {
		int err;

		begin(4096);
		assert_int_equal(write_it(), 0);
		g.writes = 0;
		g.write_error_at = n;
		put(1, 40, 100, "rayos", "store");
		err = write_it();
		g.write_error_at = 0;
		assert_int_equal(read_back(), 0);
		assert_in_range(back.count, 0, 1);
		if (!err) {
			assert_int_equal(back.count, 1);
			assert_true(n > 10);
			break;
		}
		assert_int_equal(err, -RAY_EIO);
	}
}

static void test_refused(void **state)
{
	struct gpt_source s;
	struct gpt_guid type;

	(void)state;
	begin(512);
	s = fake_gpt_source(&g);
	s.blocks = 67;
	assert_int_equal(gpt_write(&s, &table, buf), -RAY_ENOSPC);
	table.count = 1;
	table.part[0] = (struct gpt_part){.number = 1, .first = 33, .blocks = 10};
	assert_int_equal(write_it(), -RAY_ENOSPC); /* in the table's place */
	table.part[0] = (struct gpt_part){.number = 1, .first = 34, .blocks = 190};
	assert_int_equal(write_it(), -RAY_ENOSPC);
	table.part[0] = (struct gpt_part){.number = 1, .first = 34, .blocks = UINT64_MAX};
	assert_int_equal(write_it(), -RAY_ENOSPC);
	table.part[0] = (struct gpt_part){.number = 1, .first = 34, .blocks = 189};
	assert_int_equal(write_it(), 0);
	assert_false(gpt_type_find("windows", &type));
}

static void test_sgdisk_agrees(void **state)
{
	char name[] = "/tmp/rayos-gpt-XXXXXX", command[100], line[200], seen[4000] = "";
	int fd = mkstemp(name);
	FILE *p;

	(void)state;
	begin(512);
	put(3, 40, 100, "efi-system", "söme");
	assert_int_equal(write_it(), 0);
	assert_int_equal(write(fd, g.disk, FAKE_GPT_BLOCKS * 512ul), FAKE_GPT_BLOCKS * 512);
	close(fd);
	snprintf(command, sizeof(command), "/usr/sbin/sgdisk -v -p %s 2>&1", name);
	p = popen(command, "r");
	assert_non_null(p);
	while (fgets(line, sizeof(line), p))
		strncat(seen, line, sizeof(seen) - strlen(seen) - 1);
	assert_int_equal(pclose(p), 0);
	unlink(name);
	assert_non_null(strstr(seen, "No problems found"));
	assert_non_null(strstr(seen, "EF00"));
	assert_non_null(strstr(seen, "söme"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written_and_read), cmocka_unit_test(test_places),
		cmocka_unit_test(test_cut),              cmocka_unit_test(test_refused),
		cmocka_unit_test(test_sgdisk_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
