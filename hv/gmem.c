/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions, access from the host side, dirty logging. What comes and goes is in gmem_back.c.
 */
#include "hv/gmem.h"

#include <string.h>

#include "hv/gmem_priv.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"

/* Copied in one epoch section, which keeps other threads off the CPU. */
#define COPY_STEP KIB(64)

static uint64_t chunk_count(uint64_t size)
{
	return ALIGN_UP(size, GMEM_CHUNK_SIZE) / GMEM_CHUNK_SIZE;
}

int gmem_init(struct gmem *m, const struct stage2_format *fmt, bool page_1g)
{
	memset(m, 0, sizeof(*m));
	m->lock = (struct spinlock)SPINLOCK_INIT(LOCK_ORDER_GMEM);
	return stage2_init(&m->s2, fmt, page_1g);
}

static void region_free(struct gmem_region *r)
{
	for (uint64_t i = 0; i < chunk_count(r->size); i++) {
		if (r->chunks[i].v != 0 && r->info[i].order != GMEM_INSIDE)
			page_free_dirty(r->chunks[i], r->info[i].order);
	}
	kfree(r->chunks);
	kfree(r->info);
	kfree(r->dirty);
	memset(r, 0, sizeof(*r));
}

void gmem_fini(struct gmem *m)
{
	stage2_fini(&m->s2);
	for (unsigned int i = 0; i < m->count; i++)
		region_free(&m->region[i]);
	m->count = 0;
	m->bytes = 0;
}

static unsigned int order_for(uint64_t bytes)
{
	unsigned int order = PAGE_ORDER_4K;

	while ((PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

/* Back the chunk at index i and those that came with it; returns how many, or an error. */
static int chunk_alloc(const struct gmem *m, struct gmem_region *r, uint64_t i)
{
	uint64_t offset = i * GMEM_CHUNK_SIZE;
	uint64_t left = r->size - offset;
	hpa_t hpa;

	if (m->s2.page_1g && left >= SIZE_1G && IS_ALIGNED(r->base.v + offset, SIZE_1G) &&
	    page_alloc(PAGE_ORDER_1G, PAGE_F_ZERO, &hpa) == 0) {
		for (uint64_t k = 0; k < SIZE_1G / GMEM_CHUNK_SIZE; k++) {
			r->chunks[i + k] = HPA(hpa.v + k * GMEM_CHUNK_SIZE);
			r->info[i + k].order = k == 0 ? PAGE_ORDER_1G : GMEM_INSIDE;
		}
		return (int)(SIZE_1G / GMEM_CHUNK_SIZE);
	}
	unsigned int order = order_for(MIN(left, GMEM_CHUNK_SIZE));
	int err = page_alloc(order, PAGE_F_ZERO, &hpa);
	if (err != 0)
		return err;
	r->chunks[i] = hpa;
	r->info[i].order = (uint8_t)order;
	return 1;
}

static int region_back(struct gmem *m, struct gmem_region *r, unsigned int prot)
{
	for (uint64_t i = 0; i < chunk_count(r->size);) {
		int n = chunk_alloc(m, r, i);

		if (n < 0)
			return n;
		uint64_t offset = i * GMEM_CHUNK_SIZE;
		uint64_t len = MIN((uint64_t)n * GMEM_CHUNK_SIZE, r->size - offset);
		int err = stage2_map(&m->s2, GPA(r->base.v + offset), r->chunks[i], len, prot);

		if (err != 0)
			return err;
		i += (uint64_t)n;
	}
	return 0;
}

static bool region_fits(const struct gmem *m, gpa_t base, uint64_t size)
{
	uint64_t end;

	if (size == 0 || !IS_ALIGNED(base.v, GMEM_CHUNK_SIZE) || !IS_ALIGNED(size, PAGE_SIZE) ||
	    __builtin_add_overflow(base.v, size, &end))
		return false;
	for (unsigned int i = 0; i < m->count; i++) {
		const struct gmem_region *o = &m->region[i];

		if (base.v < o->base.v + o->size && o->base.v < end)
			return false;
	}
	return true;
}

/* Under the lock, or while nobody uses it. */
static void plain_writes_set(struct gmem *m)
{
	const struct gmem_region *r = &m->region[0];
	bool plain = m->count > 0 && r->type == GMEM_RAM && r->dirty == NULL;

	__atomic_store_n(&m->plain_writes, plain, __ATOMIC_RELEASE);
}

int gmem_add(struct gmem *m, gpa_t base, uint64_t size, enum gmem_type type)
{
	if (m->count == GMEM_REGION_MAX)
		return -RAY_ENOSPC;
	if (!region_fits(m, base, size))
		return -RAY_EINVAL;

	struct gmem_region *r = &m->region[m->count];
	*r = (struct gmem_region){ .base = base, .size = size, .type = type,
				   .whole = ALIGN_DOWN(size, GMEM_CHUNK_SIZE) };
	r->chunks = kcalloc(chunk_count(size), sizeof(*r->chunks), MEM_VM);
	r->info = kcalloc(chunk_count(size), sizeof(*r->info), MEM_VM);
	if (r->chunks == NULL || r->info == NULL) {
		kfree(r->chunks);
		kfree(r->info);
		memset(r, 0, sizeof(*r));
		return -RAY_ENOMEM;
	}
	int err = region_back(m, r, type == GMEM_RAM ? STAGE2_RWX : STAGE2_R | STAGE2_X);
	if (err != 0) {
		/* Unmapping whole chunks that were mapped as whole needs no memory. */
		int unmap_err = stage2_unmap(&m->s2, base, size);

		(void)unmap_err;
		region_free(r);
		return err;
	}
	m->count++;
	m->bytes += chunk_count(size) * GMEM_CHUNK_SIZE;
	plain_writes_set(m);
	return 0;
}

struct gmem_region *gmem_region_of(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < m->count; i++) {
		struct gmem_region *r = (struct gmem_region *)(uintptr_t)&m->region[i];
		uint64_t off = gpa.v - r->base.v; /* wraps to a huge number below the base */

		if (off < r->size)
			return len <= r->size - off ? r : NULL;
	}
	return NULL;
}

bool gmem_owns(const struct gmem *m, hpa_t page)
{
	for (unsigned int i = 0; i < m->count; i++) {
		const struct gmem_region *r = &m->region[i];

		for (uint64_t off = 0; off < r->size; off += GMEM_CHUNK_SIZE) {
			uint64_t base = gmem_chunk_get(r, off / GMEM_CHUNK_SIZE).v;

			if (base != 0 && page.v >= base && page.v - base < MIN(GMEM_CHUNK_SIZE, r->size - off))
				return true;
		}
	}
	return false;
}

/* NULL: absent. */
static char *chunk_ptr(const struct gmem_region *r, gpa_t gpa)
{
	uint64_t off = gpa.v - r->base.v;
	hpa_t chunk = gmem_chunk_get(r, off / GMEM_CHUNK_SIZE);

	return chunk.v != 0 ? (char *)hpa_to_va(chunk) + off % GMEM_CHUNK_SIZE : NULL;
}

void *gmem_ptr(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *r = gmem_region_of(m, gpa, len);

	if (r == NULL || gpa.v % GMEM_CHUNK_SIZE + len > GMEM_CHUNK_SIZE)
		return NULL;
	return chunk_ptr(r, gpa);
}

void *gmem_ptr_write_slow(struct gmem *m, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *r = gmem_region_of(m, gpa, len);
	void *p = gmem_ptr(m, gpa, len);

	if (p == NULL || r->type != GMEM_RAM)
		return NULL;
	gmem_region_dirty(r, gpa, len);
	return p;
}

static uint64_t copy_step(gpa_t gpa, uint64_t len)
{
	return MIN(MIN(len, GMEM_CHUNK_SIZE - gpa.v % GMEM_CHUNK_SIZE), COPY_STEP);
}

int gmem_read(const struct gmem *m, gpa_t gpa, void *dst, uint64_t len)
{
	const struct gmem_region *r = gmem_region_of(m, gpa, len);
	char *out = dst;

	if (r == NULL)
		return -RAY_EFAULT;
	while (len > 0) {
		uint64_t n = copy_step(gpa, len);
		const char *from;

		epoch_enter();
		from = chunk_ptr(r, gpa);
		if (from != NULL)
			memcpy(out, from, n);
		else
			memset(out, 0, n);
		epoch_leave();
		out += n;
		gpa.v += n;
		len -= n;
	}
	return 0;
}

void gmem_region_dirty(const struct gmem_region *r, gpa_t gpa, uint64_t len)
{
	uint64_t *dirty = __atomic_load_n(&r->dirty, __ATOMIC_ACQUIRE);
	uint64_t first = (gpa.v - r->base.v) / PAGE_SIZE;
	uint64_t last = (gpa.v - r->base.v + len - 1) / PAGE_SIZE;

	for (uint64_t p = first; dirty != NULL && len > 0 && p <= last; p++)
		__atomic_fetch_or(&dirty[p / 64], BIT(p % 64), __ATOMIC_RELAXED);
}

/* One writer for copies (src) and fills (src NULL). */
static int region_write(const struct gmem_region *r, gpa_t gpa, const void *src, uint8_t byte,
			uint64_t len)
{
	const char *in = src;

	if (r == NULL)
		return -RAY_EFAULT;
	while (len > 0) {
		uint64_t n = copy_step(gpa, len);
		char *to;

		epoch_enter();
		to = chunk_ptr(r, gpa);
		if (to != NULL) {
			gmem_region_dirty(r, gpa, n);
			if (in != NULL)
				memcpy(to, in, n);
			else
				memset(to, byte, n);
		}
		epoch_leave();
		if (to == NULL)
			return -RAY_EAGAIN;
		in = in != NULL ? in + n : NULL;
		gpa.v += n;
		len -= n;
	}
	return 0;
}

int gmem_write(struct gmem *m, gpa_t gpa, const void *src, uint64_t len)
{
	const struct gmem_region *r = gmem_region_of(m, gpa, len);

	if (r == NULL || r->type != GMEM_RAM)
		return -RAY_EFAULT;
	return region_write(r, gpa, src, 0, len);
}

int gmem_load(struct gmem *m, gpa_t gpa, const void *src, uint64_t len)
{
	return region_write(gmem_region_of(m, gpa, len), gpa, src, 0, len);
}

int gmem_fill(struct gmem *m, gpa_t gpa, uint8_t byte, uint64_t len)
{
	return region_write(gmem_region_of(m, gpa, len), gpa, NULL, byte, len);
}

/* --- dirty logging --- */

void gmem_dirty_mark(struct gmem *m, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *r = gmem_region_of(m, gpa, len);

	if (r == NULL || r->type != GMEM_RAM)
		return;
	epoch_enter();
	gmem_region_dirty(r, gpa, len);
	epoch_leave();
}

static uint64_t dirty_words(const struct gmem_region *r)
{
	return ALIGN_UP(r->size / PAGE_SIZE, 64) / 64;
}

/* Switch a region's log and what its pages allow. A range of whole entries is not split, so
 * this cannot fail when @dirty is NULL. */
static int dirty_switch(struct gmem *m, struct gmem_region *r, uint64_t *dirty)
{
	unsigned int prot = dirty != NULL ? STAGE2_R | STAGE2_X : STAGE2_RWX;
	uint64_t flags = spin_lock_irqsave(&m->lock);
	int err;

	__atomic_store_n(&r->dirty, dirty, __ATOMIC_RELEASE);
	plain_writes_set(m);
	err = stage2_protect(&m->s2, r->base, r->size, prot);
	spin_unlock_irqrestore(&m->lock, flags);
	return err;
}

int gmem_dirty_start(struct gmem *m)
{
	for (unsigned int i = 0; i < m->count; i++) {
		struct gmem_region *r = &m->region[i];
		uint64_t *dirty;
		int err = -RAY_ENOMEM;

		if (r->type != GMEM_RAM || r->dirty != NULL)
			continue;
		dirty = kcalloc(dirty_words(r), sizeof(*dirty), MEM_VM);
		if (dirty != NULL)
			err = dirty_switch(m, r, dirty);
		if (err != 0) {
			gmem_dirty_stop(m);
			return err;
		}
	}
	epoch_synchronize(); /* whoever writes from here on sees the log */
	return 0;
}

void gmem_dirty_stop(struct gmem *m)
{
	for (unsigned int i = 0; i < m->count; i++) {
		struct gmem_region *r = &m->region[i];
		uint64_t *dirty = r->dirty;
		int err;

		if (dirty == NULL)
			continue;
		err = dirty_switch(m, r, NULL);
		(void)err; /* see there */
		epoch_synchronize();
		kfree(dirty);
	}
}

int gmem_dirty_fault(struct gmem *m, gpa_t gpa)
{
	gpa_t page = GPA(ALIGN_DOWN(gpa.v, PAGE_SIZE));
	const struct gmem_region *r = gmem_region_of(m, page, PAGE_SIZE);
	int err = -RAY_EFAULT;
	uint64_t flags;

	if (r == NULL)
		return err;
	flags = spin_lock_irqsave(&m->lock);
	if (r->dirty != NULL) {
		gmem_region_dirty(r, page, 1);
		err = stage2_protect(&m->s2, page, PAGE_SIZE, STAGE2_RWX);
	}
	spin_unlock_irqrestore(&m->lock, flags);
	return err;
}

void gmem_dirty_mark_host(struct gmem *m, hpa_t hpa, uint64_t len)
{
	if (likely(m->plain_writes))
		return;
	for (unsigned int k = 0; k < m->count; k++) {
		const struct gmem_region *r = &m->region[k];

		for (uint64_t i = 0; r->dirty != NULL && i < chunk_count(r->size); i++) {
			uint64_t off = hpa.v - gmem_chunk_get(r, i).v;

			if (off < GMEM_CHUNK_SIZE) {
				gmem_region_dirty(r, GPA(r->base.v + i * GMEM_CHUNK_SIZE + off), len);
				return;
			}
		}
	}
}

static int page_protect(struct gmem *m, gpa_t page)
{
	uint64_t flags = spin_lock_irqsave(&m->lock);
	int err = stage2_protect(&m->s2, page, PAGE_SIZE, STAGE2_R | STAGE2_X);

	spin_unlock_irqrestore(&m->lock, flags);
	return err;
}

int gmem_dirty_fetch(struct gmem *m, void (*fn)(void *ctx, gpa_t page), void *ctx)
{
	for (unsigned int i = 0; i < m->count; i++) {
		struct gmem_region *r = &m->region[i];

		for (uint64_t w = 0; r->dirty != NULL && w < dirty_words(r); w++) {
			uint64_t bits = __atomic_exchange_n(&r->dirty[w], 0, __ATOMIC_RELAXED);

			while (bits != 0) {
				uint64_t page = w * 64 + (uint64_t)__builtin_ctzll(bits);
				gpa_t gpa = GPA(r->base.v + page * PAGE_SIZE);
				int err = page_protect(m, gpa);

				if (err != 0)
					return err;
				fn(ctx, gpa);
				bits &= bits - 1;
			}
		}
	}
	return 0;
}
