/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: the list of RAM and ROM regions of a VM, backed in full at creation.
 * Owns: regions, their pages, access from the host side, dirty logging.
 * Must not know: what the guest does with it. Everything read through here is hostile: copy
 * once, check the copy.
 * Locking: regions change only while no vCPU runs and no device is active (build, teardown);
 * readers need no lock. Dirty-log and protection changes take vm->mem_lock.
 */
#ifndef RAYOS_HV_GMEM_H
#define RAYOS_HV_GMEM_H

#include "hv/stage2.h"
#include "kernel/lib/types.h"
#include "kernel/mm/page.h"

#define GMEM_REGION_MAX 8u

enum gmem_type { GMEM_RAM, GMEM_ROM };

/*
 * A chunk entry is the host address of its 2 MiB, with the order it was allocated with in the
 * low bits; the 511 entries behind the head of a 1 GiB page carry GMEM_CHUNK_INSIDE there.
 */
#define GMEM_CHUNK_SIZE       SIZE_2M
#define GMEM_CHUNK_ORDER_MASK 0x1full
#define GMEM_CHUNK_INSIDE     0x1full

struct gmem_region {
	gpa_t base;
	uint64_t size;        /* bytes, 4 KiB multiple */
	enum gmem_type type;
	hpa_t *chunks;        /* one per 2 MiB of the region, the last may be shorter */
	uint64_t *dirty;      /* bitmap, one bit per 4 KiB; NULL while not logging */
};

struct gmem {
	struct gmem_region region[GMEM_REGION_MAX];
	unsigned int count;
	uint64_t bytes;       /* host memory held for regions */
	struct stage2 s2;
};

int __must_check gmem_init(struct gmem *m, const struct stage2_format *fmt, bool page_1g);
/** Scrubs (page_free_dirty) and frees everything. Pre: no vCPU, no DMA. */
void gmem_fini(struct gmem *m);
/** Reserve and map a region of zeroed memory. 0, -RAY_ENOMEM (nothing left behind),
 *  -RAY_EINVAL (alignment, overlap, wrap), -RAY_ENOSPC (too many regions). */
int __must_check gmem_add(struct gmem *m, gpa_t base, uint64_t size, enum gmem_type type);

/**
 * Host address of guest RAM, for at most the bytes up to the end of its 2 MiB chunk.
 * Returns: NULL when [gpa, gpa+len) is not inside one chunk of one region.
 * The memory stays the guest's: it changes under the reader.
 * Context: any. Trust: gpa, len are guest-controlled.
 */
void *gmem_ptr(const struct gmem *m, gpa_t gpa, uint64_t len);

/** Whether a host page backs this guest. Context: any, NMI included. */
bool gmem_owns(const struct gmem *m, hpa_t page);

/**
 * Host address of the guest page @gpa lies in plus its offset, NULL outside RAM and ROM. What
 * gmem_ptr() does, short enough for the exit path. Context and Trust: as there.
 */
static inline void *gmem_page_ptr(const struct gmem *m, gpa_t gpa)
{
	const struct gmem_region *r = &m->region[0];
	uint64_t off = gpa.v - r->base.v; /* huge below the base */

	/* The first region is low memory; one that is empty has no size. */
	if (unlikely(off >= r->size))
		return gmem_ptr(m, gpa, 1);
	return (char *)hpa_to_va(HPA(r->chunks[off / GMEM_CHUNK_SIZE].v & ~(PAGE_SIZE - 1))) +
	       off % GMEM_CHUNK_SIZE;
}

/** Copy in / out; may cross chunks, not region ends. 0 or -RAY_EFAULT (nothing copied).
 *  Writes to ROM fail; gmem_write marks dirty pages. Context: any. Trust: gpa, len. */
int __must_check gmem_read(const struct gmem *m, gpa_t gpa, void *dst, uint64_t len);
int __must_check gmem_write(struct gmem *m, gpa_t gpa, const void *src, uint64_t len);
/** The loader's write: allowed on ROM too. */
int __must_check gmem_load(struct gmem *m, gpa_t gpa, const void *src, uint64_t len);
int __must_check gmem_fill(struct gmem *m, gpa_t gpa, uint8_t byte, uint64_t len);

/* Until memory can be given back all of it is there. */
static inline void *gmem_span(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	return gmem_ptr(m, gpa, len);
}
static inline void *gmem_ptr_write(struct gmem *m, gpa_t gpa, uint64_t len)
{
	return gmem_ptr(m, gpa, len);
}
static inline bool gmem_absent(const struct gmem *m, gpa_t gpa, uint64_t len)
{
	(void)m;
	(void)gpa;
	(void)len;
	return false;
}
static inline int gmem_populate(struct gmem *m, gpa_t gpa, uint64_t len)
{
	(void)m;
	(void)gpa;
	(void)len;
	return 0;
}

/* Dirty logging. Caller flushes TLBs of all vCPUs after start and fetch. */
int __must_check gmem_dirty_start(struct gmem *m);
void gmem_dirty_stop(struct gmem *m);
/** A write-protection exit: mark and make writable. 0, or -RAY_EFAULT when not ours. */
int gmem_dirty_fault(struct gmem *m, gpa_t gpa);
/** Pages dirtied since the last fetch: calls fn for each and protects again. */
int gmem_dirty_fetch(struct gmem *m, void (*fn)(void *ctx, gpa_t page), void *ctx);

#endif
