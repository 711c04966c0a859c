/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ground under hv/ in host tests: pages, heap, epochs, wait queues, time and interrupt
 * controllers as small as the code under test allows. Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_HV_H
#define RAYOS_TESTS_HOST_FAKE_HV_H

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hv/cpuid.h"
#include "hv/vm.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmap.h"
#include "kernel/mm/page.h"
#include "kernel/panic.h"
#include "kernel/sched/epoch.h"
#include "kernel/sched/epoch_logic.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"
#include "kernel/time/time.h"
#include "tests/host/fake_backend.h"
#include "tests/host/fake_lock.h"

/* --- pages: an arena, handed out upwards, each order naturally aligned --- */

#define FAKE_ARENA GIB(4)
static uint8_t *fake_arena;
static uint64_t fake_arena_next = PAGE_SIZE; /* page 0 is never given out */
static int64_t fake_pages_live;
static uint8_t fake_page_orders[FAKE_ARENA / PAGE_SIZE]; /* plus 1, of the block that begins here */
static int fake_allocs_left = -1; /* until page_alloc and kmalloc fail; < 0: never */
static void (*fake_on_alloc)(void); /* what others do meanwhile, once; NULL: nothing */
uint64_t mm_direct_base;

static __unused void fake_arena_init(void)
{
	if (fake_arena != NULL)
		return;
	fake_arena = mmap(NULL, FAKE_ARENA + SIZE_1G, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert(fake_arena != MAP_FAILED);
	mm_direct_base = ALIGN_UP((uint64_t)fake_arena, SIZE_1G);
}

static bool fake_alloc_fails(void)
{
	if (fake_allocs_left == 0)
		return true;
	if (fake_allocs_left > 0)
		fake_allocs_left--;
	return false;
}

int page_alloc(unsigned int order, unsigned int flags, hpa_t *out)
{
	uint64_t size = PAGE_SIZE << order;
	uint64_t at = ALIGN_UP(fake_arena_next, size);

	(void)flags;
	fake_arena_init();
	if (fake_on_alloc != NULL) {
		void (*others)(void) = fake_on_alloc;

		fake_on_alloc = NULL;
		others();
		at = ALIGN_UP(fake_arena_next, size);
	}
	if (fake_alloc_fails() || at + size > FAKE_ARENA)
		return -RAY_ENOMEM;
	fake_arena_next = at + size;
	fake_pages_live += (int64_t)(1u << order);
	fake_page_orders[at / PAGE_SIZE] = (uint8_t)(order + 1);
	*out = HPA(at);
	return 0;
}

void page_free(hpa_t page, unsigned int order)
{
	size_t size = PAGE_SIZE << order;

	assert(fake_page_orders[page.v / PAGE_SIZE] == order + 1);
	fake_page_orders[page.v / PAGE_SIZE] = 0;
	fake_pages_live -= (int64_t)(1u << order);
	if (page.v + size == fake_arena_next)
		fake_arena_next = page.v;
	if (order < PAGE_ORDER_2M)
		memset(hpa_to_va(page), 0, size);
	else
		assert(madvise(hpa_to_va(page), size, MADV_DONTNEED) == 0); /* zeros again */
}

void page_split(hpa_t page, unsigned int order, unsigned int to)
{
	assert(to < order && fake_page_orders[page.v / PAGE_SIZE] == order + 1);
	for (uint64_t i = 0; i < 1u << order; i += 1u << to)
		fake_page_orders[page.v / PAGE_SIZE + i] = (uint8_t)(to + 1);
}

void page_free_dirty(hpa_t page, unsigned int order)
{
	page_free(page, order);
}

/* --- heap --- */

static int64_t fake_heap_live;

void *kmalloc(size_t bytes, enum mem_tag tag)
{
	(void)tag;
	if (fake_alloc_fails())
		return NULL;
	fake_heap_live++;
	return aligned_alloc(64, ALIGN_UP(bytes, (size_t)64));
}

void *kzalloc(size_t bytes, enum mem_tag tag)
{
	void *p = kmalloc(bytes, tag);

	return p != NULL ? memset(p, 0, bytes) : NULL;
}

void *kcalloc(size_t n, size_t size, enum mem_tag tag)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : kzalloc(bytes, tag);
}

void kfree(void *p)
{
	if (p != NULL)
		fake_heap_live--;
	free(p);
}

void *vmap_alloc(size_t size)
{
	return kmalloc(size, MEM_KERNEL);
}

void vmap_free(void *p)
{
	kfree(p);
}

/* --- scheduling: one thread, nobody waits --- */

static int fake_epoch_depth;
uint64_t epoch_now = EPOCH_WORD(1);

void epoch_enter(void)
{
	fake_epoch_depth++;
}

void epoch_leave(void)
{
	assert(fake_epoch_depth-- > 0);
}

void epoch_call(struct epoch_entry *e, void (*fn)(struct epoch_entry *e))
{
	fn(e);
}

/* fake_thread.h, included first, brings real switching. */
#ifndef RAYOS_TESTS_HOST_FAKE_THREAD_H
static uint64_t fake_now = 1000000000;
/* What others do while the test sleeps / when a CPU is kicked; NULL: nothing. */
static void (*fake_on_sleep)(void);
static void (*fake_on_kick)(unsigned int cpu);

void thread_yield(void)
{
}

uint64_t time_now(void)
{
	return fake_now;
}

void thread_sleep_until(uint64_t deadline_ns)
{
	fake_now = deadline_ns;
	if (fake_on_sleep != NULL)
		fake_on_sleep();
}

void ipi_kick(unsigned int cpu)
{
	if (fake_on_kick != NULL)
		fake_on_kick(cpu);
}
#endif

static __unused unsigned int fake_epoch_waits;

void epoch_synchronize(void)
{
	fake_epoch_waits++;
	assert(fake_epoch_depth == 0 && this_cpu()->epoch == 0);
}

/* --- a VM made of memory, bus and backend vCPUs --- */

static __unused struct vm *fake_hv_vm(uint64_t memory, unsigned int vcpus)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	hv_backend = &fake_backend;
	assert(vm != NULL);
	vm->def.vcpus = vcpus;
	vm->def.memory = memory;
	list_init(&vm->vdevs);
	list_init(&vm->attached);
	assert(gmem_init(&vm->mem, fake_backend.stage2, false) == 0);
	assert(gmem_add(&vm->mem, GPA(0), memory, GMEM_RAM) == 0);
	assert(gbus_init(&vm->bus) == 0);
	for (unsigned int i = 0; i < vcpus; i++) {
		struct vcpu *v = calloc(1, sizeof(*v));

		assert(v != NULL);
		v->vm = vm;
		v->id = i;
		fake_backend.vcpu_init(v);
		fake_backend.vcpu_reset(v);
		vm->vcpu[i] = v;
		vm->vcpu_count = i + 1;
	}
	return vm;
}

static __unused void fake_hv_vm_free(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		fake_backend.vcpu_fini(vm->vcpu[i]);
		free(vm->vcpu[i]);
	}
	gbus_fini(&vm->bus);
	gmem_fini(&vm->mem);
	free(vm);
	assert(fake_heap_live == 0);
	assert(fake_pages_live == 0);
}

#endif
