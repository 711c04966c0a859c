/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mm/vmap.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/checked.h"
#include "kernel/lib/list.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/kspace.h"
#include "kernel/mm/page.h"
#include "kernel/mm/pagetable.h"
#include "kernel/panic.h"
#include "kernel/sched/spinlock.h"

/*
 * An area is a guard page and what is mapped above it. New areas are placed at a cursor that
 * only rises, so an address that was unmapped is not used again before the cursor has been
 * around once; and it goes on only through holes that were there at the last TLB flush.
 * It goes around in a window that grows only when it is full: page tables are never freed, so
 * a cursor that rose for ever would leave one behind for every 2 MiB.
 */
enum area_kind { AREA_DEVICE, AREA_STACK, AREA_MEMORY };

struct area {
	struct list_head node; /* by rising address */
	uint64_t base;	       /* of the guard page */
	uint64_t pages;	       /* guard page not counted */
	enum area_kind kind;
};

#define RECYCLE_TRIES 4u
#define WINDOW	      MIB(32)

static struct spinlock vmap_lock = SPINLOCK_INIT(LOCK_ORDER_VMAP);
static struct list_head areas = LIST_HEAD_INIT(areas);
static uint64_t area_base, window_end, cursor;
/* No CPU remembers anything in the holes from the cursor up to here. */
static uint64_t clean_end;
static uint64_t kills; /* areas unmapped since boot */

void vmap_init(uint64_t random)
{
	/* The first 64 GiB are for hiding in. */
	area_base = VMAP_FIRST + (random % (GIB(64) >> PAGE_SHIFT) << PAGE_SHIFT);
	cursor = area_base;
	window_end = clean_end = area_base + WINDOW;
	if (pt_prepare(kspace_root(), area_base, WINDOW) != 0)
		panic("no memory for the vmap area's tables");
}

static uint64_t area_end(const struct area *a)
{
	return a->base + ((a->pages + 1) << PAGE_SHIFT);
}

/* The first hole from the cursor on. The lock is held. */
static bool area_place(struct area *a)
{
	uint64_t size = (a->pages + 1) << PAGE_SHIFT, at = cursor;
	struct list_head *pos = &areas;
	struct area *other;

	list_for_each_entry(other, &areas, node) {
		if (area_end(other) <= cursor)
			continue;
		if (other->base >= at && other->base - at >= size) {
			pos = &other->node;
			break;
		}
		at = area_end(other);
	}
	if (at > clean_end || clean_end - at < size)
		return false;
	a->base = at;
	list_add_tail(&a->node, pos);
	cursor = at + size;
	return true;
}

/* For other CPUs. */
static bool may_wait(void)
{
	return irq_enabled() && !irq_in_handler() && this_cpu()->preempt_count == 0;
}

static void flush_one(void *arg)
{
	(void)arg;
	kspace_tlb_flush();
}

/* Make all holes of the window usable again and begin anew at its bottom. */
static bool recycle(void)
{
	uint64_t flags, before;
	bool ok;

	if (!may_wait())
		return false;
	flags = spin_lock_irqsave(&vmap_lock);
	before = kills;
	spin_unlock_irqrestore(&vmap_lock, flags);

	ipi_call_all(flush_one, NULL);

	flags = spin_lock_irqsave(&vmap_lock);
	ok = kills == before; /* else some CPU may have seen the newest hole after its flush */
	if (ok) {
		cursor = area_base;
		clean_end = window_end;
	}
	spin_unlock_irqrestore(&vmap_lock, flags);
	return ok;
}

/* Go on where the window ends; nothing has been up there yet. The lock is held. */
static bool window_grow(uint64_t need)
{
	uint64_t room = VMAP_FIRST + VMAP_SIZE - window_end;

	if (room < need)
		return false;
	if (clean_end != window_end)
		cursor = window_end;
	window_end += MIN(room, ALIGN_UP(need, WINDOW));
	clean_end = window_end;
	return true;
}

/* A window grows when it is full even behind a flush, or when there is no waiting for one. */
static bool area_fit(struct area *a)
{
	bool recycled = false, wait = may_wait(), ok;

	for (unsigned int i = 0; i < RECYCLE_TRIES; i++) {
		uint64_t flags = spin_lock_irqsave(&vmap_lock);

		ok = area_place(a);
		if (!ok && (recycled || i + 1 == RECYCLE_TRIES || !wait))
			ok = window_grow((a->pages + 1) << PAGE_SHIFT) && area_place(a);
		spin_unlock_irqrestore(&vmap_lock, flags);
		if (ok)
			return true;
		recycled = recycle();
	}
	return false;
}

static struct area *area_create(uint64_t pages, enum area_kind kind)
{
	struct area *a;

	if (pages == 0 || pages >= VMAP_SIZE >> PAGE_SHIFT)
		return NULL;
	a = kzalloc(sizeof(*a), MEM_KERNEL);
	if (!a)
		return NULL;
	a->pages = pages;
	a->kind = kind;
	if (area_fit(a))
		return a;
	kfree(a);
	return NULL;
}

/* Map [offset, offset + pages) of the area, in pages. */
static int area_map(const struct area *a, uint64_t offset, uint64_t pages, hpa_t hpa,
		    uint64_t attrs)
{
	uint64_t flags = spin_lock_irqsave(&vmap_lock);
	int err = pt_map(kspace_root(), a->base + ((offset + 1) << PAGE_SHIFT), hpa.v,
			 pages << PAGE_SHIFT, attrs, PAGE_SHIFT);

	spin_unlock_irqrestore(&vmap_lock, flags);
	return err;
}

static struct area *area_find(uint64_t va, enum area_kind kind)
{
	struct area *a;

	list_for_each_entry(a, &areas, node)
		if (va > a->base && va <= area_end(a))
			return a->kind == kind ? a : NULL;
	return NULL;
}

static void area_kill(struct area *a)
{
	uint64_t first = a->base + PAGE_SIZE;
	uint64_t flags = spin_lock_irqsave(&vmap_lock);

	pt_unmap(kspace_root(), first, a->pages << PAGE_SHIFT);
	for (uint64_t i = 0; i < a->pages; i++)
		invlpg((const void *)(uintptr_t)(first + (i << PAGE_SHIFT)));
	list_del(&a->node);
	kills++;
	if (a->base >= cursor)
		clean_end = MIN(clean_end, a->base);
	spin_unlock_irqrestore(&vmap_lock, flags);
	kfree(a);
}

static uint64_t cache_attrs(enum vmap_cache cache)
{
	/* Indices into the PAT as kernel/arch/features.c programs it. */
	switch (cache) {
	case VMAP_WB:
		return 0;
	case VMAP_WC:
		return PTE_PAT4K;
	case VMAP_UC:
	default:
		return PTE_PCD | PTE_PWT;
	}
}

void *vmap(hpa_t hpa, size_t len, enum vmap_cache cache, bool writable)
{
	uint64_t offset = hpa.v & (PAGE_SIZE - 1), end;
	uint64_t attrs = (writable ? PTE_KERNEL_RW : PTE_KERNEL_R) | cache_attrs(cache);
	struct area *a;

	if (len == 0 || checked_add(hpa.v, len, &end) != 0 || end > BIT(52))
		return NULL;
	a = area_create((offset + len + PAGE_SIZE - 1) >> PAGE_SHIFT, AREA_DEVICE);
	if (!a)
		return NULL;
	if (area_map(a, 0, a->pages, HPA(hpa.v - offset), attrs) != 0) {
		area_kill(a);
		return NULL;
	}
	return (void *)(uintptr_t)(a->base + PAGE_SIZE + offset);
}

static struct area *area_find_or_panic(const void *va, enum area_kind kind)
{
	uint64_t flags = spin_lock_irqsave(&vmap_lock);
	struct area *a = area_find((uint64_t)(uintptr_t)va, kind);

	spin_unlock_irqrestore(&vmap_lock, flags);
	if (!a)
		panic("vunmap of %016lx: nothing such is mapped there", (uint64_t)(uintptr_t)va);
	return a;
}

void vunmap(void *va)
{
	area_kill(area_find_or_panic(va, AREA_DEVICE));
}

/* Take the first @n pages of what pages_create() made out of it, then the area. */
static void pages_kill(struct area *a, uint64_t n)
{
	unsigned int shift;
	uint64_t pte, flags;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t va = a->base + ((i + 1) << PAGE_SHIFT);

		flags = spin_lock_irqsave(&vmap_lock);
		ASSERT(pt_walk(kspace_root(), va, &pte, &shift));
		pt_unmap(kspace_root(), va, PAGE_SIZE);
		spin_unlock_irqrestore(&vmap_lock, flags);
		invlpg((const void *)(uintptr_t)va);
		if (a->kind == AREA_MEMORY)
			page_free_dirty(HPA(pte & PTE_ADDR), 0);
		else
			page_free(HPA(pte & PTE_ADDR), 0);
	}
	area_kill(a);
}

static struct area *pages_create(uint64_t pages, enum area_kind kind)
{
	struct area *a = area_create(pages, kind);
	uint64_t i;
	hpa_t page;

	if (!a)
		return NULL;
	for (i = 0; i < a->pages; i++) {
		if (page_alloc(0, 0, &page) != 0)
			goto undo;
		if (area_map(a, i, 1, page, PTE_KERNEL_RW) != 0) {
			page_free(page, 0);
			goto undo;
		}
	}
	return a;

undo:
	pages_kill(a, i);
	return NULL;
}

void *vmap_stack_create(size_t size)
{
	struct area *a;

	ASSERT(IS_ALIGNED(size, PAGE_SIZE));
	a = pages_create(size >> PAGE_SHIFT, AREA_STACK);
	return a ? (void *)(uintptr_t)area_end(a) : NULL;
}

void vmap_stack_destroy(void *top)
{
	struct area *a = area_find_or_panic(top, AREA_STACK);

	pages_kill(a, a->pages);
}

void *vmap_alloc(size_t size)
{
	struct area *a = pages_create(ALIGN_UP(size, PAGE_SIZE) >> PAGE_SHIFT, AREA_MEMORY);

	return a ? (void *)(uintptr_t)(a->base + PAGE_SIZE) : NULL;
}

void vmap_free(void *p)
{
	struct area *a;

	if (!p)
		return;
	a = area_find_or_panic(p, AREA_MEMORY);
	pages_kill(a, a->pages);
}

bool vmap_is_guard(uint64_t addr)
{
	uint64_t page = ALIGN_DOWN(addr, PAGE_SIZE);

	return addr >= VMAP_FIRST && addr - VMAP_FIRST < VMAP_SIZE && !kspace_mapped(page, 1) &&
	       kspace_mapped(page + PAGE_SIZE, 1);
}
