/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the firmware says the machine is (SMBIOS 3.6, DSP0134): for people and for logs, never
 * for decisions.
 * Owns: one struct smbios_info, written once at init. The parser is pure.
 */
#ifndef RAYOS_KERNEL_SMBIOS_SMBIOS_H
#define RAYOS_KERNEL_SMBIOS_SMBIOS_H

#include "kernel/lib/types.h"

struct boot_info;

#define SMBIOS_TEXT_MAX  65u
#define SMBIOS_TABLE_MAX (1u << 20)

/* Texts are printable ASCII, "" where the firmware gives none. */
struct smbios_info {
	uint8_t major, minor; /* of the specification; 0.0: no SMBIOS */
	char bios_vendor[SMBIOS_TEXT_MAX];
	char bios_version[SMBIOS_TEXT_MAX];
	char bios_date[SMBIOS_TEXT_MAX];
	char vendor[SMBIOS_TEXT_MAX];
	char product[SMBIOS_TEXT_MAX];
	char version[SMBIOS_TEXT_MAX];
	char serial[SMBIOS_TEXT_MAX];
};

struct smbios_entry {
	uint64_t table;     /* host physical address */
	uint32_t table_len; /* bytes; for 3.x the largest it can be */
	uint32_t count;     /* structures at most */
	uint8_t major, minor;
};

#define SMBIOS_ENTRY_MAX 0x20u /* bytes of an entry point worth mapping */

/**
 * Read an entry point, 3.x ("_SM3_") or 2.x ("_SM_").
 * @p, @len  its bytes; may be fewer than SMBIOS_ENTRY_MAX
 * Returns:  0, -RAY_EPROTO (no entry point or damaged). Context: any
 * Trust:    p is firmware's
 */
int __must_check smbios_entry_parse(const void *p, size_t len, struct smbios_entry *out);

/**
 * Read the structures; a damaged one ends the walk, what came before counts.
 * @out    every field but major and minor is written
 * Trust:  p is firmware's
 */
void smbios_table_parse(const void *p, size_t len, uint32_t count, struct smbios_info *out);

/** Find and read SMBIOS; without it smbios_info() is empty. Context: init, after vmap() works. */
void smbios_init(const struct boot_info *bi);

const struct smbios_info *smbios_info(void);

#endif
