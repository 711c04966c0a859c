/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages and epochs for tests on top of fake_virt.c: pages are zeroed when asked to be and
 * poisoned else, fail with the heap's allocations, and what waits for an epoch waits until
 * fake_epoch_run(). Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_PAGES_H
#define RAYOS_TESTS_HOST_FAKE_PAGES_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/page.h"
#include "kernel/sched/thread.h"
#include "tests/host/fake_virt.h"

#define FAKE_POISON 0xa5

static uint64_t fake_host_free = GIB(1); /* what page_stats_get() says */
static int64_t fake_pages_live;          /* 4 KiB each */
static struct epoch_entry *fake_retired;

int page_alloc(unsigned int order, unsigned int flags, hpa_t *out)
{
	size_t bytes = PAGE_SIZE << order;
	void *p;

	if (fake_allocs_left == 0)
		return -RAY_ENOMEM;
	if (fake_allocs_left > 0)
		fake_allocs_left--;
	p = aligned_alloc(PAGE_SIZE, bytes);
	assert(p != NULL);
	memset(p, (flags & PAGE_F_ZERO) ? 0 : FAKE_POISON, bytes);
	fake_pages_live += (int64_t)(1u << order);
	*out = HPA((uintptr_t)p);
	return 0;
}

void page_free_dirty(hpa_t page, unsigned int order)
{
	fake_pages_live -= (int64_t)(1u << order);
	free(hpa_to_va(page));
}

hpa_t va_to_hpa(const void *va)
{
	return HPA((uintptr_t)va);
}

void page_stats_get(struct page_stats *out)
{
	*out = (struct page_stats){.total = GIB(2), .free = fake_host_free};
}

void epoch_call(struct epoch_entry *e, void (*fn)(struct epoch_entry *e))
{
	e->fn = fn;
	e->next = fake_retired;
	fake_retired = e;
}

static void fake_epoch_run(void)
{
	while (fake_retired != NULL) {
		struct epoch_entry *e = fake_retired;

		fake_retired = e->next;
		e->fn(e);
	}
}

static void (*fake_sleep_hook)(void); /* what others do meanwhile; NULL: nothing */

/* Who sleeps lets housekeeping run. */
void thread_sleep_until(uint64_t deadline_ns)
{
	(void)deadline_ns;
	fake_epoch_run();
	if (fake_sleep_hook)
		fake_sleep_hook();
}

#endif
