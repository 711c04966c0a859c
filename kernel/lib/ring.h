/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte ring between one producer and one consumer, without a lock: each may be an interrupt
 * handler or a thread on any CPU. Several producers or consumers need a lock on their side.
 */
#ifndef RAYOS_KERNEL_LIB_RING_H
#define RAYOS_KERNEL_LIB_RING_H

#include <string.h>

#include "kernel/lib/types.h"

struct ring {
	uint8_t *buf;
	uint32_t mask;
	/* Free-running counts of bytes put and taken; each written by one side only. */
	uint32_t head __cacheline;
	uint32_t tail __cacheline;
};

/** @size  of @buf: a power of two, at most 2 GiB */
static inline void ring_init(struct ring *r, void *buf, uint32_t size)
{
	r->buf = buf;
	r->mask = size - 1;
	r->head = 0;
	r->tail = 0;
}

/** Bytes to be taken. The other side may change it meanwhile, in its own direction only. */
static inline uint32_t ring_used(const struct ring *r)
{
	return __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE);
}

static inline uint32_t ring_free(const struct ring *r)
{
	return r->mask + 1 - ring_used(r);
}

/** Producer: put up to @len bytes; returns how many fitted. */
static inline uint32_t ring_put(struct ring *r, const void *data, uint32_t len)
{
	uint32_t head = r->head;
	uint32_t room = r->mask + 1 - (head - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE));
	uint32_t n = MIN(len, room), at = head & r->mask, first = MIN(n, r->mask + 1 - at);

	memcpy(r->buf + at, data, first);
	memcpy(r->buf, (const uint8_t *)data + first, n - first);
	__atomic_store_n(&r->head, head + n, __ATOMIC_RELEASE);
	return n;
}

/** Consumer: take up to @len bytes; returns how many there were. */
static inline uint32_t ring_get(struct ring *r, void *data, uint32_t len)
{
	uint32_t tail = r->tail;
	uint32_t used = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) - tail;
	uint32_t n = MIN(len, used), at = tail & r->mask, first = MIN(n, r->mask + 1 - at);

	memcpy(data, r->buf + at, first);
	memcpy((uint8_t *)data + first, r->buf, n - first);
	__atomic_store_n(&r->tail, tail + n, __ATOMIC_RELEASE);
	return n;
}

#endif
