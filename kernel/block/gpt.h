/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GUID partition tables (UEFI 2.10, 5.3): read and checked. Pure; the caller reads the blocks.
 * Owns: the format. Must not know: devices.
 * Trust: everything on the disk; what is found is bounded and inside the disk, and no two
 * partitions overlap.
 */
#ifndef RAYOS_KERNEL_BLOCK_GPT_H
#define RAYOS_KERNEL_BLOCK_GPT_H

#include "kernel/lib/types.h"

#define GPT_PARTS_MAX 128u
#define GPT_NAME_LEN  112u /* 36 UTF-16 units as UTF-8, and the end */
#define GPT_TEXT_LEN  37u  /* a GUID as text, and the end */

struct gpt_guid {
	uint8_t b[16]; /* as on disk: the first three fields little-endian */
};

struct gpt_part {
	unsigned int number; /* from 1: its place in the table */
	struct gpt_guid type, id;
	uint64_t first, blocks; /* in logical blocks */
	uint64_t attributes;
	char name[GPT_NAME_LEN];
};

struct gpt {
	struct gpt_guid disk;
	bool backup;       /* the primary table is damaged, this is from the backup */
	char damage[96];   /* what is wrong with the other copy or the protective MBR, "" nothing */
	unsigned int count;
	struct gpt_part part[GPT_PARTS_MAX];
};

struct gpt_source {
	void *ctx;
	uint32_t logical; /* bytes of a block */
	uint64_t blocks;
	/** Read whole blocks. 0 or an error, which gpt_read() gives back. */
	int (*read)(void *ctx, uint64_t block, void *buf, uint32_t count);
	/** The same for gpt_repair() alone: write, and keep what was written. */
	int (*write)(void *ctx, uint64_t block, const void *buf, uint32_t count);
	int (*flush)(void *ctx);
};

/**
 * @buf    scratch, GPT_SCRATCH bytes
 * @why    what is wrong, when it is not 0
 * Returns: 0; -RAY_ENOENT (there is no such table, perhaps another kind), -RAY_ENOEXEC (it is
 *          damaged, both copies), errors of read()
 */
#define GPT_SCRATCH KIB(8)
int __must_check gpt_read(const struct gpt_source *s, struct gpt *out, void *buf, char *why,
			  size_t why_len);

/**
 * Make the copy that is damaged anew from the one that is not, or the protective MBR.
 * @scratch, @buf  as gpt_read() has them; their contents are of no use afterwards
 * @what   what was done, "nothing is damaged", or why nothing could be
 * Returns: 0; -RAY_ENOENT, -RAY_ENOEXEC (no copy is whole), -RAY_EINVAL (both are, and differ),
 *          -RAY_ENOSPC (a partition lies where it belongs), errors of read(), write(), flush()
 */
int __must_check gpt_repair(const struct gpt_source *s, struct gpt *scratch, void *buf, char *what,
			    size_t what_len);

/**
 * Another partition in the first gap that it fits into, at a multiple of 1 MiB. Pure.
 * @bytes  0: all of the first gap
 * @p      type, id, attributes and name; its number and place are filled in
 * Returns: 0, -RAY_ENOSPC
 */
int __must_check gpt_add(const struct gpt_source *s, struct gpt *g, uint64_t bytes,
			 struct gpt_part *p);
/** 0, -RAY_ENOENT (no such number). Pure. */
int __must_check gpt_remove(struct gpt *g, unsigned int number);
/**
 * Write both copies and the protective MBR, the backup first: cut anywhere, one of them is whole.
 * Returns: 0; -RAY_ENOSPC (too small a disk, a partition outside what may be used), errors of
 *          read(), write(), flush()
 */
int __must_check gpt_write(const struct gpt_source *s, const struct gpt *g, void *buf);

/** "01234567-89ab-cdef-0123-456789abcdef"; @out GPT_TEXT_LEN bytes. */
void gpt_guid_text(const struct gpt_guid *g, char *out);
/** A word for types that are known, "" for others. */
const char *gpt_type_name(const struct gpt_guid *type);
/** The type that has that word. */
bool gpt_type_find(const char *name, struct gpt_guid *out);

/** Partitions of this type hold a store of volumes (docs/storage.md). */
extern const struct gpt_guid gpt_type_rayos;

#endif
