/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory that is given back to the host and comes again on demand.
 */
#include "hv/gmem.h"

#include "hv/gmem_priv.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/panic.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

/* Given back with one flush of all TLBs. */
#define BATCH_MAX 64u
/* Requests under way end within milliseconds on a healthy disk. */
#define DRAIN_WAIT_NS 200000ull

struct leaving {
	hpa_t chunk;
	hpa_t table; /* the stage-2 table under it, HPA(0) for none */
};

struct batch {
	struct leaving out[BATCH_MAX];
	unsigned int count;
};

bool gmem_covers(const struct gmem *m, gpa_t gpa)
{
	return gmem_region_of(m, gpa, 1) != NULL;
}

bool gmem_is_ram(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *r = gmem_region_of(m, gpa, len);

	return r != NULL && r->type == GMEM_RAM;
}

/* Chunks of a range inside a region: the first and the one behind the last. */
static void range_chunks(const struct gmem_region *r, gpa_t gpa, uint64_t len, uint64_t *first,
			 uint64_t *end)
{
	uint64_t off = gpa.v - r->base.v;

	*first = off / GMEM_CHUNK_SIZE;
	*end = ALIGN_UP(off + len, GMEM_CHUNK_SIZE) / GMEM_CHUNK_SIZE;
}

static bool some_absent(const struct gmem_region *r, gpa_t gpa, uint64_t len)
{
	uint64_t i, end;

	for (range_chunks(r, gpa, len, &i, &end); i < end; i++) {
		if (gmem_chunk_get(r, i).v == 0)
			return true;
	}
	return false;
}

bool gmem_absent(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *r = gmem_region_of(m, gpa, len);

	return r != NULL && some_absent(r, gpa, len);
}

/* --- coming --- */

/* Put @chunk in the place at @i unless somebody else was faster. Returns: whether it is used. */
static int chunk_install(struct gmem *m, struct gmem_region *r, uint64_t i, hpa_t chunk, bool *used)
{
	gpa_t gpa = GPA(r->base.v + i * GMEM_CHUNK_SIZE);
	uint64_t flags = spin_lock_irqsave(&m->lock);
	int err = 0;

	*used = false;
	if (r->chunks[i].v == 0) {
		err = stage2_map(&m->s2, gpa, chunk, GMEM_CHUNK_SIZE,
				 r->dirty != NULL ? STAGE2_R | STAGE2_X : STAGE2_RWX);
		if (err == 0) {
			r->info[i].order = PAGE_ORDER_2M;
			__atomic_store_n(&r->chunks[i].v, chunk.v, __ATOMIC_RELEASE);
			m->bytes += GMEM_CHUNK_SIZE;
			*used = true;
		}
	}
	spin_unlock_irqrestore(&m->lock, flags);
	return err;
}

int gmem_populate(struct gmem *m, gpa_t gpa, uint64_t len)
{
	struct gmem_region *r = gmem_region_of(m, gpa, len);
	uint64_t i, end;

	if (r == NULL)
		return -RAY_EFAULT;
	for (range_chunks(r, gpa, len, &i, &end); i < end; i++) {
		hpa_t chunk;
		bool used;
		int err;

		if (gmem_chunk_get(r, i).v != 0)
			continue;
		/* Only whole chunks ever go. Zeroing takes its time: not under the lock. */
		err = page_alloc(PAGE_ORDER_2M, PAGE_F_ZERO, &chunk);
		if (err != 0)
			return err;
		err = chunk_install(m, r, i, chunk, &used);
		if (!used)
			page_free(chunk, PAGE_ORDER_2M);
		if (err != 0)
			return err;
	}
	return 0;
}

/* --- staying --- */

int gmem_pin(struct gmem *m, gpa_t gpa, uint64_t len)
{
	struct gmem_region *r = gmem_region_of(m, gpa, len);
	uint64_t first, end, flags;
	int err = 0;

	if (r == NULL)
		return -RAY_EFAULT;
	range_chunks(r, gpa, len, &first, &end);
	flags = spin_lock_irqsave(&m->lock);
	for (uint64_t i = first; i < end && err == 0; i++) {
		if (r->chunks[i].v == 0)
			err = -RAY_EAGAIN;
		else if (r->info[i].pins == UINT32_MAX)
			err = -RAY_ENOSPC;
	}
	for (uint64_t i = first; i < end && err == 0; i++)
		r->info[i].pins++;
	spin_unlock_irqrestore(&m->lock, flags);
	return err;
}

void gmem_unpin(struct gmem *m, gpa_t gpa, uint64_t len)
{
	struct gmem_region *r = gmem_region_of(m, gpa, len);
	uint64_t first, end, flags;

	ASSERT(r != NULL);
	range_chunks(r, gpa, len, &first, &end);
	flags = spin_lock_irqsave(&m->lock);
	for (uint64_t i = first; i < end; i++) {
		ASSERT(r->info[i].pins > 0);
		r->info[i].pins--;
	}
	spin_unlock_irqrestore(&m->lock, flags);
}

/* --- going --- */

/* Chunks of a 1 GiB page become chunks of their own. */
static void big_page_split(struct gmem_region *r, uint64_t i)
{
	uint64_t head = i;

	while (r->info[head].order == GMEM_INSIDE)
		head--;
	page_split(r->chunks[head], PAGE_ORDER_1G, PAGE_ORDER_2M);
	for (uint64_t k = 0; k < SIZE_1G / GMEM_CHUNK_SIZE; k++)
		r->info[head + k].order = PAGE_ORDER_2M;
}

static void chunk_take_locked(struct gmem *m, struct gmem_region *r, uint64_t i, struct batch *b)
{
	gpa_t gpa = GPA(r->base.v + i * GMEM_CHUNK_SIZE);
	struct leaving *l = &b->out[b->count];

	if (r->chunks[i].v == 0 || r->info[i].pins != 0 ||
	    stage2_unmap_2m(&m->s2, gpa, &l->table) != 0)
		return;
	if (r->info[i].order != PAGE_ORDER_2M)
		big_page_split(r, i);
	l->chunk = r->chunks[i];
	__atomic_store_n(&r->chunks[i].v, 0, __ATOMIC_SEQ_CST);
	gmem_region_dirty(r, gpa, GMEM_CHUNK_SIZE); /* it reads as zeros from now on */
	m->bytes -= GMEM_CHUNK_SIZE;
	b->count++;
}

/*
 * Wait for the holds that stand now. Those that begin from here on count for the other phase:
 * they saw what was taken out of sight to be gone, or began in an epoch section that has ended.
 */
static void holds_drain(struct gmem *m)
{
	unsigned int old;

	while (__atomic_exchange_n(&m->draining, 1, __ATOMIC_ACQUIRE))
		thread_sleep_until(time_now() + DRAIN_WAIT_NS);
	old = __atomic_fetch_add(&m->hold_phase, 1, __ATOMIC_SEQ_CST) & 1u;
	while (__atomic_load_n(&m->holds[old], __ATOMIC_ACQUIRE) != 0)
		thread_sleep_until(time_now() + DRAIN_WAIT_NS);
	__atomic_store_n(&m->draining, 0, __ATOMIC_RELEASE);
}

static uint64_t batch_free(struct vm *vm, struct batch *b)
{
	struct gmem *m = &vm->mem;
	uint64_t flags, bytes = b->count * GMEM_CHUNK_SIZE;

	if (b->count == 0)
		return 0;
	vcpu_mem_settle(vm);
	epoch_synchronize();
	holds_drain(m);
	for (unsigned int i = 0; i < b->count; i++) {
		page_free_dirty(b->out[i].chunk, PAGE_ORDER_2M);
		if (b->out[i].table.v == 0)
			continue;
		flags = spin_lock_irqsave(&m->lock);
		stage2_table_free(&m->s2, b->out[i].table);
		spin_unlock_irqrestore(&m->lock, flags);
	}
	b->count = 0;
	return bytes;
}

/* The whole chunks of [gpa, end) that lie in the region. */
static uint64_t region_release(struct vm *vm, struct gmem_region *r, uint64_t gpa, uint64_t end,
			       struct batch *b)
{
	uint64_t bytes = 0;

	if (gpa >= r->base.v + r->whole || end <= r->base.v)
		return 0;
	/* The region begins with a whole chunk and r->whole ends one. */
	gpa = ALIGN_UP(MAX(gpa, r->base.v), GMEM_CHUNK_SIZE);
	end = ALIGN_DOWN(MIN(end, r->base.v + r->whole), GMEM_CHUNK_SIZE);
	for (; gpa < end; gpa += GMEM_CHUNK_SIZE) {
		uint64_t flags = spin_lock_irqsave(&vm->mem.lock);

		chunk_take_locked(&vm->mem, r, (gpa - r->base.v) / GMEM_CHUNK_SIZE, b);
		spin_unlock_irqrestore(&vm->mem.lock, flags);
		if (b->count == BATCH_MAX)
			bytes += batch_free(vm, b);
	}
	return bytes;
}

uint64_t gmem_release(struct vm *vm, const struct gmem_range *ranges, unsigned int count)
{
	struct batch b = { .count = 0 };
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < count; i++) {
		uint64_t end;

		if (__builtin_add_overflow(ranges[i].gpa.v, ranges[i].len, &end))
			continue;
		for (unsigned int k = 0; k < vm->mem.count; k++) {
			struct gmem_region *r = &vm->mem.region[k];

			if (r->type == GMEM_RAM)
				bytes += region_release(vm, r, ranges[i].gpa.v, end, &b);
		}
	}
	return bytes + batch_free(vm, &b);
}
