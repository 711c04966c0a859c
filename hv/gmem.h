/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the list of RAM and ROM regions of a VM, backed in full at creation, of which
 * RAM may be given back to the host 2 MiB at a time and comes again, zeroed, on demand.
 * Owns: regions, their pages, access from the host side, dirty logging.
 * Must not know: what the guest does with it. Everything read through here is hostile: copy
 * once, check the copy.
 * Locking: regions change only while no vCPU runs and no device is active (build, teardown);
 * readers need no lock. What backs a region changes at any time, under m->lock.
 *
 * A host pointer into guest memory is good
 *  - inside the epoch section (epoch_enter(), epoch_enter_irqoff()) in which it was obtained;
 *  - on the vCPU's own thread, outside calls of devices (gbus), until it sleeps, blocks or goes
 *    to its next entry: gmem_release() waits until each vCPU has passed its request bits;
 *  - while its memory is pinned (gmem_pin());
 *  - while a hold stands that was taken in the epoch section in which it was obtained
 *    (gmem_hold()): requests that are under way, with DMA.
 * Nobody keeps one for longer. A device is always in the first or the third case, also when it
 * is called by a vCPU's thread. gmem_read() and gmem_write() see to it themselves.
 *
 * Absent memory reads as zeros: gmem_read() gives them, and who finds no pointer may take them
 * for granted. To write to it, it must be populated first.
 */
#ifndef RAYOS_HV_GMEM_H
#define RAYOS_HV_GMEM_H

#include "hv/stage2.h"
#include "kernel/lib/types.h"
#include "kernel/mm/page.h"
#include "kernel/sched/spinlock.h"

struct vm;

#define GMEM_REGION_MAX 8u
#define GMEM_CHUNK_SIZE SIZE_2M

enum gmem_type { GMEM_RAM, GMEM_ROM };

/* What is known of a chunk beside its address. */
struct gmem_chunk {
	uint32_t pins;
	uint8_t order; /* it was allocated with; GMEM_INSIDE: not the first of a 1 GiB page */
};
#define GMEM_INSIDE 0xffu

struct gmem_region {
	gpa_t base;
	uint64_t size;            /* bytes, 4 KiB multiple */
	uint64_t whole;           /* bytes of it that are whole chunks */
	enum gmem_type type;
	hpa_t *chunks;            /* host memory of each 2 MiB, 0: absent; the last may be shorter */
	struct gmem_chunk *info;  /* one per chunk */
	uint64_t *dirty;          /* bitmap, one bit per 4 KiB; NULL while not logging */
};

struct gmem {
	struct gmem_region region[GMEM_REGION_MAX];
	unsigned int count;
	bool plain_writes;        /* region 0 is RAM and not dirty-logged */
	uint64_t bytes;           /* host memory held for regions */
	struct spinlock lock;     /* what backs regions, protection, s2 */
	uint64_t holds[2];        /* of either phase; atomic */
	uint32_t hold_phase;      /* odd or even: the one new holds belong to */
	uint32_t draining;        /* somebody waits for the holds of a phase */
	struct stage2 s2;
};

int __must_check gmem_init(struct gmem *m, const struct stage2_format *fmt, bool page_1g);
/** Scrubs (page_free_dirty) and frees everything. Pre: no vCPU, no DMA, no pins, no holds. */
void gmem_fini(struct gmem *m);
/** Reserve and map a region of zeroed memory. 0, -RAY_ENOMEM (nothing left behind),
 *  -RAY_EINVAL (alignment, overlap, wrap), -RAY_ENOSPC (too many regions). */
int __must_check gmem_add(struct gmem *m, gpa_t base, uint64_t size, enum gmem_type type);

/* --- host pointers: the rule stands at the top --- */

/**
 * Host address of guest memory, for at most the bytes up to the end of its 2 MiB chunk.
 * Returns: NULL when [gpa, gpa+len) is not inside one chunk of one region, or absent.
 * The memory stays the guest's: it changes under the reader.
 * Context: any. Trust: gpa, len are guest-controlled.
 */
void *gmem_ptr(const struct gmem *m, gpa_t gpa, uint64_t len);

/** What gmem_ptr_write() leaves for the few cases. */
void *gmem_ptr_write_slow(struct gmem *m, gpa_t gpa, uint64_t len);

/** Whether a host page backs this guest. Context: any, NMI included. */
bool gmem_owns(const struct gmem *m, hpa_t page);

/* The whole chunks of the first region, which is low memory; an empty one has no size. */
static inline bool gmem_low(const struct gmem *m, gpa_t gpa, uint64_t len, void **out)
{
	const struct gmem_region *r = &m->region[0];
	uint64_t off = gpa.v - r->base.v; /* huge below the base */
	uint64_t chunk;

	if (unlikely(off >= r->whole) || unlikely(len > GMEM_CHUNK_SIZE - off % GMEM_CHUNK_SIZE))
		return false;
	chunk = __atomic_load_n(&r->chunks[off / GMEM_CHUNK_SIZE].v, __ATOMIC_RELAXED);
	*out = likely(chunk != 0) ? (char *)hpa_to_va(HPA(chunk)) + off % GMEM_CHUNK_SIZE : NULL;
	return true;
}

/** gmem_ptr(), short enough for the exit path: about 15 instructions in low memory. */
static inline void *gmem_span(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	void *p;

	return likely(gmem_low(m, gpa, len, &p)) ? p : gmem_ptr(m, gpa, len);
}

/** Host address of the guest page @gpa lies in plus its offset: gmem_ptr() of one byte. */
static inline void *gmem_page_ptr(const struct gmem *m, gpa_t gpa)
{
	return gmem_span(m, gpa, 1);
}

/**
 * gmem_ptr() for who writes: NULL also for ROM, and the pages count as dirty when that is
 * logged. Who goes on writing after the epoch section (pinned memory) calls gmem_dirty_mark()
 * when done.
 */
static inline void *gmem_ptr_write(struct gmem *m, gpa_t gpa, uint64_t len)
{
	void *p;

	if (likely(m->plain_writes) && likely(gmem_low(m, gpa, len, &p)))
		return p;
	return gmem_ptr_write_slow(m, gpa, len);
}

/*
 * Where a range lies that is looked at often: its chunk is found once and asked each time. Good
 * for as long as regions do not change, that is between a device's start and stop.
 */
struct gmem_place {
	const hpa_t *chunk; /* NULL: not known */
	uint64_t off;
};

/** The place of [gpa, gpa+len), if that is in one whole chunk of low memory. Context: any.
 *  Trust: gpa, len are guest-controlled. */
static inline struct gmem_place gmem_place_find(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	const struct gmem_region *r = &m->region[0];
	uint64_t off = gpa.v - r->base.v; /* huge below the base */
	struct gmem_place p = {.chunk = NULL, .off = off % GMEM_CHUNK_SIZE};

	if (off < r->whole && len <= GMEM_CHUNK_SIZE - p.off)
		p.chunk = &r->chunks[off / GMEM_CHUNK_SIZE];
	return p;
}

/** gmem_span() of a place in half the instructions. Returns: false: ask that. */
static inline bool gmem_place_get(const struct gmem_place *p, char **out)
{
	uint64_t chunk = likely(p->chunk) ? __atomic_load_n(&p->chunk->v, __ATOMIC_RELAXED) : 0;

	/* As a number: what there may be of an absent chunk is no pointer to count from. */
	*out = (char *)((uintptr_t)hpa_to_va(HPA(chunk)) + p->off);
	return likely(chunk != 0);
}

/** The same for who writes. Returns: false: ask gmem_ptr_write(). */
static inline bool gmem_place_get_write(const struct gmem *m, const struct gmem_place *p,
					char **out)
{
	return likely(m->plain_writes) && gmem_place_get(p, out);
}

/* --- copies --- */

/** Copy in / out; may cross chunks, not region ends. 0 or -RAY_EFAULT (nothing copied).
 *  Writes to ROM fail; gmem_write marks dirty pages, and gives -RAY_EAGAIN where memory is
 *  absent (nothing copied): gmem_populate(), then again. Context: any but NMI.
 *  Trust: gpa, len. */
int __must_check gmem_read(const struct gmem *m, gpa_t gpa, void *dst, uint64_t len);
int __must_check gmem_write(struct gmem *m, gpa_t gpa, const void *src, uint64_t len);
/** The loader's write: allowed on ROM too. */
int __must_check gmem_load(struct gmem *m, gpa_t gpa, const void *src, uint64_t len);
int __must_check gmem_fill(struct gmem *m, gpa_t gpa, uint8_t byte, uint64_t len);

/* --- what is given back and comes again (hv/gmem_back.c) --- */

/** Whether @gpa is in a region / [gpa, gpa+len) inside one of RAM, absent or not. Context: any.
 *  Trust: gpa, len. */
bool gmem_covers(const struct gmem *m, gpa_t gpa);
bool gmem_is_ram(const struct gmem *m, gpa_t gpa, uint64_t len);

/** Whether [gpa, gpa+len) is inside one region and some of it is absent now. Who was refused a
 *  pointer before asks gmem_is_ram(): it may have come since. Context: any. Trust: gpa, len. */
bool gmem_absent(const struct gmem *m, gpa_t gpa, uint64_t len);

/**
 * Back what is absent of [gpa, gpa+len) with zeroed memory. Several may do so at once.
 * vcpu_populate() and vm_populate() wait for memory when the host has none.
 * Returns: 0 (also when nothing was absent), -RAY_EFAULT (not inside one region), -RAY_ENOMEM
 * (what came so far stays). Context: thread, IRQs on, no spinlock. Trust: gpa, len.
 */
int __must_check gmem_populate(struct gmem *m, gpa_t gpa, uint64_t len);

/**
 * Keep [gpa, gpa+len) where it is: until gmem_unpin() of the same range pointers to it stay
 * good. Pins count.
 * Returns: 0, -RAY_EFAULT (not inside one region), -RAY_EAGAIN (partly absent; nothing
 * pinned), -RAY_ENOSPC (2^32 pins). Context: any but NMI. Trust: gpa, len.
 */
int __must_check gmem_pin(struct gmem *m, gpa_t gpa, uint64_t len);
void gmem_unpin(struct gmem *m, gpa_t gpa, uint64_t len);

/**
 * Keep where it is whatever was reached in this epoch section, however much: until
 * gmem_let_go() pointers obtained in it stay good. gmem_release() waits for it, so it ends
 * without anything that a thread in gmem_release() would have to do first.
 * Context: epoch section. Returns: what gmem_let_go() wants.
 */
static inline unsigned int gmem_hold(struct gmem *m)
{
	unsigned int phase = __atomic_load_n(&m->hold_phase, __ATOMIC_RELAXED) & 1u;

	__atomic_fetch_add(&m->holds[phase], 1, __ATOMIC_RELAXED);
	return phase;
}
/** Context: any but NMI. */
static inline void gmem_let_go(struct gmem *m, unsigned int phase)
{
	__atomic_fetch_sub(&m->holds[phase], 1, __ATOMIC_RELEASE);
}

struct gmem_range {
	gpa_t gpa;
	uint64_t len;
};
/**
 * Give the whole chunks inside @ranges back to the host. Pinned chunks and ROM stay, and what
 * is outside of regions is passed over. On return no CPU translates to what was given back and
 * no pointer to it is in use; it is scrubbed before anybody gets it. One flush of the VM's TLBs
 * for up to 64 chunks.
 * Context: thread, outside an epoch section, no lock that a vCPU's thread or the reader of an
 *          epoch section may wait for; not a vCPU's thread outside a device's call. A device's
 *          call on a vCPU's thread may wait for it.
 * Returns: bytes given back. Trust: ranges are guest-controlled.
 */
uint64_t gmem_release(struct vm *vm, const struct gmem_range *ranges, unsigned int count);

/* --- dirty logging; context: thread, no lock --- */

/** The caller flushes the TLBs of all vCPUs after start and fetch, and calls
 *  epoch_synchronize() between fetch and the reading of pages. */
int __must_check gmem_dirty_start(struct gmem *m);
void gmem_dirty_stop(struct gmem *m);
/** A write-protection exit: mark and make writable. 0, or -RAY_EFAULT when not ours. */
int gmem_dirty_fault(struct gmem *m, gpa_t gpa);
/** Pages dirtied since the last fetch: calls fn for each and protects again. */
int gmem_dirty_fetch(struct gmem *m, void (*fn)(void *ctx, gpa_t page), void *ctx);
/**
 * The same for who kept host addresses (gmem_hold()) and no guest ones. Costs nothing while
 * nothing is logged, else a look at the chunks of all regions.
 */
void gmem_dirty_mark_host(struct gmem *m, hpa_t hpa, uint64_t len);
/** [gpa, gpa+len) has been written through a pointer. Context: any but NMI. Trust: gpa, len. */
void gmem_dirty_mark(struct gmem *m, gpa_t gpa, uint64_t len);

#endif
