/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/gmem.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"

static hpa_t chunk_hpa(hpa_t chunk)
{
	return HPA(chunk.v & ~(PAGE_SIZE - 1));
}

static uint64_t chunk_count(uint64_t size)
{
	return ALIGN_UP(size, GMEM_CHUNK_SIZE) / GMEM_CHUNK_SIZE;
}

int gmem_init(struct gmem *m, const struct stage2_format *fmt, bool page_1g)
{
	memset(m, 0, sizeof(*m));
	return stage2_init(&m->s2, fmt, page_1g);
}

static void region_free(struct gmem_region *r)
{
	for (uint64_t i = 0; i < chunk_count(r->size); i++) {
		uint64_t c = r->chunks[i].v;

		if (c != 0 && (c & GMEM_CHUNK_ORDER_MASK) != GMEM_CHUNK_INSIDE)
			page_free_dirty(chunk_hpa(r->chunks[i]), (unsigned int)(c & GMEM_CHUNK_ORDER_MASK));
	}
	kfree(r->chunks);
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
		for (uint64_t k = 0; k < SIZE_1G / GMEM_CHUNK_SIZE; k++)
			r->chunks[i + k] = HPA((hpa.v + k * GMEM_CHUNK_SIZE) |
					       (k == 0 ? PAGE_ORDER_1G : GMEM_CHUNK_INSIDE));
		return (int)(SIZE_1G / GMEM_CHUNK_SIZE);
	}
	unsigned int order = order_for(MIN(left, GMEM_CHUNK_SIZE));
	int err = page_alloc(order, PAGE_F_ZERO, &hpa);
	if (err != 0)
		return err;
	r->chunks[i] = HPA(hpa.v | order);
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
		int err = stage2_map(&m->s2, GPA(r->base.v + offset), chunk_hpa(r->chunks[i]), len,
				     prot);
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

int gmem_add(struct gmem *m, gpa_t base, uint64_t size, enum gmem_type type)
{
	if (m->count == GMEM_REGION_MAX)
		return -RAY_ENOSPC;
	if (!region_fits(m, base, size))
		return -RAY_EINVAL;

	struct gmem_region *r = &m->region[m->count];
	*r = (struct gmem_region){ .base = base, .size = size, .type = type };
	r->chunks = kcalloc(chunk_count(size), sizeof(*r->chunks), MEM_VM);
	if (r->chunks == NULL)
		return -RAY_ENOMEM;
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
	return 0;
}

static const struct gmem_region *region_of(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < m->count; i++) {
		const struct gmem_region *r = &m->region[i];
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
			uint64_t base = chunk_hpa(r->chunks[off / GMEM_CHUNK_SIZE]).v;

			if (page.v >= base && page.v - base < MIN(GMEM_CHUNK_SIZE, r->size - off))
				return true;
		}
	}
	return false;
}

static char *chunk_ptr(const struct gmem_region *r, gpa_t gpa)
{
	uint64_t off = gpa.v - r->base.v;

	return (char *)hpa_to_va(chunk_hpa(r->chunks[off / GMEM_CHUNK_SIZE])) + off % GMEM_CHUNK_SIZE;
}

void *gmem_ptr(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *r = region_of(m, gpa, len);

	if (r == NULL || gpa.v % GMEM_CHUNK_SIZE + len > GMEM_CHUNK_SIZE)
		return NULL;
	return chunk_ptr(r, gpa);
}

int gmem_read(const struct gmem *m, gpa_t gpa, void *dst, uint64_t len)
{
	const struct gmem_region *r = region_of(m, gpa, len);
	char *out = dst;

	if (r == NULL)
		return -RAY_EFAULT;
	while (len > 0) {
		uint64_t n = MIN(len, GMEM_CHUNK_SIZE - gpa.v % GMEM_CHUNK_SIZE);

		memcpy(out, chunk_ptr(r, gpa), n);
		out += n;
		gpa.v += n;
		len -= n;
	}
	return 0;
}

static void mark_dirty(const struct gmem_region *r, gpa_t gpa, uint64_t len)
{
	uint64_t first = (gpa.v - r->base.v) / PAGE_SIZE;
	uint64_t last = (gpa.v - r->base.v + len - 1) / PAGE_SIZE;

	for (uint64_t p = first; p <= last; p++)
		__atomic_fetch_or(&r->dirty[p / 64], BIT(p % 64), __ATOMIC_RELAXED);
}

/* One writer for copies (src) and fills (src NULL). */
static int region_write(const struct gmem_region *r, gpa_t gpa, const void *src, uint8_t byte,
			uint64_t len)
{
	const char *in = src;

	if (r == NULL)
		return -RAY_EFAULT;
	if (len == 0)
		return 0;
	if (r->dirty != NULL)
		mark_dirty(r, gpa, len);
	while (len > 0) {
		uint64_t n = MIN(len, GMEM_CHUNK_SIZE - gpa.v % GMEM_CHUNK_SIZE);

		if (in != NULL) {
			memcpy(chunk_ptr(r, gpa), in, n);
			in += n;
		} else {
			memset(chunk_ptr(r, gpa), byte, n);
		}
		gpa.v += n;
		len -= n;
	}
	return 0;
}

int gmem_write(struct gmem *m, gpa_t gpa, const void *src, uint64_t len)
{
	const struct gmem_region *r = region_of(m, gpa, len);

	if (r == NULL || r->type != GMEM_RAM)
		return -RAY_EFAULT;
	return region_write(r, gpa, src, 0, len);
}

int gmem_load(struct gmem *m, gpa_t gpa, const void *src, uint64_t len)
{
	return region_write(region_of(m, gpa, len), gpa, src, 0, len);
}

int gmem_fill(struct gmem *m, gpa_t gpa, uint8_t byte, uint64_t len)
{
	return region_write(region_of(m, gpa, len), gpa, NULL, byte, len);
}

int gmem_dirty_start(struct gmem *m)
{
	for (unsigned int i = 0; i < m->count; i++) {
		struct gmem_region *r = &m->region[i];
		int err;

		if (r->type != GMEM_RAM || r->dirty != NULL)
			continue;
		r->dirty = kcalloc(ALIGN_UP(r->size / PAGE_SIZE, 64) / 64, sizeof(uint64_t), MEM_VM);
		err = r->dirty == NULL ?
			      -RAY_ENOMEM :
			      stage2_protect(&m->s2, r->base, r->size, STAGE2_R | STAGE2_X);
		if (err != 0) {
			gmem_dirty_stop(m);
			return err;
		}
	}
	return 0;
}

void gmem_dirty_stop(struct gmem *m)
{
	for (unsigned int i = 0; i < m->count; i++) {
		struct gmem_region *r = &m->region[i];

		if (r->dirty == NULL)
			continue;
		/* The range is made of whole entries: nothing is split, so this cannot fail. */
		int err = stage2_protect(&m->s2, r->base, r->size, STAGE2_RWX);

		(void)err;
		kfree(r->dirty);
		r->dirty = NULL;
	}
}

int gmem_dirty_fault(struct gmem *m, gpa_t gpa)
{
	gpa_t page = GPA(ALIGN_DOWN(gpa.v, PAGE_SIZE));
	const struct gmem_region *r = region_of(m, page, PAGE_SIZE);

	if (r == NULL || r->dirty == NULL)
		return -RAY_EFAULT;
	mark_dirty(r, page, 1);
	return stage2_protect(&m->s2, page, PAGE_SIZE, STAGE2_RWX);
}

int gmem_dirty_fetch(struct gmem *m, void (*fn)(void *ctx, gpa_t page), void *ctx)
{
	for (unsigned int i = 0; i < m->count; i++) {
		struct gmem_region *r = &m->region[i];

		for (uint64_t w = 0; r->dirty != NULL && w < ALIGN_UP(r->size / PAGE_SIZE, 64) / 64; w++) {
			uint64_t bits = __atomic_exchange_n(&r->dirty[w], 0, __ATOMIC_RELAXED);

			while (bits != 0) {
				uint64_t page = w * 64 + (uint64_t)__builtin_ctzll(bits);
				gpa_t gpa = GPA(r->base.v + page * PAGE_SIZE);
				int err = stage2_protect(&m->s2, gpa, PAGE_SIZE, STAGE2_R | STAGE2_X);

				if (err != 0)
					return err;
				fn(ctx, gpa);
				bits &= bits - 1;
			}
		}
	}
	return 0;
}
