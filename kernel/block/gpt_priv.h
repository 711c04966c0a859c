/* SPDX-License-Identifier: Apache-2.0 */
/* GUID partition tables (UEFI 2.10, 5): what reading and repairing share. */
#ifndef RAYOS_KERNEL_BLOCK_GPT_PRIV_H
#define RAYOS_KERNEL_BLOCK_GPT_PRIV_H

#include "kernel/block/gpt.h"

/* The header (table 5.5), offsets. */
#define HDR_SIZE         12u
#define HDR_CRC          16u
#define HDR_MY_LBA       24u
#define HDR_ALTERNATE    32u
#define HDR_FIRST_USABLE 40u
#define HDR_LAST_USABLE  48u
#define HDR_DISK_GUID    56u
#define HDR_ENTRIES_LBA  72u
#define HDR_ENTRIES      80u
#define HDR_ENTRY_SIZE   84u
#define HDR_ENTRIES_CRC  88u
#define HDR_LEN          92u
/* An entry (table 5.6). */
#define ENT_TYPE    0u
#define ENT_ID      16u
#define ENT_FIRST   32u
#define ENT_LAST    40u
#define ENT_ATTR    48u
#define ENT_NAME    56u
#define ENT_LEN     128u
#define NAME_UNITS  36u
#define ENTRY_MAX   4096u
#define TABLE_MAX   MIB(1)
/* The protective MBR (5.2.3). */
#define MBR_ENTRY     446u
#define MBR_ENTRY_LEN 16u
#define MBR_OS_TYPE   4u
#define MBR_SIGNATURE 510u
#define MBR_GPT       0xeeu

struct gpt_header {
	uint64_t first_usable, last_usable, entries_lba;
	uint32_t entries, entry_size, entries_crc;
	struct gpt_guid disk;
};

/* One copy of the table: which, and where what is wrong is said. */
struct gpt_copy {
	const struct gpt_source *s;
	const char *name;
	uint64_t lba;
	uint8_t *buf;
	char *why;
	size_t why_len;
};

/** Read and check one copy. 0, -RAY_ENOEXEC with @c's why, errors of read(). */
int __must_check gpt_copy_read(const struct gpt_copy *c, struct gpt *out, struct gpt_header *h);
/** Whether the MBR says "here is a GPT" (5.2.3), and whether it says something else. */
int __must_check gpt_mbr_read(const struct gpt_source *s, uint8_t *buf, bool *protective,
			      bool *other);

/** gpt_repair.c: the protective MBR (5.2.3), what boots stays. Errors of read(), write(), flush(). */
int __must_check gpt_mbr_write(const struct gpt_source *s, uint8_t *buf);

#endif
