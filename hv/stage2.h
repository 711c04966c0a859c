/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Second-level address translation: one walker for EPT and NPT.
 * Owns: the table pages of one VM and their accounting. Must not know: regions, devices,
 * TLBs (callers flush through the backend after removing or tightening a mapping).
 * Locking: the caller holds gmem's lock; hardware walks concurrently, so entries are written
 * with single 64-bit stores.
 */
#ifndef RAYOS_HV_STAGE2_H
#define RAYOS_HV_STAGE2_H

#include "kernel/lib/types.h"

#define STAGE2_R (1u << 0)
#define STAGE2_W (1u << 1)
#define STAGE2_X (1u << 2)
#define STAGE2_RWX (STAGE2_R | STAGE2_W | STAGE2_X)

/* How a vendor encodes an entry. level: 0 = 4 KiB leaf, 1 = 2 MiB, 2 = 1 GiB, 3 = PML4. */
struct stage2_format {
	const char *name;
	uint64_t (*table)(hpa_t next);                                     /* points to a table */
	uint64_t (*leaf)(hpa_t page, unsigned int prot, unsigned int level); /* WB memory */
	bool (*present)(uint64_t entry);
	bool (*is_leaf)(uint64_t entry, unsigned int level);
	hpa_t (*addr)(uint64_t entry);
	unsigned int (*prot)(uint64_t entry);
	bool (*dirty)(uint64_t entry);            /* hardware dirty bit, false where none */
};

struct stage2 {
	const struct stage2_format *fmt;
	hpa_t root;
	uint64_t table_pages;
	bool page_1g;
};

int __must_check stage2_init(struct stage2 *s2, const struct stage2_format *fmt, bool page_1g);
/** Frees the table pages; mapped memory is the caller's. */
void stage2_fini(struct stage2 *s2);

/**
 * Map [gpa, gpa+len) to [hpa, hpa+len) with the largest pages alignment allows. Existing
 * mappings in the range are replaced.
 * Pre: all page aligned, len > 0, no wrap. Returns: 0 or -RAY_ENOMEM (nothing half-mapped
 * is removed: call stage2_unmap on the range), -RAY_EINVAL.
 */
int __must_check stage2_map(struct stage2 *s2, gpa_t gpa, hpa_t hpa, uint64_t len, unsigned int prot);
/** Remove; large pages cut by the range are split first. */
int __must_check stage2_unmap(struct stage2 *s2, gpa_t gpa, uint64_t len);
/**
 * Remove one 2 MiB of a running VM's, mapped in whole or in part.
 * @table  out: the table page that mapped it, HPA(0) for none. CPUs may still walk through it:
 *         stage2_table_free() after their TLBs have been flushed.
 * Pre: gpa 2 MiB aligned. Returns: 0, -RAY_ENOMEM (a 1 GiB page cannot be split; nothing has
 * changed).
 */
int __must_check stage2_unmap_2m(struct stage2 *s2, gpa_t gpa, hpa_t *table);
void stage2_table_free(struct stage2 *s2, hpa_t table);
/** Change permissions of what is mapped in the range, splitting when needed. */
int __must_check stage2_protect(struct stage2 *s2, gpa_t gpa, uint64_t len, unsigned int prot);
/**
 * Look up one address. Returns: 0 with *hpa (byte exact), *prot and *page_size (any may be
 * NULL), or -RAY_EFAULT when not mapped.
 */
int stage2_lookup(const struct stage2 *s2, gpa_t gpa, hpa_t *hpa, unsigned int *prot,
		  uint64_t *page_size);

#endif
