/* UNIT: kernel/mm/heap.c kernel/mm/page.c kernel/mm/memmap.c */
// SPDX-License-Identifier: Apache-2.0
/* kernel/mm/heap.c over the real page allocator in an arena, against a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "kernel/mm/heap.h"
#include "kernel/mm/page_priv.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_panic.h"

#define ARENA_BYTES MIB(64)

static uint8_t *arena;
static uint64_t seed;

hpa_t va_to_hpa(const void *va)
{
	return HPA((uint64_t)(uintptr_t)va - mm_direct_base);
}

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

static int setup(void **state)
{
	static const struct boot_mem in = { .base = MIB(1), .len = MIB(40), .type = BOOT_MEM_RAM };
	static struct memmap m;

	(void)state;
	arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED)
		return -1;
	mm_direct_base = (uint64_t)(uintptr_t)arena;
	memmap_build(&m, &in, 1);
	if (page_init(&m) != 0)
		return -1;
	heap_init();
	return 0;
}

static uint64_t free_bytes(void)
{
	struct page_stats s;

	page_stats_get(&s);
	return s.free;
}

static uint64_t live_bytes(void)
{
	uint64_t sum = 0;

	for (int t = 0; t < MEM_TAG_COUNT; t++) {
		struct heap_tag_stats s;

		heap_stats_get((enum mem_tag)t, &s);
		sum += s.bytes;
	}
	return sum;
}

static void test_sizes_and_alignment(void **state)
{
	(void)state;
	for (size_t size = 0; size < 70000; size += size < 3000 ? 1 : 977) {
		uint8_t *p = kmalloc(size, MEM_TEST);

		assert_non_null(p);
		assert_true(IS_ALIGNED((uintptr_t)p, 16));
		if (size > 2048)
			assert_true(IS_ALIGNED((uintptr_t)p, PAGE_SIZE));
		memset(p, 0xee, size);
		kfree(p);
	}
	assert_int_equal(live_bytes(), 0);
}

static void test_zeroing_and_overflow(void **state)
{
	uint8_t *p = kmalloc(1000, MEM_TEST);

	(void)state;
	memset(p, 0x77, 1000);
	kfree(p);
	p = kzalloc(1000, MEM_TEST);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	kfree(p);
	assert_null(kcalloc(SIZE_MAX / 2, 3, MEM_TEST));
	assert_null(kmalloc(SIZE_MAX, MEM_TEST));
	kfree(NULL);
	assert_int_equal(live_bytes(), 0);
}

static void test_tags(void **state)
{
	struct heap_tag_stats before, s;
	void *a, *b;

	(void)state;
	heap_stats_get(MEM_VM, &before);
	a = kmalloc(100, MEM_VM);
	b = kmalloc(10000, MEM_VM);
	heap_stats_get(MEM_VM, &s);
	assert_string_equal(s.name, "vm");
	assert_int_equal(s.bytes, 10100);
	assert_int_equal(s.allocs, 2);
	assert_int_equal(s.total, before.total + 2);
	kfree(a);
	kfree(b);
	heap_stats_get(MEM_VM, &s);
	assert_int_equal(s.bytes, 0);
	assert_int_equal(s.allocs, 0);
}

/* Large objects waste no pages: five pages cost five, and the descriptor. */
static void test_large_is_trimmed(void **state)
{
	uint64_t before;
	void *warm = kmalloc(5 * PAGE_SIZE, MEM_TEST), *p;

	(void)state;
	before = free_bytes();
	p = kmalloc(5 * PAGE_SIZE + 1, MEM_TEST);
	assert_int_equal(free_bytes(), before - 6 * PAGE_SIZE);
	kfree(p);
	assert_int_equal(free_bytes(), before);
	kfree(warm);
}

#define LIVE_MAX 500
static struct {
	uint8_t *p;
	size_t size;
	uint8_t fill;
} live[LIVE_MAX];

static void model_free(size_t i, size_t *n, uint64_t *bytes)
{
	for (size_t k = 0; k < live[i].size; k++)
		assert_int_equal(live[i].p[k], live[i].fill);
	*bytes -= live[i].size;
	kfree(live[i].p);
	live[i] = live[--*n];
}

static void test_random_use_matches_the_model(void **state)
{
	uint64_t bytes = 0, start_footprint = heap_footprint(), start_free = free_bytes();
	size_t n = 0;

	(void)state;
	seed = 42;
	for (unsigned int round = 0; round < 40000; round++) {
		size_t size = rnd(30) ? rnd(2100) : rnd(60000);

		if (n < LIVE_MAX && rnd(100) < 52) {
			live[n].p = kmalloc(size, (enum mem_tag)rnd(MEM_TAG_COUNT));
			assert_non_null(live[n].p);
			live[n].size = size;
			live[n].fill = (uint8_t)rnd(256);
			memset(live[n].p, live[n].fill, size);
			bytes += size;
			n++;
		} else if (n) {
			model_free(rnd(n), &n, &bytes);
		}
		if (round % 64 == 0)
			assert_int_equal(live_bytes(), bytes);
	}
	while (n)
		model_free(n - 1, &n, &bytes);
	assert_int_equal(live_bytes(), 0);
	/* An empty slab per class may stay, nothing else. */
	assert_true(heap_footprint() <= start_footprint + 14 * 4 * PAGE_SIZE);
	assert_int_equal(start_free - free_bytes(), heap_footprint() - start_footprint);
}

static void test_short_memory(void **state)
{
	static void *held[8192];
	uint64_t before = free_bytes() + heap_footprint();
	size_t n = 0, small = 0;

	(void)state;
	while (n < ARRAY_SIZE(held) && (held[n] = kmalloc(64000, MEM_TEST)))
		n++;
	assert_in_range(n, 500, 700);
	/* Nothing half done when the descriptor or the pages are missing. */
	assert_null(kmalloc(MIB(4), MEM_TEST));
	while (n + small < ARRAY_SIZE(held) && (held[n + small] = kmalloc(2048, MEM_TEST)))
		small++;
	assert_null(kmalloc(2048, MEM_TEST));
	assert_null(kzalloc(PAGE_SIZE * 2, MEM_TEST));
	for (size_t i = 0; i < n + small; i++)
		kfree(held[i]);
	assert_int_equal(live_bytes(), 0);
	assert_int_equal(free_bytes() + heap_footprint(), before);
}

static void test_bad_frees_panic(void **state)
{
	uint8_t *p = kmalloc(40, MEM_TEST), *large = kmalloc(3 * PAGE_SIZE, MEM_TEST);
	hpa_t page;

	(void)state;
	EXPECT_PANIC(kfree(p + 16));
	fake_lock_release_all();
	EXPECT_PANIC(kfree(large + PAGE_SIZE));
	fake_lock_release_all();
	EXPECT_PANIC(kfree(large + 64));
	fake_lock_release_all();
	assert_int_equal(page_alloc(0, 0, &page), 0);
	EXPECT_PANIC(kfree(hpa_to_va(page)));
	fake_lock_release_all();
	page_free(page, 0);
	kfree(p);
	EXPECT_PANIC(kfree(p));
	fake_lock_release_all();
	assert_non_null(strstr(fake_panic_reason, "freed already"));
	kfree(large);
	EXPECT_PANIC(kfree(large));
	fake_lock_release_all();
	assert_int_equal(live_bytes(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_and_alignment),
		cmocka_unit_test(test_zeroing_and_overflow),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_large_is_trimmed),
		cmocka_unit_test(test_random_use_matches_the_model),
		cmocka_unit_test(test_short_memory),
		cmocka_unit_test(test_bad_frees_panic),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
