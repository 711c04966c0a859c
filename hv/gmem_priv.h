/* SPDX-License-Identifier: Apache-2.0 */
/* What gmem.c and gmem_back.c share. */
#ifndef RAYOS_HV_GMEM_PRIV_H
#define RAYOS_HV_GMEM_PRIV_H

#include "hv/gmem.h"

/** The region that [gpa, gpa+len) is inside of, NULL for none. */
struct gmem_region *gmem_region_of(const struct gmem *m, gpa_t gpa, uint64_t len);

/** Mark pages of a region dirty if that is logged. Context: epoch section or m->lock. */
void gmem_region_dirty(const struct gmem_region *r, gpa_t gpa, uint64_t len);

/** A chunk's host memory as it is now, HPA(0) when absent. */
static inline hpa_t gmem_chunk_get(const struct gmem_region *r, uint64_t index)
{
	return HPA(__atomic_load_n(&r->chunks[index].v, __ATOMIC_RELAXED));
}

#endif
