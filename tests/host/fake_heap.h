/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel/mm/heap.h on the host's malloc, so that the sanitizer watches it. A test makes the
 * n-th allocation fail with fake_heap_fail_at = n (1: the next one) and ends with
 * fake_heap_live == 0.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_HEAP_H
#define RAYOS_TESTS_HOST_FAKE_HEAP_H

#include <stdlib.h>

#include "kernel/mm/heap.h"

static long fake_heap_live;
static long fake_heap_fail_at; /* 0: never */

void *kcalloc(size_t n, size_t size, enum mem_tag tag)
{
	void *p;

	(void)tag;
	if (fake_heap_fail_at > 0 && --fake_heap_fail_at == 0)
		return NULL;
	p = calloc(n, size);
	fake_heap_live += p != NULL;
	return p;
}

void *kzalloc(size_t bytes, enum mem_tag tag)
{
	return kcalloc(1, bytes, tag);
}

void *kmalloc(size_t bytes, enum mem_tag tag)
{
	return kcalloc(1, bytes, tag);
}

void kfree(void *p)
{
	fake_heap_live -= p != NULL;
	free(p);
}

#endif
