/* UNIT: hv/stage2.c hv/gmem.c hv/gbus.c tests/host/fake_backend.c */
// SPDX-License-Identifier: Apache-2.0
/* Second-level paging, guest memory, and what a stale TLB entry would do to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/host/fake_hv.h"

const struct hv_backend *hv_backend;
struct hv_caps hv_caps;

static struct stage2 s2;

static int setup(void **state)
{
	(void)state;
	fake_script(NULL, 0);
	fake_allocs_left = -1;
	return 0;
}

static uint64_t lookup(uint64_t gpa, unsigned int *prot, uint64_t *size)
{
	hpa_t hpa = HPA(~0ull);

	return stage2_lookup(&s2, GPA(gpa), &hpa, prot, size) == 0 ? hpa.v : ~0ull;
}

static void map_uses_the_largest_pages(void **state)
{
	unsigned int prot;
	uint64_t size;

	(void)state;
	assert_int_equal(stage2_init(&s2, fake_backend.stage2, true), 0);
	assert_int_equal(stage2_map(&s2, GPA(0), HPA(0), 2 * SIZE_1G + SIZE_2M + PAGE_SIZE, STAGE2_RWX), 0);
	assert_int_equal(lookup(SIZE_1G + 5, &prot, &size), SIZE_1G + 5);
	assert_int_equal(size, SIZE_1G);
	assert_int_equal(prot, STAGE2_RWX);
	assert_int_equal(lookup(2 * SIZE_1G + 1, &prot, &size), 2 * SIZE_1G + 1);
	assert_int_equal(size, SIZE_2M);
	assert_int_equal(lookup(2 * SIZE_1G + SIZE_2M, &prot, &size), 2 * SIZE_1G + SIZE_2M);
	assert_int_equal(size, PAGE_SIZE);
	assert_int_equal(lookup(2 * SIZE_1G + SIZE_2M + PAGE_SIZE, NULL, NULL), ~0ull);
	stage2_fini(&s2);
	assert_int_equal(fake_pages_live, 0);
}

static void unmap_and_protect_split_large_pages(void **state)
{
	unsigned int prot;
	uint64_t size;

	(void)state;
	assert_int_equal(stage2_init(&s2, fake_backend.stage2, true), 0);
	assert_int_equal(stage2_map(&s2, GPA(0), HPA(SIZE_1G), SIZE_1G, STAGE2_RWX), 0);
	assert_int_equal(stage2_unmap(&s2, GPA(SIZE_2M + PAGE_SIZE), PAGE_SIZE), 0);
	assert_int_equal(lookup(SIZE_2M + PAGE_SIZE, NULL, NULL), ~0ull);
	assert_int_equal(lookup(SIZE_2M, NULL, &size), SIZE_1G + SIZE_2M);
	assert_int_equal(size, PAGE_SIZE);
	assert_int_equal(lookup(0, NULL, &size), SIZE_1G);
	assert_int_equal(size, SIZE_2M);
	assert_int_equal(stage2_protect(&s2, GPA(4 * SIZE_2M), PAGE_SIZE, STAGE2_R), 0);
	lookup(4 * SIZE_2M, &prot, NULL);
	assert_int_equal(prot, STAGE2_R);
	lookup(4 * SIZE_2M + PAGE_SIZE, &prot, NULL);
	assert_int_equal(prot, STAGE2_RWX);
	/* Mapping the whole again gives the tables below back. */
	assert_int_equal(stage2_map(&s2, GPA(0), HPA(0), SIZE_1G, STAGE2_RWX), 0);
	assert_int_equal(s2.table_pages, 2);
	stage2_fini(&s2);
	assert_int_equal(fake_pages_live, 0);
}

static void bad_ranges_are_refused(void **state)
{
	(void)state;
	assert_int_equal(stage2_init(&s2, fake_backend.stage2, false), 0);
	assert_int_equal(stage2_map(&s2, GPA(1), HPA(0), PAGE_SIZE, STAGE2_R), -RAY_EINVAL);
	assert_int_equal(stage2_map(&s2, GPA(0), HPA(1), PAGE_SIZE, STAGE2_R), -RAY_EINVAL);
	assert_int_equal(stage2_map(&s2, GPA(0), HPA(0), 0, STAGE2_R), -RAY_EINVAL);
	assert_int_equal(stage2_map(&s2, GPA(0), HPA(0), 5, STAGE2_R), -RAY_EINVAL);
	assert_int_equal(stage2_map(&s2, GPA(~0xfffull), HPA(0), 2 * PAGE_SIZE, STAGE2_R), -RAY_EINVAL);
	assert_int_equal(stage2_unmap(&s2, GPA(BIT(48)), PAGE_SIZE), -RAY_EINVAL);
	assert_int_equal(stage2_lookup(&s2, GPA(BIT(48)), NULL, NULL, NULL), -RAY_EFAULT);
	stage2_fini(&s2);
}

static void every_allocation_may_fail(void **state)
{
	struct gmem m;
	int n, err = -1;

	(void)state;
	for (n = 0; err != 0; n++) {
		fake_allocs_left = n;
		err = gmem_init(&m, fake_backend.stage2, false);
		if (err == 0)
			err = gmem_add(&m, GPA(0), MIB(6) + PAGE_SIZE, GMEM_RAM);
		gmem_fini(&m);
		assert_int_equal(fake_pages_live, 0);
		assert_int_equal(fake_heap_live, 0);
	}
	assert_true(n > 5);
}

static void guest_memory_copies_and_bounds(void **state)
{
	struct vm *vm = fake_hv_vm(MIB(6), 1);
	char in[64] = "across the edge of a chunk", out[64] = { 0 };

	(void)state;
	assert_int_equal(gmem_write(&vm->mem, GPA(SIZE_2M - 10), in, sizeof(in)), 0);
	assert_int_equal(gmem_read(&vm->mem, GPA(SIZE_2M - 10), out, sizeof(out)), 0);
	assert_string_equal(in, out);
	assert_null(gmem_ptr(&vm->mem, GPA(SIZE_2M - 10), 64));
	assert_non_null(gmem_ptr(&vm->mem, GPA(SIZE_2M - 64), 64));
	assert_true(gmem_owns(&vm->mem, HPA((uint64_t)(uintptr_t)gmem_ptr(&vm->mem, GPA(0), 1) -
					     mm_direct_base + SIZE_2M - 1)));
	assert_false(gmem_owns(&vm->mem, HPA(BIT(51))));
	assert_int_equal(gmem_read(&vm->mem, GPA(MIB(6) - 1), out, 2), -RAY_EFAULT);
	assert_int_equal(gmem_read(&vm->mem, GPA(~0ull), out, 2), -RAY_EFAULT);
	assert_int_equal(gmem_read(&vm->mem, GPA(5), out, ~0ull), -RAY_EFAULT);
	assert_int_equal(gmem_write(&vm->mem, GPA(MIB(6)), in, 1), -RAY_EFAULT);
	/* Overlap, misalignment and ROM. */
	assert_int_equal(gmem_add(&vm->mem, GPA(MIB(4)), MIB(2), GMEM_RAM), -RAY_EINVAL);
	assert_int_equal(gmem_add(&vm->mem, GPA(MIB(7)), MIB(2), GMEM_RAM), -RAY_EINVAL);
	assert_int_equal(gmem_add(&vm->mem, GPA(MIB(8)), MIB(2), GMEM_ROM), 0);
	assert_int_equal(gmem_write(&vm->mem, GPA(MIB(8)), in, 1), -RAY_EFAULT);
	assert_int_equal(gmem_load(&vm->mem, GPA(MIB(8)), in, sizeof(in)), 0);
	assert_int_equal(gmem_fill(&vm->mem, GPA(MIB(8)), 0x5a, 3), 0);
	assert_int_equal(gmem_read(&vm->mem, GPA(MIB(8)), out, 4), 0);
	assert_memory_equal(out, "ZZZo", 4);
	fake_hv_vm_free(vm);
}

static unsigned int fetched;
static uint64_t fetched_page;

static void on_dirty(void *ctx, gpa_t page)
{
	(void)ctx;
	fetched++;
	fetched_page = page.v;
}

static void dirty_logging_needs_its_flushes(void **state)
{
	struct vm *vm = fake_hv_vm(MIB(4), 1);
	struct vcpu *v = vm->vcpu[0];
	char byte = 1;

	(void)state;
	assert_true(fake_touch(v, 0x5000, STAGE2_W));
	assert_int_equal(gmem_dirty_start(&vm->mem), 0);
	hv_backend->tlb_flush(v);
	assert_true(fake_touch(v, 0x5000, STAGE2_R));
	assert_false(fake_touch(v, 0x5000, STAGE2_W));
	assert_int_equal(gmem_dirty_fault(&vm->mem, GPA(0x5123)), 0);
	assert_true(fake_touch(v, 0x5000, STAGE2_W));
	assert_int_equal(gmem_write(&vm->mem, GPA(MIB(3)), &byte, 1), 0);
	fetched = 0;
	assert_int_equal(gmem_dirty_fetch(&vm->mem, on_dirty, NULL), 0);
	hv_backend->tlb_flush(v);
	assert_int_equal(fetched, 2);
	assert_int_equal(fetched_page, MIB(3));
	assert_false(fake_touch(v, 0x5000, STAGE2_W));
	assert_int_equal(gmem_dirty_fault(&vm->mem, GPA(GIB(1))), -RAY_EFAULT);
	gmem_dirty_stop(&vm->mem);
	assert_true(fake_touch(v, 0x5000, STAGE2_W));
	assert_int_equal(gmem_dirty_fault(&vm->mem, GPA(0x5000)), -RAY_EFAULT);
	fake_hv_vm_free(vm);
}

static bool answer(struct gbus_range *r, struct vcpu *v, struct gbus_access *a, bool fast)
{
	(void)r;
	(void)v;
	(void)fast;
	a->data = 7;
	return true;
}

static void the_bus_finds_and_refuses(void **state)
{
	struct gbus b;
	struct gbus_range a = { .base = 0x60, .len = 4, .fn = answer };
	struct gbus_range c = { .base = 0x64, .len = 1, .fn = answer };
	struct gbus_range d = { .base = 0x10, .len = 0x50, .fn = answer };
	struct gbus_range over = { .base = 0x63, .len = 4, .fn = answer };
	struct gbus_range far = { .base = 0xffff, .len = 2, .fn = answer };
	struct gbus_range top = { .base = ~0ull - 0xfff, .len = 0x1000, .fn = answer };

	(void)state;
	assert_int_equal(gbus_init(&b), 0);
	assert_int_equal(gbus_port_add(&b, &a), 0);
	assert_int_equal(gbus_port_add(&b, &c), 0);
	assert_int_equal(gbus_port_add(&b, &d), 0);
	assert_int_equal(gbus_port_add(&b, &over), -RAY_EBUSY);
	assert_int_equal(gbus_port_add(&b, &far), -RAY_EINVAL);
	assert_int_equal(gbus_mmio_add(&b, &top), 0);
	assert_ptr_equal(gbus_port_find(&b, 0x60, 4), &a);
	assert_ptr_equal(gbus_port_find(&b, 0x63, 1), &a);
	assert_null(gbus_port_find(&b, 0x63, 2));
	assert_ptr_equal(gbus_port_find(&b, 0x64, 1), &c);
	assert_ptr_equal(gbus_port_find(&b, 0x10, 1), &d);
	assert_null(gbus_port_find(&b, 0x65, 1));
	assert_null(gbus_port_find(&b, 0x0f, 1));
	assert_ptr_equal(gbus_mmio_find(&b, ~0ull - 7, 8), &top);
	gbus_port_del(&b, &a);
	assert_null(gbus_port_find(&b, 0x60, 1));
	assert_ptr_equal(gbus_port_find(&b, 0x64, 1), &c);
	assert_int_equal(gbus_port_add(&b, &over), -RAY_EBUSY);
	gbus_port_del(&b, &c);
	assert_int_equal(gbus_port_add(&b, &over), 0);
	gbus_fini(&b);
	assert_int_equal(fake_heap_live, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(map_uses_the_largest_pages, setup),
		cmocka_unit_test_setup(unmap_and_protect_split_large_pages, setup),
		cmocka_unit_test_setup(bad_ranges_are_refused, setup),
		cmocka_unit_test_setup(every_allocation_may_fail, setup),
		cmocka_unit_test_setup(guest_memory_copies_and_bounds, setup),
		cmocka_unit_test_setup(dirty_logging_needs_its_flushes, setup),
		cmocka_unit_test_setup(the_bus_finds_and_refuses, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
