/* UNIT: kernel/iommu/iopt.c kernel/lib/err.c */
// SPDX-License-Identifier: Apache-2.0
/* Page tables of an IOMMU, walked as hardware would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/iommu/iopt.h"
#include "kernel/lib/err.h"
#include "kernel/mm/page.h"
#include "tests/host/fake_heap.h"

#define PRESENT BIT(0)
#define READ    BIT(1)
#define WRITE   BIT(2)

static unsigned int synced;
static long pages_live;
uint64_t mm_direct_base; /* 0: an address is what it is on the host */

hpa_t va_to_hpa(const void *va)
{
	return HPA((uintptr_t)va);
}

int page_alloc(unsigned int order, unsigned int flags, hpa_t *out)
{
	void *p;

	assert_int_equal(order, PAGE_ORDER_4K);
	assert_int_equal(flags, PAGE_F_ZERO);
	if (fake_heap_fail_at > 0 && --fake_heap_fail_at == 0)
		return -RAY_ENOMEM;
	p = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	memset(p, 0, PAGE_SIZE);
	pages_live++;
	*out = HPA((uintptr_t)p);
	return 0;
}

void page_free(hpa_t page, unsigned int order)
{
	assert_int_equal(order, PAGE_ORDER_4K);
	pages_live--;
	free(hpa_to_va(page));
}

static uint64_t table_entry(uint64_t hpa, unsigned int level)
{
	return hpa | PRESENT | (uint64_t)level << 56;
}

static uint64_t leaf_entry(uint64_t hpa, uint64_t perms)
{
	return hpa | PRESENT | (perms & IOPT_READ ? READ : 0) | (perms & IOPT_WRITE ? WRITE : 0);
}

static void sync(const void *p, size_t len)
{
	assert_non_null(p);
	assert_true(len > 0);
	synced++;
}

static const struct iopt_format format = {.table = table_entry, .leaf = leaf_entry, .sync = sync};
static struct iopt t;

/* What the hardware finds for an address; 0: nothing. */
static uint64_t walk(uint64_t addr)
{
	const uint64_t *table = hpa_to_va(HPA(iopt_root(&t)));

	for (unsigned int level = t.levels; level > 1; level--) {
		uint64_t e = table[addr >> (3 + 9 * level) & 511];

		if (!(e & PRESENT))
			return 0;
		assert_int_equal(e >> 56, level);
		table = hpa_to_va(HPA(e & 0x00fffffffffff000ull));
	}
	return table[addr >> 12 & 511];
}

static int begin(void **state)
{
	(void)state;
	fake_heap_fail_at = 0;
	synced = 0;
	return iopt_init(&t, &format, 4);
}

static int end(void **state)
{
	(void)state;
	iopt_fini(&t);
	iopt_fini(&t); /* once more does nothing */
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(pages_live, 0);
	return 0;
}

static void test_pages_under_their_own_address(void **state)
{
	const uint64_t at = 0x7f1234567800ull;

	(void)state;
	assert_int_equal(walk(at), 0);
	assert_int_equal(iopt_map(&t, at, 0x1000, IOPT_READ), 0);
	assert_int_equal(walk(at), 0x7f1234567000ull | PRESENT | READ);
	assert_int_equal(walk(at + 0x1000), 0x7f1234568000ull | PRESENT | READ);
	assert_int_equal(walk(at + 0x2000), 0);
	assert_int_equal(walk(at - 0x1000), 0);
	assert_true(iopt_reaches(&t, at));
	assert_false(iopt_reaches(&t, at + 0x2000));
	assert_true(synced >= 5); /* tables and entries */
	assert_true(iopt_unmap(&t, at, 0x1000));
	assert_int_equal(walk(at), 0);
	assert_int_equal(walk(at + 0x1000), 0);
}

static void test_counted(void **state)
{
	(void)state;
	assert_int_equal(iopt_map(&t, 0x5000, 0x1000, IOPT_READ), 0);
	assert_int_equal(iopt_map(&t, 0x5800, 0x1000, IOPT_WRITE), 0);
	assert_int_equal(walk(0x5000), 0x5000 | PRESENT | READ | WRITE);
	assert_int_equal(walk(0x6000), 0x6000 | PRESENT | WRITE);
	assert_false(iopt_unmap(&t, 0x5000, 0x1000)); /* the other still has it */
	assert_true(iopt_reaches(&t, 0x5000));
	assert_true(iopt_unmap(&t, 0x5800, 0x1000));
	assert_int_equal(walk(0x5000), 0);
	/* Rights do not outlive who had them. */
	assert_int_equal(iopt_map(&t, 0x5000, 1, IOPT_READ), 0);
	assert_int_equal(walk(0x5000), 0x5000 | PRESENT | READ);
	assert_false(iopt_unmap(&t, 0x9000, 0x1000)); /* nobody has mapped that */
}

static void test_limits(void **state)
{
	(void)state;
	assert_int_equal(iopt_map(&t, 1ull << 48, 1, IOPT_READ), -RAY_ERANGE);
	assert_int_equal(iopt_map(&t, (1ull << 48) - 1, 2, IOPT_READ), -RAY_ERANGE);
	assert_int_equal(iopt_map(&t, UINT64_MAX, 2, IOPT_READ), -RAY_ERANGE);
	assert_int_equal(iopt_map(&t, 0, 0, IOPT_READ), -RAY_ERANGE);
	assert_int_equal(iopt_map(&t, (1ull << 48) - 1, 1, IOPT_READ), 0);
	for (unsigned int i = 0; i < UINT16_MAX; i++)
		assert_int_equal(iopt_map(&t, 0x1000, 1, IOPT_READ), 0);
	assert_int_equal(iopt_map(&t, 0, 0x2000, IOPT_READ), -RAY_ENOSPC);
	assert_int_equal(walk(0), 0); /* all or nothing */
	for (unsigned int i = 0; i < UINT16_MAX; i++)
		assert_int_equal(iopt_unmap(&t, 0x1000, 1), i == UINT16_MAX - 1);
}

/* Whatever allocation fails, nothing is mapped and nothing is lost. */
static void test_no_memory(void **state)
{
	int err = -RAY_ENOMEM;

	(void)state;
	for (long n = 1; err; n++) {
		fake_heap_fail_at = n;
		err = iopt_map(&t, 0x3fffff000ull, 0x2000, IOPT_READ);
		fake_heap_fail_at = 0;
		if (err) {
			assert_int_equal(err, -RAY_ENOMEM);
			assert_int_equal(walk(0x3fffff000ull), 0);
			assert_int_equal(walk(0x400000000ull), 0);
		}
	}
	for (long n = 1; n <= 3; n++) {
		struct iopt other;

		fake_heap_fail_at = n;
		assert_int_equal(iopt_init(&other, &format, 3), -RAY_ENOMEM);
		iopt_fini(&other);
	}
	fake_heap_fail_at = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pages_under_their_own_address, begin, end),
		cmocka_unit_test_setup_teardown(test_counted, begin, end),
		cmocka_unit_test_setup_teardown(test_limits, begin, end),
		cmocka_unit_test_setup_teardown(test_no_memory, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
