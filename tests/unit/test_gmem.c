/* UNIT: hv/stage2.c hv/gmem.c hv/gmem_back.c hv/vcpu_mem.c hv/gbus.c tests/host/fake_backend.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * Guest memory that is given back while vCPUs run, and comes again: who is waited for, what
 * stays, and that no translation or pointer outlives the page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/host/fake_hv.h"
#include "tests/host/fake_log.h"
#include "tests/host/fake_panic.h"

const struct hv_backend *hv_backend;
struct hv_caps hv_caps;

static struct vm *vm;
static enum vm_end ended;
static unsigned int kicked, slept;
static int64_t live_before;

hpa_t va_to_hpa(const void *va)
{
	return HPA((uint64_t)(uintptr_t)va - mm_direct_base);
}

void vm_end(struct vm *m, enum vm_end how, const char *fmt, ...)
{
	(void)fmt;
	ended = how;
	m->ending = how;
}

/* What a vCPU does before its next entry (vcpu.c). */
static void requests_pass(struct vcpu *v)
{
	uint64_t r = __atomic_exchange_n(&v->requests, 0, __ATOMIC_SEQ_CST);

	if (r & VCPU_REQ_TLB)
		hv_backend->tlb_flush(v);
	if (r & VCPU_REQ_MEM)
		vcpu_mem_seen(v);
}

static void kick(unsigned int cpu)
{
	kicked++;
	/* Nothing is freed before everybody has seen it. */
	assert_int_equal(fake_pages_live, live_before);
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *v = vm->vcpu[i];

		if (v->cpu == cpu && v->mode == VCPU_IN_GUEST)
			requests_pass(v);
	}
}

/* The third time one looks, everybody has got there. */
static void outsiders_pass(void)
{
	assert_int_equal(fake_pages_live, live_before);
	if (++slept < 3)
		return;
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		requests_pass(vm->vcpu[i]);
}

static int setup(void **state)
{
	(void)state;
	fake_script(NULL, 0);
	fake_allocs_left = -1;
	ended = VM_END_NONE;
	kicked = slept = fake_epoch_waits = 0;
	fake_log_records = 0;
	vm = fake_hv_vm(MIB(8), 2);
	fake_on_kick = kick;
	fake_on_sleep = NULL;
	for (unsigned int i = 0; i < 2; i++) {
		vm->vcpu[i]->cpu = i;
		vm->vcpu[i]->mode = VCPU_AWAY;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_allocs_left = -1;
	fake_hv_vm_free(vm);
	return 0;
}

static uint64_t give(uint64_t gpa, uint64_t len)
{
	struct gmem_range r = { GPA(gpa), len };

	live_before = fake_pages_live;
	return gmem_release(vm, &r, 1);
}

static void given_back_and_there_again(void **state)
{
	struct gmem *m = &vm->mem;
	int64_t live = fake_pages_live;
	char in[] = "before", out[8];
	hpa_t old;

	(void)state;
	assert_int_equal(gmem_write(m, GPA(MIB(2)), in, sizeof(in)), 0);
	old = va_to_hpa(gmem_ptr(m, GPA(MIB(2)), 1));
	assert_int_equal(give(MIB(2), MIB(4)), MIB(4));
	assert_int_equal(m->bytes, MIB(4));
	assert_int_equal(fake_pages_live, live - 1024);
	assert_false(gmem_owns(m, old));
	assert_false(gmem_owns(m, HPA(PAGE_SIZE))); /* an absent chunk is not the host's first 2 MiB */

	assert_true(gmem_absent(m, GPA(MIB(2) - 1), 2));
	assert_false(gmem_absent(m, GPA(0), MIB(2)));
	assert_false(gmem_absent(m, GPA(MIB(8)), 1));
	assert_true(gmem_covers(m, GPA(MIB(2))) && gmem_is_ram(m, GPA(MIB(2)), MIB(6)));
	assert_false(gmem_is_ram(m, GPA(MIB(2)), MIB(6) + 1));
	assert_null(gmem_ptr(m, GPA(MIB(2)), 1));
	assert_null(gmem_span(m, GPA(MIB(2)), 1));
	assert_null(gmem_page_ptr(m, GPA(MIB(2))));
	assert_null(gmem_ptr_write(m, GPA(MIB(2)), 1));
	assert_int_equal(gmem_write(m, GPA(MIB(2)), in, 1), -RAY_EAGAIN);
	assert_int_equal(gmem_write(m, GPA(MIB(2) - 1), in, 2), -RAY_EAGAIN);
	memset(out, 1, sizeof(out));
	assert_int_equal(gmem_read(m, GPA(MIB(2)), out, sizeof(out)), 0);
	assert_memory_equal(out, "\0\0\0\0\0\0\0\0", 8);

	assert_int_equal(gmem_populate(m, GPA(MIB(4) - 1), 2), 0);
	assert_int_equal(gmem_populate(m, GPA(MIB(4) - 1), 2), 0);
	assert_int_equal(gmem_populate(m, GPA(MIB(8) - 1), 2), -RAY_EFAULT);
	assert_int_equal(m->bytes, MIB(8));
	assert_int_equal(fake_pages_live, live);
	assert_int_equal(gmem_read(m, GPA(MIB(2)), out, sizeof(out)), 0);
	assert_memory_equal(out, "\0\0\0\0\0\0\0\0", 8);
	assert_int_equal(gmem_write(m, GPA(MIB(2)), in, 1), 0);
	assert_true(fake_touch(vm->vcpu[0], MIB(2), STAGE2_RWX));
	assert_ptr_equal(gmem_span(m, GPA(MIB(2)), 5), gmem_ptr(m, GPA(MIB(2)), 5));
}

static void only_whole_chunks_of_ram_go(void **state)
{
	struct gmem_range r[4] = { { GPA(MIB(2) + PAGE_SIZE), MIB(2) },
				   { GPA(MIB(8)), MIB(4) },
				   { GPA(~0ull), 2 },
				   { GPA(MIB(16)), MIB(2) } };

	(void)state;
	assert_int_equal(gmem_add(&vm->mem, GPA(MIB(8)), MIB(2), GMEM_ROM), 0);
	assert_int_equal(gmem_add(&vm->mem, GPA(MIB(16)), MIB(2) - PAGE_SIZE, GMEM_RAM), 0);
	assert_int_equal(gmem_release(vm, r, 4), 0);
	assert_int_equal(vm->mem_round, 0); /* nobody was disturbed for nothing */
	assert_null(gmem_ptr_write(&vm->mem, GPA(MIB(8)), 1));
	assert_non_null(gmem_ptr_write(&vm->mem, GPA(MIB(16)), 1));
	/* All there is, and more. */
	assert_int_equal(give(PAGE_SIZE, ~0ull - PAGE_SIZE), MIB(6));
	assert_int_equal(give(0, ~0ull), MIB(2));
	assert_int_equal(vm->mem.bytes, MIB(4)); /* the ROM and the part of a chunk */
	assert_int_equal(gmem_populate(&vm->mem, GPA(0), MIB(8)), 0);
}

static void every_vcpu_lets_go_first(void **state)
{
	struct vcpu *runs = vm->vcpu[0], *halted = vm->vcpu[1];

	(void)state;
	assert_true(fake_touch(runs, MIB(2), STAGE2_RWX));
	assert_true(fake_touch(halted, MIB(2), STAGE2_RWX));
	runs->mode = VCPU_IN_GUEST;
	halted->mode = VCPU_BLOCKED;
	runs->code_walks[1].page = halted->code_walks[3].page = 1;
	assert_int_equal(give(MIB(2), MIB(2)), MIB(2));
	assert_int_equal(kicked, 1);
	assert_int_equal(fake_epoch_waits, 1);
	assert_false(fake_touch(runs, MIB(2), STAGE2_R));
	assert_int_equal(runs->code_walks[1].page, 0);
	/* It sleeps on, and flushes before it enters again. */
	assert_int_equal(halted->requests, VCPU_REQ_TLB | VCPU_REQ_MEM);
	requests_pass(halted);
	assert_int_equal(halted->code_walks[3].page, 0);
	assert_false(fake_touch(halted, MIB(2), STAGE2_R));
	assert_int_equal(gmem_populate(&vm->mem, GPA(MIB(2)), 1), 0);
	assert_true(fake_touch(runs, MIB(2), STAGE2_W));
	assert_true(fake_touch(halted, MIB(2), STAGE2_W));
}

static void a_thread_in_the_middle_is_waited_for(void **state)
{
	(void)state;
	vm->vcpu[0]->mode = VCPU_OUTSIDE;
	vm->vcpu[1]->mode = VCPU_OUTSIDE;
	fake_on_sleep = outsiders_pass;
	assert_int_equal(give(0, MIB(2)), MIB(2));
	assert_int_equal(slept, 3);
	assert_int_equal(kicked, 0);
	/* An answer to an earlier question is none to this one. */
	slept = 0;
	assert_int_equal(give(MIB(2), MIB(2)), MIB(2));
	assert_int_equal(slept, 3);
}

static void coming_back_forgets_what_was_cached(void **state)
{
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	v->code_walks[0].page = 1;
	vcpu_back(v);
	assert_int_equal(v->mode, VCPU_OUTSIDE);
	assert_int_equal(v->code_walks[0].page, 1);
	vcpu_away(v);
	assert_int_equal(give(0, MIB(2)), MIB(2));
	vcpu_back(v);
	assert_int_equal(v->code_walks[0].page, 0);
	assert_true(v->requests & VCPU_REQ_MEM);
	vcpu_away(v);
}

static void pinned_memory_stays(void **state)
{
	struct gmem *m = &vm->mem;

	(void)state;
	assert_int_equal(gmem_pin(m, GPA(MIB(4) - 1), 2), 0);
	assert_int_equal(gmem_pin(m, GPA(MIB(4)), 1), 0);
	assert_int_equal(give(0, MIB(8)), MIB(4));
	gmem_unpin(m, GPA(MIB(4) - 1), 2);
	assert_int_equal(give(0, MIB(8)), MIB(2));
	assert_int_equal(gmem_pin(m, GPA(MIB(4) - 1), 2), -RAY_EAGAIN);
	assert_int_equal(gmem_pin(m, GPA(MIB(8)), 1), -RAY_EFAULT);
	gmem_unpin(m, GPA(MIB(4)), 1);
	assert_int_equal(give(0, MIB(8)), MIB(2));
	assert_int_equal(m->bytes, 0);
	/* Made present first. */
	assert_int_equal(vcpu_pin(vm->vcpu[0], GPA(MIB(4) - 1), 2), 0);
	assert_int_equal(m->bytes, MIB(4));
	assert_int_equal(give(0, MIB(8)), 0);
	gmem_unpin(m, GPA(MIB(4) - 1), 2);
	assert_int_equal(vcpu_pin(vm->vcpu[0], GPA(MIB(8)), 1), -RAY_EFAULT);
	EXPECT_PANIC(gmem_unpin(m, GPA(0), 1));
	fake_lock_release_all();
}

static void populating_may_fail_anywhere(void **state)
{
	struct gmem *m = &vm->mem;
	int n, err = -1;

	(void)state;
	assert_int_equal(give(MIB(2), MIB(6)), MIB(6));
	for (n = 0; err != 0; n++) {
		fake_allocs_left = n;
		err = gmem_populate(m, GPA(MIB(2)), MIB(6));
		fake_allocs_left = -1;
		if (err != 0)
			assert_int_equal(err, -RAY_ENOMEM);
		assert_int_equal(m->bytes, MIB(2) * MIN(n + 1, 4));
		assert_int_equal(fake_pages_live, 512 * MIN(n + 1, 4) + (int64_t)m->s2.table_pages);
		if (err != 0)
			(void)give(MIB(2), MIB(6));
	}
	assert_int_equal(n, 4);
}

static void another_populates(void)
{
	assert_int_equal(gmem_populate(&vm->mem, GPA(MIB(2)), 1), 0);
}

static void two_may_populate_at_once(void **state)
{
	struct gmem *m = &vm->mem;
	int64_t live = fake_pages_live;

	(void)state;
	assert_int_equal(give(MIB(2), MIB(2)), MIB(2));
	fake_on_alloc = another_populates;
	assert_int_equal(gmem_populate(m, GPA(MIB(2)), 1), 0);
	assert_int_equal(m->bytes, MIB(8));
	assert_int_equal(fake_pages_live, live);
	assert_true(fake_touch(vm->vcpu[0], MIB(2), STAGE2_W));
}

static void memory_comes(void)
{
	if (++slept == 5)
		fake_allocs_left = -1;
}

static void a_vcpu_waits_for_memory(void **state)
{
	struct vcpu *v = vm->vcpu[0];

	(void)state;
	assert_int_equal(give(0, MIB(2)), MIB(2));
	requests_pass(v);
	vcpu_back(v);
	fake_allocs_left = 0;
	fake_on_sleep = memory_comes;
	assert_int_equal(vcpu_populate(v, GPA(0), 1), 0);
	assert_int_equal(slept, 5);
	assert_int_equal(v->mode, VCPU_OUTSIDE);
	assert_int_equal(fake_log_records, 1);
	assert_int_equal(vcpu_populate(v, GPA(MIB(8)), 1), -RAY_EFAULT);
	/* For ten seconds, then no longer; a second complaint is not logged. */
	vcpu_away(v);
	assert_int_equal(give(0, MIB(2)), MIB(2));
	fake_allocs_left = 0;
	assert_int_equal(vcpu_populate(v, GPA(0), 1), -RAY_ENOMEM);
	assert_int_equal(ended, VM_END_CRASH);
	assert_in_range(slept, 1000, 1100);
	assert_int_equal(fake_log_records, 1);
	assert_int_equal(v->mode, VCPU_AWAY); /* it was worked on by somebody else */
	assert_int_equal(vcpu_populate(v, GPA(0), 1), -RAY_ENOMEM); /* over: at once */
	assert_in_range(slept, 1000, 1100);
}

static void parts_of_a_1_gib_page_go(void **state)
{
	struct gmem *m = &vm->mem;
	uint64_t size, base = SIZE_1G;
	hpa_t hpa;

	(void)state;
	m->s2.page_1g = true;
	assert_int_equal(gmem_add(m, GPA(base), SIZE_1G, GMEM_RAM), 0);
	assert_int_equal(stage2_lookup(&m->s2, GPA(base), NULL, NULL, &size), 0);
	assert_int_equal(size, SIZE_1G);
	assert_true(fake_touch(vm->vcpu[0], base + MIB(10), STAGE2_W));
	/* No memory for the table that splits it: it stays as it is. */
	fake_allocs_left = 0;
	assert_int_equal(give(base + MIB(10), MIB(2)), 0);
	fake_allocs_left = -1;
	assert_true(fake_touch(vm->vcpu[0], base + MIB(10), STAGE2_W));
	assert_int_equal(give(base + MIB(10), MIB(2)), MIB(2));
	requests_pass(vm->vcpu[0]);
	assert_false(fake_touch(vm->vcpu[0], base + MIB(10), STAGE2_R));
	assert_true(fake_touch(vm->vcpu[0], base + MIB(12), STAGE2_W));
	assert_int_equal(stage2_lookup(&m->s2, GPA(base + MIB(12)), &hpa, NULL, &size), 0);
	assert_int_equal(size, SIZE_2M);
	assert_int_equal(hpa.v, va_to_hpa(gmem_ptr(m, GPA(base + MIB(12)), 1)).v);
	assert_int_equal(gmem_populate(m, GPA(base + MIB(10)), 1), 0);
	assert_true(fake_touch(vm->vcpu[0], base + MIB(10), STAGE2_W));
	/* The first, the last, and more than one batch holds. */
	assert_int_equal(give(base, MIB(2)), MIB(2));
	assert_int_equal(give(base + MIB(1022), MIB(2)), MIB(2));
	assert_int_equal(give(base, MIB(300)), MIB(298));
	assert_int_equal(m->bytes, MIB(8) + MIB(1024) - MIB(302));
}

static unsigned int pages;
static uint64_t page_sum;

static void on_page(void *ctx, gpa_t page)
{
	(void)ctx;
	pages++;
	page_sum += page.v;
}

static void the_dirty_log_sees_it_go_and_come(void **state)
{
	struct gmem *m = &vm->mem;
	struct vcpu *v = vm->vcpu[0];
	uint64_t tables = m->s2.table_pages;

	(void)state;
	assert_int_equal(gmem_dirty_start(m), 0);
	assert_int_equal(gmem_dirty_fault(m, GPA(MIB(2))), 0); /* 4 KiB pages by now */
	assert_true(fake_touch(v, MIB(2), STAGE2_W));
	assert_int_equal(m->s2.table_pages, tables + 1);
	/* The table goes with the chunk; a guest may walk through it until its TLB is flushed. */
	v->mode = VCPU_IN_GUEST;
	assert_int_equal(give(MIB(2), MIB(2)), MIB(2));
	assert_int_equal(m->s2.table_pages, tables);
	assert_false(fake_touch(v, MIB(2), STAGE2_R));
	pages = 0;
	assert_int_equal(gmem_dirty_fetch(m, on_page, NULL), 0); /* what is absent stays so */
	assert_int_equal(pages, 512);
	assert_false(fake_touch(v, MIB(2), STAGE2_R));
	/* Comes protected: the first write is noted. */
	assert_int_equal(gmem_populate(m, GPA(MIB(2)), 1), 0);
	assert_true(fake_touch(v, MIB(2), STAGE2_R));
	assert_false(fake_touch(v, MIB(2), STAGE2_W));
	assert_int_equal(gmem_dirty_fault(m, GPA(MIB(2) + 5)), 0);
	hv_backend->tlb_flush(v);
	assert_true(fake_touch(v, MIB(2), STAGE2_W));
	/* Writers by pointer. */
	assert_non_null(gmem_ptr_write(m, GPA(MIB(4) - 1), 1));
	gmem_dirty_mark(m, GPA(MIB(6) - 1), 2);
	gmem_dirty_mark(m, GPA(MIB(8) - 1), 2); /* outside: nobody's */
	pages = 0;
	page_sum = 0;
	assert_int_equal(gmem_dirty_fetch(m, on_page, NULL), 0);
	assert_int_equal(pages, 4);
	assert_int_equal(page_sum, MIB(2) + MIB(4) - PAGE_SIZE + MIB(6) - PAGE_SIZE + MIB(6));
	assert_int_equal(give(MIB(4), MIB(2)), MIB(2));
	gmem_dirty_stop(m);
	assert_int_equal(gmem_populate(m, GPA(MIB(4)), 1), 0);
	hv_backend->tlb_flush(v);
	assert_true(fake_touch(v, MIB(4), STAGE2_W));
	assert_non_null(gmem_ptr_write(m, GPA(MIB(4)), 1));
}

static void pointers_keep_to_their_bounds(void **state)
{
	struct gmem *m = &vm->mem;

	(void)state;
	assert_int_equal(gmem_add(m, GPA(MIB(16)), MIB(2) + PAGE_SIZE, GMEM_RAM), 0);
	assert_non_null(gmem_span(m, GPA(MIB(2) - 8), 8));
	assert_null(gmem_span(m, GPA(MIB(2) - 8), 9));
	assert_null(gmem_span(m, GPA(5), ~0ull));
	assert_null(gmem_ptr_write(m, GPA(5), ~0ull));
	assert_null(gmem_span(m, GPA(MIB(8)), 1));
	assert_null(gmem_span(m, GPA(~0ull), 1));
	assert_non_null(gmem_span(m, GPA(MIB(18)), PAGE_SIZE));
	assert_null(gmem_span(m, GPA(MIB(18)), PAGE_SIZE + 1));
	assert_ptr_equal(gmem_ptr_write(m, GPA(MIB(16) + 7), 1), gmem_ptr(m, GPA(MIB(16) + 7), 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(given_back_and_there_again),
		T(only_whole_chunks_of_ram_go),
		T(every_vcpu_lets_go_first),
		T(a_thread_in_the_middle_is_waited_for),
		T(coming_back_forgets_what_was_cached),
		T(pinned_memory_stays),
		T(populating_may_fail_anywhere),
		T(two_may_populate_at_once),
		T(a_vcpu_waits_for_memory),
		T(parts_of_a_1_gib_page_go),
		T(the_dirty_log_sees_it_go_and_come),
		T(pointers_keep_to_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
