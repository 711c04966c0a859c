/* UNIT: hv/msr_map.c hv/vmx/vmx_msr.c hv/svm/svm_perm.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * Permission maps of MSRs: what the shared one lets pass, copies on the first change, and where
 * SVM's map has its bits. That of VMX is in test_vmx.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/msr_map.h"
#include "hv/svm/svm_priv.h"
#include "kernel/lib/err.h"
#include "kernel/mm/page.h"

#define STAR 0xc0000081u
#define TSC  0x10u

/* Pages are handed out upwards; only their number comes back. */
static _Alignas(65536) uint8_t arena[64 * PAGE_SIZE];
static unsigned int next_page = 1, pages_live;
static bool no_memory;
uint64_t mm_direct_base;

int page_alloc(unsigned int order, unsigned int flags, hpa_t *out)
{
	(void)flags;
	if (no_memory)
		return -RAY_ENOMEM;
	next_page = (unsigned int)ALIGN_UP(next_page, 1u << order);
	assert_true(next_page + (1u << order) <= sizeof(arena) / PAGE_SIZE);
	mm_direct_base = (uint64_t)(uintptr_t)arena;
	*out = HPA(next_page * PAGE_SIZE);
	next_page += 1u << order;
	pages_live += 1u << order;
	return 0;
}

void page_free(hpa_t page, unsigned int order)
{
	assert_true(IS_ALIGNED(page.v, PAGE_SIZE << order));
	pages_live -= 1u << order;
}

static const struct msr_map_format *const format = &svm_msr_map_format;

static bool bit(const struct msr_map *m, uint32_t n)
{
	const uint8_t *map = hpa_to_va(HPA(m->pa));

	return map[n / 8] >> (n % 8) & 1;
}

static bool exits(const struct msr_map *m, uint32_t msr, bool write)
{
	uint32_t r, w;

	assert_int_equal(format->bits(msr, &r, &w), 0);
	return bit(m, write ? w : r);
}

static int setup(void **state)
{
	(void)state;
	no_memory = false;
	return msr_map_init(format);
}

static void shared_map_comes_once_or_not_at_all(void **state)
{
	unsigned int pages = pages_live;

	(void)state;
	no_memory = true;
	assert_int_equal(msr_map_init(format), -RAY_ENOMEM);
	no_memory = false;
	assert_int_equal(msr_map_init(format), 0);
	assert_int_equal(pages_live, pages + 2);
	assert_int_equal(msr_map_init(format), 0);
	assert_int_equal(pages_live, pages + 2);
}

static void all_but_the_switched_exits(void **state)
{
	struct msr_map m;
	unsigned int pass = 0;

	(void)state;
	msr_map_vm_init(&m);
	for (uint32_t n = 0; n < 3 * 0x2000 * 2; n++)
		pass += !bit(&m, n);
	assert_int_equal(pass, 10 * 2);
	assert_false(exits(&m, STAR, false) || exits(&m, STAR, true));
	assert_false(exits(&m, 0xc0000102, true) || exits(&m, 0x174, false));
	assert_true(exits(&m, TSC, false) && exits(&m, 0xc0000080, true));
	msr_map_vm_fini(&m);
}

static void a_change_is_one_vms_own(void **state)
{
	struct msr_map a, b;
	unsigned int pages = pages_live;

	(void)state;
	msr_map_vm_init(&a);
	msr_map_vm_init(&b);
	assert_int_equal(msr_map_pass(&a, TSC, true, false), 0);
	assert_int_equal(msr_map_pass(&a, STAR, false, true), 0);
	assert_int_equal(pages_live, pages + 2);
	assert_int_not_equal(a.pa, b.pa);
	assert_true(!exits(&a, TSC, false) && exits(&a, TSC, true));
	assert_true(exits(&a, STAR, false) && !exits(&a, STAR, true));
	assert_true(!exits(&a, 0x174, true)); /* the rest as before */
	assert_true(exits(&b, TSC, false) && !exits(&b, STAR, false));
	msr_map_vm_fini(&a);
	msr_map_vm_fini(&b);
	assert_int_equal(pages_live, pages);
}

static void what_cannot_be_done_changes_nothing(void **state)
{
	struct msr_map m;
	uint64_t before;

	(void)state;
	msr_map_vm_init(&m);
	before = m.pa;
	no_memory = true;
	assert_int_equal(msr_map_pass(&m, TSC, true, true), -RAY_ENOMEM);
	assert_int_equal(msr_map_pass(&m, 0x40000000, true, false), -RAY_ERANGE);
	assert_int_equal(msr_map_pass(&m, 0x40000000, false, false), 0); /* so it is anyway */
	assert_true(m.pa == before && exits(&m, TSC, false));
	msr_map_vm_fini(&m);
}

static void svm_bits(void **state)
{
	uint32_t r, w;

	(void)state;
	assert_int_equal(format->order, 1);
	assert_int_equal(format->bits(0x1fff, &r, &w), 0);
	assert_true(r == 0x3ffe && w == 0x3fff);
	assert_int_equal(format->bits(0xc0000000, &r, &w), 0);
	assert_int_equal(r, 0x800 * 8);
	assert_int_equal(format->bits(0xc0011fff, &r, &w), 0);
	assert_int_equal(w, 0x1800 * 8 - 1);
	assert_int_equal(format->bits(0x2000, &r, &w), -RAY_ERANGE);
	assert_int_equal(format->bits(0xc0012000, &r, &w), -RAY_ERANGE);
	assert_int_equal(format->bits(0xbfffffff, &r, &w), -RAY_ERANGE);
}

static void iopm_lets_every_port_exit(void **state)
{
	const uint8_t *map;

	(void)state;
	no_memory = true;
	assert_int_equal(svm_iopm_init(), -RAY_ENOMEM);
	no_memory = false;
	assert_int_equal(svm_iopm_init(), 0);
	map = hpa_to_va(HPA(svm_iopm_pa()));
	for (unsigned int i = 0; i < 3 * PAGE_SIZE; i++)
		assert_int_equal(map[i], 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shared_map_comes_once_or_not_at_all),
#define T(f) cmocka_unit_test_setup(f, setup)
		T(all_but_the_switched_exits),
		T(a_change_is_one_vms_own),
		T(what_cannot_be_done_changes_nothing),
		T(svm_bits),
		T(iopm_lets_every_port_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
