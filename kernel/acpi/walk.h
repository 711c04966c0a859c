/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the ACPI tables from the RSDP (ACPI 6.5 section 5.2): checks signatures, lengths and
 * checksums and lists what is sound.
 * Owns: the list. Must not know: how physical memory is mapped (a callback), what is in the
 * tables beyond the FADT's pointers. Pure; any context.
 */
#ifndef RAYOS_KERNEL_ACPI_WALK_H
#define RAYOS_KERNEL_ACPI_WALK_H

#include "kernel/lib/types.h"

#define ACPI_TABLES_MAX    96u
#define ACPI_TABLE_LEN_MAX (4u << 20)
#define ACPI_SDT_HDR_LEN   36u

/* The header of every table but the RSDP and the FACS (5.2.6). */
struct acpi_sdt {
	char signature[4];
	uint32_t length; /* bytes, header included */
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} __packed;
BUILD_ASSERT(sizeof(struct acpi_sdt) == ACPI_SDT_HDR_LEN, "ACPI 6.5 table 5.4");

struct acpi_mem {
	/**
	 * Make @len bytes at @hpa readable. NULL: that range cannot hold a table.
	 * Trust: hpa comes from firmware; the range does not wrap
	 */
	const void *(*map)(void *ctx, uint64_t hpa, size_t len);
	void (*unmap)(void *ctx, const void *va, size_t len);
	void *ctx;
};

struct acpi_table {
	const void *data; /* stays mapped */
	uint64_t hpa;
	uint32_t len;
	char sig[4];
};

struct acpi_table_list {
	struct acpi_table t[ACPI_TABLES_MAX]; /* root table first, then firmware order */
	uint32_t count;
	uint32_t rejected; /* pointers to what is no table, wrong checksums, too many */
	uint8_t rsdp_revision;
	char oem_id[6];
};

/**
 * List every sound table. Tables with a bad length or checksum are left out and counted.
 * @rsdp   address of the RSDP
 * Returns: 0 (at least the root table is listed),
 *          -RAY_ENODEV (no RSDP there), -RAY_EPROTO (neither XSDT nor RSDT is sound);
 *          on failure nothing stays mapped and the list is empty
 * Trust:   everything behind @rsdp is firmware's
 */
int __must_check acpi_walk(const struct acpi_mem *mem, uint64_t rsdp,
			   struct acpi_table_list *out);

/** The @instance-th table of that signature (0: first), or NULL. */
const struct acpi_table *acpi_walk_find(const struct acpi_table_list *list, const char sig[4],
					unsigned int instance);

/** Sum of the bytes modulo 256; 0 for a sound table. */
uint8_t acpi_checksum(const void *p, size_t len);

#endif
