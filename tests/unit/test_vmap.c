/* UNIT: kernel/mm/vmap.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * kernel/mm/vmap.c against a model of a TLB that forgets nothing until it is flushed: no
 * address is handed out while it is mapped, or while some CPU may remember what it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/err.h"
#include "kernel/mm/kspace.h"
#include "kernel/mm/page.h"
#include "kernel/mm/pagetable.h"
#include "kernel/mm/vmap.h"
#include "tests/host/fake_heap.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_panic.h"

uint64_t mm_direct_base;

struct range {
	uint64_t va, len;
};
#define RANGES_MAX 32768u
static struct range mapped[RANGES_MAX], stale[RANGES_MAX];
static size_t mapped_count, stale_count;
static struct range prepared;
static unsigned int flushes, pages_live, pages_scrubbed, page_fail_at, map_fail_at;

static bool in(const struct range *r, size_t n, uint64_t va, uint64_t len)
{
	for (size_t i = 0; i < n; i++)
		if (va < r[i].va + r[i].len && r[i].va < va + len)
			return true;
	return false;
}

hpa_t kspace_root(void)
{
	return HPA(0);
}

bool kspace_mapped(uint64_t addr, uint64_t len)
{
	return in(mapped, mapped_count, addr, len);
}

void kspace_tlb_flush(void)
{
	stale_count = 0;
	flushes++;
}

bool irq_in_handler(void)
{
	return false;
}

void ipi_call_all(void (*fn)(void *arg), void *arg)
{
	fn(arg);
}

int pt_map(hpa_t root, uint64_t va, uint64_t pa, uint64_t len, uint64_t attrs,
	   unsigned int max_shift)
{
	(void)root;
	(void)pa;
	assert_int_equal(max_shift, PAGE_SHIFT);
	assert_true(attrs & PTE_NX);
	if (map_fail_at && --map_fail_at == 0)
		return -RAY_ENOMEM;
	assert_false(in(mapped, mapped_count, va, len));
	assert_false(in(stale, stale_count, va, len));
	assert_true(mapped_count < RANGES_MAX);
	mapped[mapped_count++] = (struct range){ va, len };
	return 0;
}

/* Removes whole ranges, as vmap.c maps and unmaps the same ones. */
void pt_unmap(hpa_t root, uint64_t va, uint64_t len)
{
	(void)root;
	for (size_t i = 0; i < mapped_count;) {
		if (mapped[i].va < va || mapped[i].va >= va + len) {
			i++;
			continue;
		}
		assert_true(stale_count < RANGES_MAX);
		stale[stale_count++] = mapped[i];
		mapped[i] = mapped[--mapped_count];
	}
}

int pt_prepare(hpa_t root, uint64_t va, uint64_t len)
{
	(void)root;
	prepared = (struct range){ va, len };
	return 0;
}

bool pt_walk(hpa_t root, uint64_t va, uint64_t *pte, unsigned int *shift)
{
	(void)root;
	*pte = PTE_KERNEL_RW;
	*shift = PAGE_SHIFT;
	return kspace_mapped(va, 1);
}

int page_alloc(unsigned int order, unsigned int flags, hpa_t *out)
{
	(void)flags;
	assert_int_equal(order, 0);
	if (page_fail_at && --page_fail_at == 0)
		return -RAY_ENOMEM;
	pages_live++;
	*out = HPA(PAGE_SIZE);
	return 0;
}

void page_free(hpa_t page, unsigned int order)
{
	(void)page;
	assert_int_equal(order, 0);
	pages_live--;
}

void page_free_dirty(hpa_t page, unsigned int order)
{
	page_free(page, order);
	pages_scrubbed++;
}

static uint64_t seed = 1;

static uint64_t rnd(uint64_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

static int setup(void **state)
{
	(void)state;
	fake_rflags |= RFLAGS_IF;
	vmap_init(12345);
	return 0;
}

static void test_device(void **state)
{
	uint8_t *p = vmap(HPA(0xfee00123), 0x1000, VMAP_UC, true);

	(void)state;
	assert_non_null(p);
	assert_int_equal((uintptr_t)p & (PAGE_SIZE - 1), 0x123);
	assert_true(kspace_mapped((uintptr_t)p, 0x1000)); /* two pages */
	assert_true(vmap_is_guard(ALIGN_DOWN((uintptr_t)p, PAGE_SIZE) - 1));
	vunmap(p);
	assert_int_equal(mapped_count, 0);
	assert_null(vmap(HPA(0), 0, VMAP_WB, true));
	assert_null(vmap(HPA(UINT64_MAX), 2, VMAP_WB, true));
	assert_null(vmap(HPA(0), VMAP_SIZE, VMAP_WB, true));
	map_fail_at = 1;
	assert_null(vmap(HPA(0), 1, VMAP_WB, true));
	assert_int_equal(fake_heap_live, 0);
}

static void test_stack(void **state)
{
	void *top = vmap_stack_create(4 * PAGE_SIZE);

	(void)state;
	assert_non_null(top);
	assert_int_equal(pages_live, 4);
	assert_true(vmap_is_guard((uintptr_t)top - 4 * PAGE_SIZE - 8));
	assert_false(vmap_is_guard((uintptr_t)top - 8));
	vmap_stack_destroy(top);
	assert_int_equal(pages_live, 0);
	for (unsigned int n = 1; n <= 4; n++) {
		page_fail_at = n;
		assert_null(vmap_stack_create(4 * PAGE_SIZE));
		page_fail_at = 0;
		map_fail_at = n;
		assert_null(vmap_stack_create(4 * PAGE_SIZE));
		map_fail_at = 0;
	}
	fake_heap_fail_at = 1;
	assert_null(vmap_stack_create(PAGE_SIZE));
	assert_int_equal(pages_live, 0);
	assert_int_equal(mapped_count, 0);
	assert_int_equal(fake_heap_live, 0);
}

static void test_memory(void **state)
{
	void *p = vmap_alloc(3 * PAGE_SIZE + 1);

	(void)state;
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % PAGE_SIZE, 0);
	assert_int_equal(pages_live, 4);
	assert_true(vmap_is_guard((uintptr_t)p - 1));
	assert_true(kspace_mapped((uintptr_t)p, 4 * PAGE_SIZE));
	pages_scrubbed = 0;
	vmap_free(p);
	assert_int_equal(pages_live, 0);
	assert_int_equal(pages_scrubbed, 4);
	vmap_free(NULL);
	assert_null(vmap_alloc(0));
	for (unsigned int n = 1; n <= 4; n++) {
		page_fail_at = n;
		assert_null(vmap_alloc(4 * PAGE_SIZE));
		page_fail_at = 0;
	}
	assert_int_equal(pages_live, 0);
	assert_int_equal(fake_heap_live, 0);
}

/* Gigabytes at a time, so that the cursor goes round often. pt_map() is the judge. */
static void test_no_address_is_reused_too_early(void **state)
{
	void *live[64];
	size_t n = 0;

	(void)state;
	flushes = 0;
	for (unsigned int round = 0; round < 12000; round++) {
		if (n < ARRAY_SIZE(live) && rnd(100) < 52) {
			live[n] = vmap(HPA(0), rnd(8) ? 1 + rnd(100000) : GIB(1 + rnd(8)),
				       VMAP_WB, false);
			assert_non_null(live[n]);
			n++;
		} else if (n) {
			size_t i = rnd(n);

			vunmap(live[i]);
			live[i] = live[--n];
		}
	}
	assert_in_range(flushes, 4, 600);
	while (n)
		vunmap(live[--n]);
	assert_int_equal(mapped_count, 0);
	assert_int_equal(fake_heap_live, 0);
}

/* Threads come and go: what was prepared is enough, however many there were. */
static void test_no_tables_are_left_behind(void **state)
{
	void *live[300];
	size_t n = 0;

	(void)state;
	vmap_init(777);
	for (unsigned int round = 0; round < 3000; round++) {
		if (n < ARRAY_SIZE(live) && rnd(100) < 60) {
			live[n] = vmap_stack_create(16 * PAGE_SIZE);
			assert_in_range((uintptr_t)live[n], prepared.va, prepared.va + prepared.len);
			n++;
		} else if (n) {
			size_t i = rnd(n);

			vmap_stack_destroy(live[i]);
			live[i] = live[--n];
		}
	}
	while (n)
		vmap_stack_destroy(live[--n]);
	/* More at a time than there is room for is no reason to fail, nor is one big area. */
	while (n < ARRAY_SIZE(live))
		live[n++] = vmap_stack_create(40 * PAGE_SIZE);
	assert_true((uintptr_t)live[n - 1] > prepared.va + prepared.len);
	while (n)
		vmap_stack_destroy(live[--n]);
	live[0] = vmap(HPA(0), MIB(256), VMAP_UC, true);
	assert_non_null(live[0]);
	vunmap(live[0]);
	assert_int_equal(pages_live, 0);
	assert_int_equal(fake_heap_live, 0);
}

static void test_full(void **state)
{
	void *a, *b;

	(void)state;
	a = vmap(HPA(0), GIB(300), VMAP_WB, false);
	assert_non_null(a);
	assert_null(vmap(HPA(0), GIB(300), VMAP_WB, false));
	b = vmap(HPA(0), GIB(100), VMAP_WB, false);
	assert_non_null(b);
	vunmap(a);
	/* Where nobody may be interrupted, what was freed cannot be had. */
	fake_rflags &= ~RFLAGS_IF;
	while (vmap(HPA(0), GIB(20), VMAP_WB, false))
		;
	assert_null(vmap(HPA(0), GIB(290), VMAP_WB, false));
	fake_rflags |= RFLAGS_IF;
	vunmap(b);
}

static void test_wrong_unmaps_panic(void **state)
{
	void *top = vmap_stack_create(PAGE_SIZE);

	(void)state;
	EXPECT_PANIC(vunmap((uint8_t *)top - 8)); /* a stack */
	fake_lock_release_all();
	EXPECT_PANIC(vunmap((void *)64));
	fake_lock_release_all();
	EXPECT_PANIC(vmap_free((uint8_t *)top - 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_device),
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_no_address_is_reused_too_early),
		cmocka_unit_test(test_no_tables_are_left_behind),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_wrong_unmaps_panic),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
