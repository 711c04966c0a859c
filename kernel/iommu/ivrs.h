/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the IVRS table: AMD's IOMMUs, which devices are behind each, and memory that firmware
 * lets devices reach (AMD I/O Virtualization Technology Specification 3.10, chapter 5). Pure.
 */
#ifndef RAYOS_KERNEL_IOMMU_IVRS_H
#define RAYOS_KERNEL_IOMMU_IVRS_H

#include "kernel/lib/types.h"

#define IVRS_UNITS_MAX   16u
#define IVRS_RANGES_MAX  256u /* of all together */
#define IVRS_REGIONS_MAX 32u

struct ivrs_unit {
	uint64_t base;   /* hpa of its registers */
	uint16_t id;     /* of its own PCI function, as a requester */
	uint8_t type;    /* of the block that describes it: the highest we know counts */
};

/* Requesters of a unit. */
struct ivrs_range {
	uint16_t first, last;
	uint16_t unit;  /* its place in unit[] */
	bool aliased;   /* what they ask comes in the name of ... */
	uint16_t alias; /* ... this one */
};

struct ivrs_region {
	uint64_t first, last; /* hpa, whole pages */
	uint16_t id_first, id_last;
};

struct ivrs_info {
	uint32_t ignored;
	uint16_t unit_count, range_count, region_count;
	struct ivrs_unit unit[IVRS_UNITS_MAX];
	struct ivrs_range range[IVRS_RANGES_MAX];
	struct ivrs_region region[IVRS_REGIONS_MAX];
};

/**
 * Read a table; units of other PCI segments than 0 are left out.
 * Returns: 0; -RAY_EPROTO (a block or an entry reaches outside; what was read until then stays)
 * Trust:   the bytes are the firmware's
 */
int __must_check ivrs_parse(const void *table, size_t len, struct ivrs_info *out);
/** The unit that a requester is behind, and in whose name it asks. NULL: behind none. */
const struct ivrs_range *ivrs_range_of(const struct ivrs_info *info, uint16_t id);

#endif
