/* UNIT: kernel/mm/page.c kernel/mm/memmap.c */
// SPDX-License-Identifier: Apache-2.0
/* kernel/mm/page.c over a sparse arena, against a model of who owns what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "kernel/lib/err.h"
#include "kernel/mm/page.h"
#include "kernel/mm/page_priv.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_panic.h"

#define ARENA_BYTES GIB(6)
#define GUEST_BYTE  0xa5

static uint8_t *arena;
static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

/* Two zones below 4 GiB with a hole between, one above; the loader's part comes later. */
static const struct boot_mem firmware[] = {
	{ .base = MIB(1), .len = MIB(3) + 5 * PAGE_SIZE, .type = BOOT_MEM_RAM },
	{ .base = MIB(6), .len = MIB(2), .type = BOOT_MEM_LOADER },
	{ .base = MIB(8), .len = MIB(24), .type = BOOT_MEM_RAM },
	{ .base = GIB(4), .len = MIB(20), .type = BOOT_MEM_RAM },
};
#define LOADER_BASE MIB(6)
#define LOADER_LEN  MIB(2)

/* page.c keeps its state in statics and page_init() runs once: the tests share it, and each
 * leaves everything free. */
static int setup(void **state)
{
	static struct memmap m;

	(void)state;
	arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED)
		return -1;
	mm_direct_base = (uint64_t)(uintptr_t)arena;
	memmap_build(&m, firmware, ARRAY_SIZE(firmware));
	return page_init(&m);
}

static struct page_stats stats(void)
{
	struct page_stats s;

	page_stats_get(&s);
	return s;
}

static void test_accounts_add_up(void **state)
{
	struct page_stats before = stats(), s;
	uint64_t total = MIB(3) + 5 * PAGE_SIZE + MIB(2) + MIB(24) + MIB(20);

	(void)state;
	assert_int_equal(before.total, total);
	assert_int_equal(before.free + before.reserved, total);
	/* The tables take ten bytes a page, and the loader's memory is not ours yet. */
	assert_in_range(before.reserved, LOADER_LEN,
			LOADER_LEN + total / PAGE_SIZE * 10 + PAGE_SIZE);
	page_donate(LOADER_BASE, LOADER_LEN);
	s = stats();
	assert_int_equal(s.free, before.free + LOADER_LEN);
	assert_int_equal(s.free + s.reserved, total);
}

static bool all_bytes(hpa_t page, size_t len, uint8_t value)
{
	const uint8_t *p = hpa_to_va(page);

	for (size_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

static void test_dirty_pages_are_scrubbed_on_allocation(void **state)
{
	hpa_t a, all[64];
	size_t n = 0;

	(void)state;
	assert_int_equal(page_alloc(3, 0, &a), 0);
	memset(hpa_to_va(a), GUEST_BYTE, PAGE_SIZE << 3);
	page_free_dirty(a, 3);
	assert_int_equal(stats().dirty, PAGE_SIZE << 3);
	/* Whoever gets it next, without asking for zeros. */
	while (n < 64 && page_alloc(PAGE_ORDER_2M, 0, &all[n]) == 0) {
		const uint8_t *p = hpa_to_va(all[n]);

		for (size_t i = 0; i < SIZE_2M; i += PAGE_SIZE / 2)
			assert_int_not_equal(p[i], GUEST_BYTE);
		n++;
	}
	while (n)
		page_free(all[--n], PAGE_ORDER_2M);
	while (page_scrub_step())
		;
	assert_int_equal(stats().dirty, 0);
}

static void test_idle_scrubbing(void **state)
{
	struct page_stats before = stats();
	uint64_t steps = 0;
	hpa_t a, b;

	(void)state;
	assert_int_equal(page_alloc(4, 0, &a), 0);
	memset(hpa_to_va(a), GUEST_BYTE, PAGE_SIZE << 4);
	page_free_dirty(a, 4);
	while (page_scrub_step())
		steps++;
	assert_true(steps >= 16 * PAGE_SIZE / 512 - 1);
	assert_int_equal(stats().dirty, 0);
	assert_int_equal(stats().zeroed, before.zeroed + (PAGE_SIZE << 4));
	assert_true(all_bytes(a, PAGE_SIZE << 4, 0));
	assert_false(page_scrub_step());

	/* A page dirtied again while half scrubbed is scrubbed from its start. */
	assert_int_equal(page_alloc(0, PAGE_F_ZERO, &a), 0);
	memset(hpa_to_va(a), GUEST_BYTE, PAGE_SIZE);
	page_free_dirty(a, 0);
	while (stats().dirty == PAGE_SIZE && ((uint8_t *)hpa_to_va(a))[1024] == GUEST_BYTE)
		assert_true(page_scrub_step());
	assert_int_equal(page_alloc(0, 0, &b), 0);
	assert_int_equal(a.v, b.v);
	memset(hpa_to_va(b), GUEST_BYTE, PAGE_SIZE);
	page_free_dirty(b, 0);
	while (page_scrub_step())
		;
	assert_true(all_bytes(b, PAGE_SIZE, 0));
}

static void test_prezeroing_stops_at_its_target(void **state)
{
	hpa_t a;

	(void)state;
	page_prezero_target_set(MIB(4));
	while (page_scrub_step())
		;
	assert_in_range(stats().zeroed, MIB(4), MIB(4) + PAGE_SIZE);
	page_prezero_target_set(0);
	assert_false(page_scrub_step());
	assert_int_equal(page_alloc(PAGE_ORDER_2M, PAGE_F_ZERO, &a), 0);
	assert_true(all_bytes(a, SIZE_2M, 0));
	page_free(a, PAGE_ORDER_2M);
}

static void test_low_flag(void **state)
{
	hpa_t a, held[16];
	size_t n = 0;

	(void)state;
	assert_int_equal(page_alloc(0, 0, &a), 0);
	assert_true(a.v >= GIB(4)); /* low memory is kept for who needs it */
	page_free(a, 0);
	while (n < 16 && page_alloc(PAGE_ORDER_2M, PAGE_F_LOW, &held[n]) == 0) {
		assert_true(held[n].v + SIZE_2M <= GIB(4));
		n++;
	}
	assert_in_range(n, 12, 14);
	/* What is not low is still there. */
	assert_int_equal(page_alloc(PAGE_ORDER_2M, 0, &a), 0);
	page_free(a, PAGE_ORDER_2M);
	while (n)
		page_free(held[--n], PAGE_ORDER_2M);
}

static void test_out_of_memory_leaves_out_alone(void **state)
{
	hpa_t a = HPA(77);

	(void)state;
	assert_int_equal(page_alloc(PAGE_ORDER_1G, 0, &a), -RAY_ENOMEM);
	assert_int_equal(page_alloc(PAGE_ORDER_MAX + 1, 0, &a), -RAY_ENOMEM);
	assert_int_equal(a.v, 77);
}

static void test_split(void **state)
{
	struct page_stats before = stats();
	hpa_t a;

	(void)state;
	assert_int_equal(page_alloc(2, 0, &a), 0);
	page_split(a, 2, 1);
	page_split(a, 1, 0);
	page_free(HPA(a.v + 2 * PAGE_SIZE), 1);
	page_free(a, 0);
	page_free(HPA(a.v + PAGE_SIZE), 0);
	assert_int_equal(page_alloc(3, 0, &a), 0);
	page_split(a, 3, 1);
	for (unsigned int i = 0; i < 4; i++)
		page_free(HPA(a.v + i * 2 * PAGE_SIZE), 1);
	assert_int_equal(stats().free, before.free);
}

static void test_marks(void **state)
{
	hpa_t a;

	(void)state;
	assert_int_equal(page_alloc(1, 0, &a), 0);
	assert_int_equal(page_mark_get(a), PAGE_MARK_NONE);
	page_mark_set(a, 2, 5);
	assert_int_equal(page_mark_get(HPA(a.v + PAGE_SIZE)), 5);
	page_note_set(a, 0x1122334455667788ull);
	assert_int_equal(page_note_get(a), 0x1122334455667788ull);
	page_free(a, 1);
	assert_int_equal(page_mark_get(a), -1);
	assert_int_equal(page_mark_get(HPA(MIB(5))), -1); /* the hole */
	assert_int_equal(page_mark_get(HPA(GIB(5))), -1);
}

#define LIVE_MAX 300
static struct {
	hpa_t page;
	unsigned int order;
	uint8_t fill;
} live[LIVE_MAX];

static bool overlaps(hpa_t page, unsigned int order, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (page.v < live[i].page.v + (PAGE_SIZE << live[i].order) &&
		    live[i].page.v < page.v + (PAGE_SIZE << order))
			return true;
	return false;
}

static void check_new(hpa_t page, unsigned int order, unsigned int flags)
{
	const uint8_t *p = hpa_to_va(page);

	assert_true(IS_ALIGNED(page.v, PAGE_SIZE << order));
	for (size_t i = 0; i < PAGE_SIZE << order; i += 256) {
		assert_int_not_equal(p[i], GUEST_BYTE);
		if (flags & PAGE_F_ZERO)
			assert_int_equal(p[i], 0);
	}
}

static void model_free(size_t i, size_t *n)
{
	uint8_t *p = hpa_to_va(live[i].page);

	assert_int_equal(p[0], live[i].fill);
	assert_int_equal(p[(PAGE_SIZE << live[i].order) - 1], live[i].fill);
	if (live[i].fill == GUEST_BYTE)
		page_free_dirty(live[i].page, live[i].order);
	else
		page_free(live[i].page, live[i].order);
	live[i] = live[--*n];
}

static void test_random_use_matches_the_model(void **state)
{
	struct page_stats before = stats(), s;
	uint64_t used = 0;
	size_t n = 0;

	(void)state;
	seed = 4711;
	page_prezero_target_set(MIB(3));
	for (unsigned int round = 0; round < 20000; round++) {
		unsigned int order = (unsigned int)(rnd(20) ? rnd(4) : rnd(10));
		unsigned int flags = (unsigned int)rnd(4);
		hpa_t page;

		if (n < LIVE_MAX && rnd(100) < 52 && page_alloc(order, flags, &page) == 0) {
			assert_false(overlaps(page, order, n));
			check_new(page, order, flags);
			live[n].page = page;
			live[n].order = order;
			live[n].fill = rnd(2) ? GUEST_BYTE : 0x11;
			memset(hpa_to_va(page), live[n].fill, PAGE_SIZE << order);
			used += PAGE_SIZE << order;
			n++;
		} else if (n) {
			size_t i = rnd(n);

			used -= PAGE_SIZE << live[i].order;
			model_free(i, &n);
		}
		for (unsigned int i = 0; i < rnd(20); i++)
			page_scrub_step();
		if (round % 64 == 0) {
			s = stats();
			assert_int_equal(s.free, before.free - used);
			assert_true(s.dirty + s.zeroed <= s.free);
		}
	}
	while (n)
		model_free(n - 1, &n);
	s = stats();
	assert_int_equal(s.free, before.free);
	page_prezero_target_set(0);
	while (page_scrub_step())
		;
	assert_int_equal(stats().dirty, 0);
	/* All merged again: the zone above 4 GiB gives nine blocks of 2 MiB at least. */
	while (n < 9 && page_alloc(PAGE_ORDER_2M, 0, &live[n].page) == 0)
		n++;
	assert_int_equal(n, 9);
	while (n)
		page_free(live[--n].page, PAGE_ORDER_2M);
}

static void test_wrong_frees_panic(void **state)
{
	hpa_t a;

	(void)state;
	assert_int_equal(page_alloc(1, 0, &a), 0);
	EXPECT_PANIC(page_free(HPA(MIB(5)), 0));     /* no RAM */
	EXPECT_PANIC(page_free(HPA(a.v + 8), 1));    /* not a page */
}

static void test_double_free_panics(void **state)
{
	hpa_t a;

	(void)state;
	assert_int_equal(page_alloc(1, 0, &a), 0);
	page_free(a, 1);
	EXPECT_PANIC(page_free(a, 1)); /* leaves the lock held: nothing may follow */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accounts_add_up),
		cmocka_unit_test(test_dirty_pages_are_scrubbed_on_allocation),
		cmocka_unit_test(test_idle_scrubbing),
		cmocka_unit_test(test_prezeroing_stops_at_its_target),
		cmocka_unit_test(test_low_flag),
		cmocka_unit_test(test_out_of_memory_leaves_out_alone),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_random_use_matches_the_model),
		cmocka_unit_test(test_wrong_frees_panic),
		cmocka_unit_test(test_double_free_panics),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
