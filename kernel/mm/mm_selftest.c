/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Self-tests of memory on the running machine: what the page tables really say, and that the
 * allocators give back what they took.
 */
#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/arch/image.h"
#include "kernel/arch/msr_index.h"
#include "kernel/arch/trap.h"
#include "kernel/bootinfo.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/kspace.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/mm/pagetable.h"
#include "kernel/mm/vmap.h"
#include "kernel/selftest.h"

struct wx_walk {
	struct selftest *t;
	uint64_t executable, constant, total; /* bytes */
};

static uint64_t addr_of(const char *p)
{
	return (uint64_t)(uintptr_t)p;
}

static bool wx_leaf(void *arg, uint64_t va, uint64_t pte, unsigned int shift)
{
	struct wx_walk *w = arg;
	bool exec = !(pte & PTE_NX);

	w->total += 1ull << shift;
	SELFTEST_CHECK(w->t, va >= DIRECT_FIRST);
	SELFTEST_CHECK(w->t, !(pte & PTE_U));
	SELFTEST_CHECK(w->t, !(exec && (pte & PTE_W)));
	if (exec) {
		w->executable += 1ull << shift;
		SELFTEST_CHECK(w->t, va >= addr_of(__text_start) && va < addr_of(__text_end));
	}
	if (va >= addr_of(__rodata_start) && va < addr_of(__rodata_end)) {
		w->constant += 1ull << shift;
		SELFTEST_CHECK(w->t, !(pte & PTE_W));
	}
	return w->t->failures == 0;
}

/* A table of addresses: the loader relocated it before it made the segment read-only. */
static const char *const relocated[] = { __text_start, __data_start };

static void test_wx(struct selftest *t)
{
	const char *table = (const char *)relocated;
	struct wx_walk w = { .t = t };
	uint64_t root = cr3_read() & PTE_ADDR;

	SELFTEST_CHECK(t, root == kspace_root().v);
	(void)pt_for_each(HPA(root), wx_leaf, &w);
	SELFTEST_CHECK(t, w.executable == addr_of(__text_end) - addr_of(__text_start));
	SELFTEST_CHECK(t, w.constant == addr_of(__rodata_end) - addr_of(__rodata_start));
	SELFTEST_CHECK(t, table >= __rodata_start && table < __rodata_end);
	SELFTEST_CHECK(t, !kspace_mapped((uint64_t)(uintptr_t)hpa_to_va(va_to_hpa(table)), 1));
	sink_printf(t->out, "  mapped %lu KiB, executable %lu KiB, constant %lu KiB\n",
		    w.total >> 10, w.executable >> 10, w.constant >> 10);
}
SELFTEST(mm_wx, test_wx);

static void test_control_registers(struct selftest *t)
{
	const struct cpu_features *f = cpu_features();

	SELFTEST_CHECK(t, cr0_read() & CR0_WP);
	SELFTEST_CHECK(t, rdmsr(MSR_EFER) & EFER_NXE);
	SELFTEST_CHECK(t, !f->smep || (cr4_read() & CR4_SMEP));
	SELFTEST_CHECK(t, !f->smap || (cr4_read() & CR4_SMAP));
	SELFTEST_CHECK(t, !f->umip || (cr4_read() & CR4_UMIP));
	SELFTEST_CHECK(t, !f->xsave || xgetbv0() == f->xcr0);
}
SELFTEST(mm_control_registers, test_control_registers);

/* No second, writable way to the kernel's code; nothing below the stacks. */
static void test_holes(struct selftest *t)
{
	hpa_t code = va_to_hpa(__text_start);
	const char *guard = boot_stacks;

	SELFTEST_CHECK(t, kspace_mapped(addr_of(__text_start), PAGE_SIZE));
	SELFTEST_CHECK(t, !kspace_mapped((uint64_t)(uintptr_t)hpa_to_va(code), 1));
	SELFTEST_CHECK(t, !kspace_mapped(addr_of(guard), 1));
	SELFTEST_CHECK(t, kspace_mapped(addr_of(guard) + PAGE_SIZE, BOOT_STACK_SIZE));
	SELFTEST_CHECK(t, !kspace_mapped(addr_of(boot_stack_top), 1));
	SELFTEST_CHECK(t, !kspace_mapped(0, 1));
	SELFTEST_CHECK(t, code.v == bootinfo()->kernel_phys);
}
SELFTEST(mm_holes, test_holes);

/* Whether a stack's pages came back; other threads may have taken some meanwhile. */
static bool stack_returns(struct selftest *t, size_t size)
{
	struct page_stats before, after;
	uint8_t *top = vmap_stack_create(size);
	uint64_t base = (uint64_t)(uintptr_t)top - size;

	SELFTEST_CHECK(t, top != NULL);
	if (!top)
		return true;
	page_stats_get(&before);
	SELFTEST_CHECK(t, kspace_mapped(base, size));
	SELFTEST_CHECK(t, !kspace_mapped(base - PAGE_SIZE, PAGE_SIZE));
	SELFTEST_CHECK(t, vmap_is_guard(base - 1));
	memset(top - size, 0x5a, size);
	vmap_stack_destroy(top);
	SELFTEST_CHECK(t, !kspace_mapped(base, 1));
	page_stats_get(&after);
	return after.free >= before.free + size;
}

static void test_stack(struct selftest *t)
{
	bool back = false;

	for (int i = 0; i < 8 && !back; i++)
		back = stack_returns(t, 5 * PAGE_SIZE);
	SELFTEST_CHECK(t, back);
}
SELFTEST(mm_stack, test_stack);

static void test_vmap(struct selftest *t)
{
	hpa_t page;
	uint8_t *wb, *ro;

	if (page_alloc(0, PAGE_F_ZERO, &page) != 0) {
		SELFTEST_CHECK(t, !"no page");
		return;
	}
	wb = vmap(HPA(page.v + 100), 200, VMAP_WB, true);
	ro = vmap(page, PAGE_SIZE, VMAP_WB, false);
	SELFTEST_CHECK(t, wb && ro);
	if (wb && ro) {
		uint64_t pte = 0;
		unsigned int shift;

		wb[7] = 0x42;
		SELFTEST_CHECK(t, ro[107] == 0x42);
		SELFTEST_CHECK(t, pt_walk(kspace_root(), (uint64_t)(uintptr_t)ro, &pte, &shift));
		SELFTEST_CHECK(t, !(pte & PTE_W) && (pte & PTE_NX));
	}
	if (wb)
		vunmap(wb);
	if (ro)
		vunmap(ro);
	SELFTEST_CHECK(t, vmap(HPA(0), 0, VMAP_UC, true) == NULL);
	SELFTEST_CHECK(t, vmap(HPA(UINT64_MAX - 10), 100, VMAP_UC, true) == NULL);
	page_free(page, 0);
}
SELFTEST(mm_vmap, test_vmap);

static void test_heap(struct selftest *t)
{
	static const size_t sizes[] = { 1, 16, 100, 2048, 2049, 5 * PAGE_SIZE, MIB(1) };
	struct heap_tag_stats before, after;
	void *p[ARRAY_SIZE(sizes)];

	heap_stats_get(MEM_TEST, &before);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		p[i] = kmalloc(sizes[i], MEM_TEST);
		SELFTEST_CHECK(t, p[i] != NULL);
		if (p[i])
			memset(p[i], 0xa5, sizes[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		kfree(p[i]);
	heap_stats_get(MEM_TEST, &after);
	SELFTEST_CHECK(t, after.bytes == before.bytes && after.allocs == before.allocs);
}
SELFTEST(mm_heap, test_heap);

static void test_scrub(struct selftest *t)
{
	hpa_t a, b;
	const uint8_t *p;

	if (page_alloc(0, 0, &a) != 0)
		return;
	memset(hpa_to_va(a), 0xa5, PAGE_SIZE);
	page_free_dirty(a, 0);
	if (page_alloc(0, 0, &b) != 0)
		return;
	p = hpa_to_va(b);
	for (size_t i = 0; i < PAGE_SIZE && a.v == b.v; i++)
		SELFTEST_CHECK(t, p[i] == 0);
	page_free(b, 0);
}
SELFTEST(mm_scrub, test_scrub);

static void test_fixup(struct selftest *t)
{
	uint64_t v = 0;

	SELFTEST_CHECK(t, trap_fixup_works());
	SELFTEST_CHECK(t, rdmsr_safe(MSR_EFER, &v) == 0 && (v & EFER_NXE));
}
SELFTEST(arch_fixup, test_fixup);
