/* UNIT: kernel/store/image.c kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c */
// SPDX-License-Identifier: Apache-2.0
/* Images of disks: raw ones and qcow2, each way to be refused, each way to be damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/fake_heap.h"
#include "tests/host/fake_qcow2.h"

static struct fake_qcow2 q;
static struct image im;
static char why[IMAGE_WHY_LEN];

static int open_it(void)
{
	const struct image_source src = fake_qcow2_source(&q);

	return image_open(&im, &src, why);
}

static int begin(void **state)
{
	(void)state;
	fake_qcow2_make(&q);
	return 0;
}

static int end(void **state)
{
	(void)state;
	assert_int_equal(fake_heap_live, 0);
	return 0;
}

static void test_read(void **state)
{
	static uint8_t want[FAKE_QCOW2_SIZE], got[FAKE_QCOW2_SIZE];
	uint64_t next;
	bool zero;

	(void)state;
	fake_qcow2_fill(want + FAKE_QCOW2_PLAIN * FAKE_QCOW2_CLUSTER, FAKE_QCOW2_PLAIN);
	fake_qcow2_fill(want + FAKE_QCOW2_PACKED * FAKE_QCOW2_CLUSTER, FAKE_QCOW2_PACKED);
	assert_int_equal(open_it(), 0);
	assert_string_equal(im.format, "qcow2");
	assert_int_equal(im.size, FAKE_QCOW2_SIZE);
	for (unsigned int step = 512; step <= 65536; step *= 2) {
		memset(got, 0xee, sizeof(got));
		for (uint64_t off = 0; off < im.size; off += step)
			assert_int_equal(image_read(&im, off, got + off, MIN(step, im.size - off), &zero), 0);
		assert_memory_equal(got, want, sizeof(want));
	}
	assert_int_equal(image_read(&im, im.size - 512, got, 1024, &zero), -RAY_ERANGE);
	assert_int_equal(image_read(&im, 0, got, FAKE_QCOW2_CLUSTER, &zero), 0);
	assert_true(zero);
	assert_int_equal(image_next(&im, 0, &next), 0);
	assert_int_equal(next, FAKE_QCOW2_PLAIN * FAKE_QCOW2_CLUSTER);
	assert_int_equal(image_next(&im, next + 512, &next), 0);
	assert_int_equal(next, FAKE_QCOW2_PLAIN * FAKE_QCOW2_CLUSTER + 512);
	assert_int_equal(image_next(&im, 6 * FAKE_QCOW2_CLUSTER, &next), 0);
	assert_int_equal(next, im.size);
	image_close(&im);
}

static void test_raw(void **state)
{
	static uint8_t buf[8192];
	bool zero;
	uint64_t next;

	(void)state;
	memset(q.file, 0x5a, sizeof(q.file));
	q.size = 5000;
	assert_int_equal(open_it(), 0);
	assert_string_equal(im.format, "raw");
	assert_int_equal(im.size, 5120);
	assert_int_equal(image_read(&im, 0, buf, 5120, &zero), 0);
	assert_false(zero);
	assert_int_equal(buf[4999], 0x5a);
	assert_int_equal(buf[5000], 0);
	assert_int_equal(image_next(&im, 1024, &next), 0);
	assert_int_equal(next, 1024);
	q.size = 0;
	assert_int_equal(open_it(), -RAY_ENOEXEC);
	image_close(&im);
}

/* A field of the header, and what is said of it. */
static void test_refused(void **state)
{
	static const struct {
		unsigned int at, bytes;
		uint64_t value;
		int err;
		const char *said;
	} cases[] = {
		{8, 8, 4096, -RAY_ENOSYS, "backing file"},
		{32, 4, 1, -RAY_ENOSYS, "encrypted"},
		{72, 8, 2, -RAY_ENOEXEC, "corrupt"},
		{72, 8, 4, -RAY_ENOSYS, "another file"},
		{72, 8, 8, -RAY_ENOSYS, "deflate"},
		{72, 8, 16, -RAY_ENOSYS, "features"},
		{4, 4, 4, -RAY_ENOSYS, "version"},
		{20, 4, 8, -RAY_ENOEXEC, "clusters"},
		{20, 4, 22, -RAY_ENOEXEC, "clusters"},
		{24, 8, 0, -RAY_ENOEXEC, "no size"},
		{24, 8, 1ull << 60, -RAY_ENOEXEC, "no size"},
		{24, 8, 1ull << 40, -RAY_ENOEXEC, "first table"},
		{36, 4, 0, -RAY_ENOEXEC, "first table"},
		{40, 8, 4097, -RAY_ENOEXEC, "first table"},
		{40, 8, 1ull << 50, -RAY_ENOEXEC, "first table"},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_qcow2_make(&q);
		if (cases[i].bytes == 8)
			fake_be64(q.file + cases[i].at, cases[i].value);
		else
			fake_be32(q.file + cases[i].at, (uint32_t)cases[i].value);
		assert_int_equal(open_it(), cases[i].err);
		if (!strstr(why, cases[i].said))
			fail_msg("%u: '%s'", i, why);
	}
	fake_qcow2_make(&q);
	fake_be64(q.file + 72, 1); /* dirty: read as it is */
	assert_int_equal(open_it(), 0);
	image_close(&im);
}

static int read_all(void)
{
	static uint8_t buf[FAKE_QCOW2_SIZE];
	bool zero;
	int err = open_it();

	if (!err) {
		err = image_read(&im, 0, buf, sizeof(buf), &zero);
		image_close(&im);
	}
	return err;
}

static void test_damaged(void **state)
{
	uint8_t *l1 = q.file + FAKE_QCOW2_CLUSTER, *l2 = q.file + 2 * FAKE_QCOW2_CLUSTER;
	uint64_t was;

	(void)state;
	fake_be64(l1, 2 * FAKE_QCOW2_CLUSTER + 512);
	assert_int_equal(read_all(), -RAY_ENOEXEC);
	fake_be64(l1, 1ull << 40);
	assert_int_equal(read_all(), -RAY_ENOEXEC);
	fake_qcow2_make(&q);
	fake_be64(l2, 512);
	assert_int_equal(read_all(), -RAY_ENOEXEC);
	fake_be64(l2, 1ull << 50);
	assert_int_equal(read_all(), -RAY_ENOEXEC);
	fake_qcow2_make(&q);
	was = load_be64(l2 + 8 * FAKE_QCOW2_PACKED);
	fake_be64(l2 + 8 * FAKE_QCOW2_PACKED, was + 1); /* in the middle of something */
	assert_int_equal(read_all(), -RAY_ENOEXEC);
	fake_be64(l2 + 8 * FAKE_QCOW2_PACKED, was | 1ull << 50);
	assert_int_equal(read_all(), -RAY_ENOEXEC);
	fake_be64(l2 + 8 * FAKE_QCOW2_PACKED, was | 0x3ull << 60);
	assert_int_equal(read_all(), 0); /* so many sectors, the file ends before */
	for (unsigned int i = 0; i < 60; i++) {
		fake_qcow2_make(&q);
		q.file[4 * FAKE_QCOW2_CLUSTER + 100 + i] ^= 0x41;
		(void)read_all(); /* other bytes, or an error: nothing worse */
	}
}

static void test_fails(void **state)
{
	(void)state;
	for (long n = 1;; n++) {
		int err;

		fake_heap_fail_at = n;
		err = read_all();
		if (fake_heap_fail_at > 0) {
			fake_heap_fail_at = 0;
			assert_int_equal(err, 0);
			break;
		}
		assert_int_equal(err, -RAY_ENOMEM);
		assert_int_equal(fake_heap_live, 0);
	}
	for (long n = 1;; n++) {
		int err;

		q.fail_at = n;
		err = read_all();
		if (q.fail_at > 0)
			break;
		assert_int_equal(err, -RAY_EIO);
	}
	q.fail_at = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, begin, end),
		cmocka_unit_test_setup_teardown(test_raw, begin, end),
		cmocka_unit_test_setup_teardown(test_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_damaged, begin, end),
		cmocka_unit_test_setup_teardown(test_fails, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
