/* UNIT: boot/paging.c */
// SPDX-License-Identifier: Apache-2.0
/* boot/paging.c, read back by a walker of its own; every table allocation is made to fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/paging.h"
#include "kernel/lib/err.h"

#define PAGES_MAX 64
#define DIRECT    0xffff900000000000ull
#define KERNEL    0xffffffff80200000ull

static void *pages[PAGES_MAX];
static int page_count, fail_at = -1;

static int page_alloc(uint64_t *addr)
{
	void *p;

	if (page_count == fail_at || page_count == PAGES_MAX)
		return -RAY_ENOMEM;
	p = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	assert_non_null(p);
	memset(p, 0, PAGE_SIZE);
	pages[page_count++] = p;
	*addr = (uintptr_t)p;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	while (page_count > 0)
		free(pages[--page_count]);
	fail_at = -1;
	return 0;
}

/* The leaf entry for an address and its page size; 0 when not mapped. */
static uint64_t lookup(const struct paging *p, uint64_t virt, uint64_t *size)
{
	uint64_t table = p->root;

	for (int shift = 39; shift >= 12; shift -= 9) {
		uint64_t e = ((uint64_t *)(uintptr_t)table)[(virt >> shift) & 511];

		if ((e & PAGING_P) == 0)
			return 0;
		*size = 1ull << shift;
		if (shift == 12 || (e & PAGING_PS) != 0)
			return e;
		assert_true((e & PAGING_W) != 0 && (e & PAGING_NX) == 0);
		table = e & 0x000ffffffffff000ull;
	}
	return 0;
}

static void maps(const struct paging *p, uint64_t virt, uint64_t phys, uint64_t flags,
		 uint64_t page)
{
	uint64_t size = 0, e = lookup(p, virt, &size);

	assert_true(e != 0);
	assert_int_equal(size, page);
	assert_int_equal((e & 0x000ffffffffff000ull) + (virt & (size - 1)), phys);
	assert_int_equal(e & (PAGING_W | PAGING_NX), flags);
	assert_int_equal(e & (1ull << 2), 0); /* never for user mode */
}

static void test_kernel_segments(void **state)
{
	struct paging p;
	uint64_t size;

	(void)state;
	assert_int_equal(paging_init(&p, SIZE_1G, page_alloc), 0);
	assert_int_equal(paging_map(&p, KERNEL, 0x600000, 0x3000, 0, PAGE_SIZE), 0);
	assert_int_equal(paging_map(&p, KERNEL + 0x3000, 0x603000, 0x1000, PAGING_NX, PAGE_SIZE),
			 0);
	assert_int_equal(paging_map(&p, KERNEL + 0x4000, 0x604000, SIZE_2M, PAGING_W | PAGING_NX,
				    PAGE_SIZE), 0);
	maps(&p, KERNEL, 0x600000, 0, PAGE_SIZE);
	maps(&p, KERNEL + 0x2fff, 0x602fff, 0, PAGE_SIZE);
	maps(&p, KERNEL + 0x3000, 0x603000, PAGING_NX, PAGE_SIZE);
	maps(&p, KERNEL + 0x4000 + SIZE_2M - 1, 0x604000 + SIZE_2M - 1, PAGING_W | PAGING_NX,
	     PAGE_SIZE);
	assert_int_equal(lookup(&p, KERNEL - 1, &size), 0);
	assert_int_equal(lookup(&p, KERNEL + 0x4000 + SIZE_2M, &size), 0);
}

static void test_direct_map_sizes(void **state)
{
	struct paging p;

	(void)state;
	assert_int_equal(paging_init(&p, SIZE_1G, page_alloc), 0);
	assert_int_equal(paging_map(&p, DIRECT, 0, 2 * SIZE_1G + SIZE_2M + 0x1000,
				    PAGING_W | PAGING_NX, SIZE_1G), 0);
	maps(&p, DIRECT + 0x123456, 0x123456, PAGING_W | PAGING_NX, SIZE_1G);
	maps(&p, DIRECT + 2 * SIZE_1G, 2 * SIZE_1G, PAGING_W | PAGING_NX, SIZE_2M);
	maps(&p, DIRECT + 2 * SIZE_1G + SIZE_2M, 2 * SIZE_1G + SIZE_2M, PAGING_W | PAGING_NX,
	     PAGE_SIZE);
	/* Addresses that no large page fits. */
	assert_int_equal(paging_map(&p, DIRECT + 3 * SIZE_1G, 0x1000, SIZE_2M, 0, SIZE_1G), 0);
	maps(&p, DIRECT + 3 * SIZE_1G, 0x1000, 0, PAGE_SIZE);
	maps(&p, DIRECT + 3 * SIZE_1G + SIZE_2M - 1, SIZE_2M + 0xfff, 0, PAGE_SIZE);
	teardown(NULL);

	/* A CPU without 1 GiB pages. */
	assert_int_equal(paging_init(&p, SIZE_2M, page_alloc), 0);
	assert_int_equal(paging_map(&p, DIRECT, 0, 4 * SIZE_1G, PAGING_W | PAGING_NX, SIZE_1G), 0);
	maps(&p, DIRECT + 4 * SIZE_1G - 1, 4 * SIZE_1G - 1, PAGING_W | PAGING_NX, SIZE_2M);
}

static void test_overlaps(void **state)
{
	const uint64_t rw = PAGING_W | PAGING_NX;
	struct paging p;

	(void)state;
	assert_int_equal(paging_init(&p, SIZE_1G, page_alloc), 0);
	assert_int_equal(paging_map(&p, DIRECT, 0, SIZE_1G, rw, SIZE_1G), 0);
	/* The same again, also from the middle of a large page. */
	assert_int_equal(paging_map(&p, DIRECT + SIZE_2M, SIZE_2M, 2 * SIZE_1G, rw, SIZE_1G), 0);
	maps(&p, DIRECT + SIZE_1G, SIZE_1G, rw, SIZE_1G);
	maps(&p, DIRECT + 2 * SIZE_1G, 2 * SIZE_1G, rw, SIZE_2M);
	/* Another page, or other rights, is refused. */
	assert_int_equal(paging_map(&p, DIRECT, SIZE_1G, SIZE_1G, rw, SIZE_1G), -RAY_EEXIST);
	assert_int_equal(paging_map(&p, DIRECT, 0, PAGE_SIZE, 0, SIZE_1G), -RAY_EEXIST);
	assert_int_equal(paging_map(&p, DIRECT, 0, PAGE_SIZE, PAGING_W, PAGE_SIZE), -RAY_EEXIST);
	/* A large page over small ones that say the same leaves them. */
	assert_int_equal(paging_map(&p, KERNEL, SIZE_2M, PAGE_SIZE, 0, PAGE_SIZE), 0);
	assert_int_equal(paging_map(&p, KERNEL, SIZE_2M, SIZE_2M, 0, SIZE_2M), 0);
	maps(&p, KERNEL, SIZE_2M, 0, PAGE_SIZE);
	maps(&p, KERNEL + SIZE_2M - 1, 2 * SIZE_2M - 1, 0, PAGE_SIZE);
}

static void test_bad_arguments(void **state)
{
	struct paging p;

	(void)state;
	assert_int_equal(paging_init(&p, SIZE_1G, page_alloc), 0);
	assert_int_equal(paging_map(&p, DIRECT + 1, 0, PAGE_SIZE, 0, SIZE_1G), -RAY_EINVAL);
	assert_int_equal(paging_map(&p, DIRECT, 0x800, PAGE_SIZE, 0, SIZE_1G), -RAY_EINVAL);
	assert_int_equal(paging_map(&p, DIRECT, 0, 12, 0, SIZE_1G), -RAY_EINVAL);
	assert_int_equal(paging_map(&p, DIRECT, 0, PAGE_SIZE, 1ull << 2, SIZE_1G), -RAY_EINVAL);
}

static void test_every_allocation_fails(void **state)
{
	struct paging p;
	int needed;

	(void)state;
	assert_int_equal(paging_init(&p, SIZE_1G, page_alloc), 0);
	assert_int_equal(paging_map(&p, KERNEL, 0, SIZE_2M, 0, PAGE_SIZE), 0);
	needed = page_count;
	assert_int_equal(needed, 4);
	for (int n = 0; n < needed; n++) {
		int err;

		teardown(NULL);
		fail_at = n;
		err = paging_init(&p, SIZE_1G, page_alloc);
		if (!err)
			err = paging_map(&p, KERNEL, 0, SIZE_2M, 0, PAGE_SIZE);
		assert_int_equal(err, -RAY_ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_kernel_segments, teardown),
		cmocka_unit_test_teardown(test_direct_map_sizes, teardown),
		cmocka_unit_test_teardown(test_overlaps, teardown),
		cmocka_unit_test_teardown(test_bad_arguments, teardown),
		cmocka_unit_test_teardown(test_every_allocation_fails, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
