/* UNIT: kernel/mm/pagetable.c */
// SPDX-License-Identifier: Apache-2.0
/* kernel/mm/pagetable.c against a list of what was mapped; every allocation fails once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/err.h"
#include "kernel/mm/page.h"
#include "kernel/mm/pagetable.h"
#include "tests/host/fake_panic.h"

#define TABLES_MAX 256u

uint64_t mm_direct_base;
static uint8_t *arena;
static unsigned int used, fail_at;

int page_alloc(unsigned int order, unsigned int flags, hpa_t *out)
{
	assert_int_equal(order, 0);
	assert_int_equal(flags, PAGE_F_ZERO);
	if (fail_at && --fail_at == 0)
		return -RAY_ENOMEM;
	assert_true(used < TABLES_MAX);
	*out = HPA(used * PAGE_SIZE);
	memset(hpa_to_va(*out), 0, PAGE_SIZE);
	used++;
	return 0;
}

static hpa_t root;

static int fresh(void **state)
{
	(void)state;
	used = fail_at = 0;
	return page_alloc(0, PAGE_F_ZERO, &root);
}

#define VA 0xffff900000000000ull

static void expect(uint64_t va, uint64_t pa, unsigned int shift, uint64_t attrs)
{
	uint64_t pte = 0;
	unsigned int s = 0;

	assert_true(pt_walk(root, va, &pte, &s));
	assert_int_equal(s, shift);
	assert_int_equal(pte & PTE_ADDR & ~((1ull << shift) - 1), ALIGN_DOWN(pa, 1ull << shift));
	assert_int_equal(pte & (PTE_P | PTE_W | PTE_NX | PTE_G), attrs & (PTE_P | PTE_W | PTE_NX |
									   PTE_G));
}

static void expect_hole(uint64_t va)
{
	uint64_t pte;
	unsigned int s;

	assert_false(pt_walk(root, va, &pte, &s));
}

static void test_page_sizes(void **state)
{
	(void)state;
	/* From 4 KiB below 2 GiB to 4 KiB and 2 MiB behind 3 GiB: small, 1 GiB, 2 MiB, small. */
	assert_int_equal(pt_map(root, VA + GIB(2) - PAGE_SIZE, GIB(2) - PAGE_SIZE,
				GIB(1) + SIZE_2M + 2 * PAGE_SIZE, PTE_KERNEL_RW, 30),
			 0);
	expect(VA + GIB(2) - 1, GIB(2) - PAGE_SIZE, 12, PTE_KERNEL_RW);
	expect(VA + GIB(2), GIB(2), 30, PTE_KERNEL_RW);
	expect(VA + GIB(3) - 1, GIB(2), 30, PTE_KERNEL_RW);
	expect(VA + GIB(3), GIB(3), 21, PTE_KERNEL_RW);
	expect(VA + GIB(3) + SIZE_2M, GIB(3) + SIZE_2M, 12, PTE_KERNEL_RW);
	expect_hole(VA + GIB(2) - PAGE_SIZE - 1);
	expect_hole(VA + GIB(3) + SIZE_2M + PAGE_SIZE);
	expect_hole(VA - 1);
	expect_hole(0);
}

static void test_largest_is_respected(void **state)
{
	(void)state;
	assert_int_equal(pt_map(root, VA, 0, GIB(1), PTE_KERNEL_R, 21), 0);
	expect(VA, 0, 21, PTE_KERNEL_R);
	assert_int_equal(pt_map(root, VA + GIB(1), 0, SIZE_2M, PTE_KERNEL_RX, 12), 0);
	expect(VA + GIB(1) + 0x1000, 0x1000, 12, PTE_KERNEL_RX);
}

/* Physical and virtual alignment differ: large pages cannot be used. */
static void test_misaligned_pair(void **state)
{
	(void)state;
	assert_int_equal(pt_map(root, VA, PAGE_SIZE, 2 * SIZE_2M, PTE_KERNEL_RW, 30), 0);
	expect(VA, PAGE_SIZE, 12, PTE_KERNEL_RW);
	expect(VA + 2 * SIZE_2M - 1, 2 * SIZE_2M, 12, PTE_KERNEL_RW);
}

static void test_unmap(void **state)
{
	(void)state;
	assert_int_equal(pt_map(root, VA, 0, 1024 * PAGE_SIZE, PTE_KERNEL_RW, 12), 0);
	pt_unmap(root, VA + PAGE_SIZE, 600 * PAGE_SIZE);
	expect(VA, 0, 12, PTE_KERNEL_RW);
	expect_hole(VA + PAGE_SIZE);
	expect_hole(VA + 600 * PAGE_SIZE);
	expect(VA + 601 * PAGE_SIZE, 601 * PAGE_SIZE, 12, PTE_KERNEL_RW);
	pt_unmap(root, VA - GIB(1), GIB(1) / 64); /* nothing there */
	assert_int_equal(pt_map(root, VA + PAGE_SIZE, 0, PAGE_SIZE, PTE_KERNEL_R, 12), 0);
}

static void test_every_allocation_fails(void **state)
{
	unsigned int needed;

	assert_int_equal(pt_map(root, VA - PAGE_SIZE, 0, 2 * PAGE_SIZE, PTE_KERNEL_RW, 12), 0);
	needed = used - 1;
	assert_int_equal(needed, 6); /* two branches that share nothing below the root */
	for (unsigned int n = 1; n <= needed; n++) {
		fresh(state);
		fail_at = n;
		assert_int_equal(
			pt_map(root, VA - PAGE_SIZE, 0, 2 * PAGE_SIZE, PTE_KERNEL_RW, 12),
			-RAY_ENOMEM);
		fail_at = 0;
		pt_unmap(root, VA - PAGE_SIZE, 2 * PAGE_SIZE);
		expect_hole(VA - PAGE_SIZE);
		expect_hole(VA);
	}
}

static void test_prepare(void **state)
{
	(void)state;
	for (unsigned int n = 1; n <= 4; n++) {
		assert_int_equal(fresh(NULL), 0);
		fail_at = n;
		assert_int_equal(pt_prepare(root, VA, 2 * SIZE_2M), -RAY_ENOMEM);
	}
	assert_int_equal(pt_prepare(root, VA, 2 * SIZE_2M), 0); /* it goes on where it failed */
	assert_int_equal(used, 5);
	expect_hole(VA);
	fail_at = 1; /* nothing more is needed, wherever in there it is */
	assert_int_equal(pt_map(root, VA + SIZE_2M + PAGE_SIZE, 0, PAGE_SIZE, PTE_KERNEL_RW, 12), 0);
	assert_int_equal(pt_prepare(root, VA + PAGE_SIZE, SIZE_2M), 0);
	fail_at = 0;
}

struct seen {
	uint64_t va[8];
	unsigned int shift[8], count, stop_at;
};

static bool collect(void *arg, uint64_t va, uint64_t pte, unsigned int shift)
{
	struct seen *s = arg;

	assert_true(pte & PTE_P);
	s->va[s->count] = va;
	s->shift[s->count++] = shift;
	return s->count != s->stop_at;
}

static void test_for_each(void **state)
{
	struct seen s = { .count = 0 };

	(void)state;
	assert_int_equal(pt_map(root, 0x1000, 0, PAGE_SIZE, PTE_KERNEL_R, 12), 0);
	assert_int_equal(pt_map(root, VA, 0, GIB(1), PTE_KERNEL_R, 30), 0);
	assert_int_equal(pt_map(root, VA + GIB(1), 0, SIZE_2M, PTE_KERNEL_R, 30), 0);
	assert_int_equal(pt_map(root, 0xfffffffffffff000ull, 0, PAGE_SIZE, PTE_KERNEL_R, 12), 0);
	assert_true(pt_for_each(root, collect, &s));
	assert_int_equal(s.count, 4);
	assert_int_equal(s.va[0], 0x1000);
	assert_int_equal(s.va[1], VA);
	assert_int_equal(s.shift[1], 30);
	assert_int_equal(s.va[2], VA + GIB(1));
	assert_int_equal(s.shift[2], 21);
	assert_true(s.va[3] == 0xfffffffffffff000ull);
	s = (struct seen){ .stop_at = 2 };
	assert_false(pt_for_each(root, collect, &s));
	assert_int_equal(s.count, 2);
}

static void test_mapping_twice_panics(void **state)
{
	(void)state;
	assert_int_equal(pt_map(root, VA, 0, PAGE_SIZE, PTE_KERNEL_R, 12), 0);
	EXPECT_PANIC((void)!pt_map(root, VA, 0, PAGE_SIZE, PTE_KERNEL_R, 12));
	EXPECT_PANIC((void)!pt_map(root, VA + 5, 0, PAGE_SIZE, PTE_KERNEL_R, 12));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_page_sizes, fresh),
		cmocka_unit_test_setup(test_largest_is_respected, fresh),
		cmocka_unit_test_setup(test_misaligned_pair, fresh),
		cmocka_unit_test_setup(test_unmap, fresh),
		cmocka_unit_test_setup(test_every_allocation_fails, fresh),
		cmocka_unit_test_setup(test_prepare, fresh),
		cmocka_unit_test_setup(test_for_each, fresh),
		cmocka_unit_test_setup(test_mapping_twice_panics, fresh),
	};

	arena = aligned_alloc(PAGE_SIZE, TABLES_MAX * PAGE_SIZE);
	mm_direct_base = (uint64_t)(uintptr_t)arena;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
