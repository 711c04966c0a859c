/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables of an IOMMU: which pages a device reaches, each under its own physical address.
 * Owns: the tables. Must not know: what the entries of a particular IOMMU look like, nor its
 * caches. Locking: the caller's.
 *
 * A page is reachable as long as somebody has it mapped; how often is counted. Tables stay until
 * iopt_fini(), so that an IOMMU on its way through them never meets one that is used again.
 */
#ifndef RAYOS_KERNEL_IOMMU_IOPT_H
#define RAYOS_KERNEL_IOMMU_IOPT_H

#include "kernel/lib/types.h"

#define IOPT_READ  BIT(0)
#define IOPT_WRITE BIT(1)
#define IOPT_BITS  9u /* of an address, a level */

struct iopt_format {
	/** An entry that leads to a table. @level  the level of the table it stands in, from 1 on */
	uint64_t (*table)(uint64_t hpa, unsigned int level);
	/** An entry of level 1. @perms  IOPT_* */
	uint64_t (*leaf)(uint64_t hpa, uint64_t perms);
	/** What was written is to be seen by an IOMMU that does not look into caches; or NULL. */
	void (*sync)(const void *p, size_t len);
};

struct iopt_node;

struct iopt {
	const struct iopt_format *format;
	unsigned int levels; /* 3 or 4 */
	struct iopt_node *root;
};

/** Nothing is reachable. 0, -RAY_ENOMEM. */
int __must_check iopt_init(struct iopt *t, const struct iopt_format *f, unsigned int levels);
/** Pre: no IOMMU uses it. Harmless after a failed iopt_init(). */
void iopt_fini(struct iopt *t);
/** Of the root table. */
uint64_t iopt_root(const struct iopt *t);

/**
 * Make reachable all pages that [hpa, hpa+len) touches; all of them or none.
 * @perms  IOPT_*; a page that is mapped several times has them all until nobody has it
 * Returns: 0; -RAY_ERANGE (beyond the tables), -RAY_ENOSPC (one of them more than 65,535 times),
 *          -RAY_ENOMEM. Context: any but NMI
 */
int __must_check iopt_map(struct iopt *t, uint64_t hpa, uint64_t len, uint64_t perms);
/**
 * Undo an iopt_map() of the same range.
 * Returns: whether a page is not reachable any more: caches are to forget it
 */
bool iopt_unmap(struct iopt *t, uint64_t hpa, uint64_t len);
/** Is that byte reachable? */
bool iopt_reaches(const struct iopt *t, uint64_t hpa);

#endif
