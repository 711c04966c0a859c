/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the DMAR table: Intel's IOMMUs, which devices are behind each, and memory that firmware
 * lets devices reach whoever drives them (VT-d 4.1, chapter 8). Pure.
 */
#ifndef RAYOS_KERNEL_IOMMU_DMAR_H
#define RAYOS_KERNEL_IOMMU_DMAR_H

#include "kernel/lib/types.h"

#define DMAR_UNITS_MAX   16u
#define DMAR_REGIONS_MAX 32u
#define DMAR_SCOPES_MAX  128u /* of all together */
#define DMAR_PATH_MAX    8u

/* A device, or with `below` a bridge and all behind it, as a way down from a bus (8.3.1). */
struct dmar_scope {
	bool below;
	uint8_t bus;
	uint8_t hops;
	uint8_t path[DMAR_PATH_MAX]; /* device * 8 + function, of each hop */
};

/* Those of dmar_info.scope that belong to a unit or region. */
struct dmar_scopes {
	uint16_t first, count;
};

struct dmar_unit {
	uint64_t base; /* hpa of its registers */
	bool all;      /* every device that no other unit has */
	struct dmar_scopes scopes;
};

struct dmar_region {
	uint64_t first, last; /* hpa, whole pages */
	struct dmar_scopes scopes;
};

struct dmar_info {
	uint8_t address_bits;
	uint32_t ignored; /* structures beyond a limit or with nonsense in them */
	uint16_t unit_count, region_count, scope_count;
	struct dmar_unit unit[DMAR_UNITS_MAX];
	struct dmar_region region[DMAR_REGIONS_MAX];
	struct dmar_scope scope[DMAR_SCOPES_MAX];
};

/**
 * Read a table; structures of other PCI segments than 0 are left out.
 * @table, @len  all of it, its header included
 * Returns: 0; -RAY_EPROTO (a structure reaches outside the table or has no length; what was read
 *          until then stays in *out)
 * Trust:   the bytes are the firmware's
 */
int __must_check dmar_parse(const void *table, size_t len, struct dmar_info *out);

#endif
