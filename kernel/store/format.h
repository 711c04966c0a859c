/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The volume store on disk, format 1 (docs/store.md). Everything is little-endian, in blocks of
 * 4 KiB; a block's number counts from the start of the partition.
 *
 *   0                   superblock, slot 0        (slot 1 is the partition's last block)
 *   1 ..                log, half 0, then half 1: log_blocks each
 *   then                both slots of group 0's bitmap
 *   g * 32768, + 1      both slots of group g's bitmap, g > 0
 *   all else            nodes of the tree, and data
 *
 * One tree holds everything but the log: records of a 64-bit key and a 64-bit value, sorted. A
 * node is never written where it is: a checkpoint writes those that changed elsewhere, then the
 * superblock that names the root. What happened since the last checkpoint is in the log.
 * Trust: all of it is checked when it is read: a disk may hold anything.
 */
#ifndef RAYOS_KERNEL_STORE_FORMAT_H
#define RAYOS_KERNEL_STORE_FORMAT_H

#include "kernel/lib/types.h"

#define STORE_BLOCK        4096u
#define STORE_BLOCK_SHIFT  12u
#define STORE_VERSION      1u
#define STORE_MAGIC        0x45524f5453594152ull /* "RAYSTORE" */
#define STORE_LOG_MAGIC    0x474f4c52u           /* "RLOG" */
#define STORE_GROUP_SHIFT  15u
#define STORE_GROUP_BLOCKS (1u << STORE_GROUP_SHIFT) /* as many as one block has bits */
#define STORE_BLOCKS_MIN   8192u                 /* 32 MiB */
#define STORE_BLOCKS_MAX   BIT(38)               /* 1 PiB */
#define STORE_VOLUME_MAX   BIT(52)               /* bytes: 2^40 blocks */
#define STORE_NAME_MAX     63u                   /* bytes of a name */

/* One sector, so that no cut can tear it. */
struct store_super {
	uint64_t magic;
	uint32_t version;
	uint32_t sum; /* CRC-32 of the sector with 0 here */
	uint8_t uuid[16];
	uint64_t gen; /* of the checkpoint; slot gen & 1, log half gen & 1 */
	uint64_t blocks;
	uint64_t root, root_gen;
	uint32_t height; /* nodes from the root to a leaf, both counted */
	uint32_t log_blocks;
	uint32_t next_object; /* numbers are used once */
	uint32_t reserved0;
	uint64_t nodes;  /* of the tree */
	uint64_t free;   /* blocks */
	uint8_t reserved[416];
} __packed;
BUILD_ASSERT(sizeof(struct store_super) == 512, "superblock");

struct store_rec {
	uint64_t key, val;
};

#define STORE_NODE_RECS 254u

struct store_node {
	uint32_t sum; /* CRC-32 of the block with 0 here */
	uint16_t level; /* 0: leaf */
	uint16_t count;
	uint64_t store; /* first half of the store's uuid */
	uint64_t block; /* where it is: a write that went elsewhere is found */
	uint64_t gen;   /* when it was written: a write that was lost is found */
	struct store_rec rec[STORE_NODE_RECS];
};
BUILD_ASSERT(sizeof(struct store_node) == STORE_BLOCK, "node");

/* A value in an inner node: which block its child is, and 24 bits of the generation it has. */
#define STORE_CHILD(block, gen)  ((block) | (gen) << 40)
#define STORE_CHILD_BLOCK(val)   ((val) & (BIT(40) - 1))
#define STORE_CHILD_GEN(val)     ((val) >> 40)

/* Keys. The type is in the topmost bits, so that records of one kind stand together. */
enum store_type {
	STORE_EXTENT = 1, /* layer:20 block:40 -> physical block:40 blocks:16 flags:8 */
	STORE_SUMS = 2,   /* physical block / 2 -> CRC-32 of it, of the next one << 32 */
	STORE_OBJECT = 3, /* object << 8 | part -> 8 bytes of struct store_object */
	STORE_LAYER = 4,  /* layer << 1 | part -> parent, flags; blocks of its own */
	STORE_GROUP = 5,  /* group -> free:16 slot:1 sum:32 */
};

#define STORE_KEY(type, rest)   ((uint64_t)(type) << 60 | (rest))
#define STORE_KEY_TYPE(key)     ((key) >> 60)
#define STORE_KEY_REST(key)     ((key) & (BIT(60) - 1))
#define STORE_KEY_EXTENT(layer, block) STORE_KEY(STORE_EXTENT, (uint64_t)(layer) << 40 | (block))
#define STORE_EXTENT_LAYER(key) ((uint32_t)(STORE_KEY_REST(key) >> 40))
#define STORE_EXTENT_BLOCK(key) ((key) & (BIT(40) - 1))
#define STORE_LAYERS_MAX        (1u << 20)

#define STORE_EXTENT_MAX        65535u /* blocks */
#define STORE_EXTENT_ZERO       BIT(0) /* reads as zeros; no physical block */
#define STORE_EXTENT_SUMS       BIT(1) /* its blocks have checksums */
#define STORE_EXTENT_FLAGS      (STORE_EXTENT_ZERO | STORE_EXTENT_SUMS)
#define STORE_VAL_EXTENT(phys, n, flags) ((phys) | (uint64_t)(n) << 40 | (uint64_t)(flags) << 56)
#define STORE_VAL_PHYS(val)     ((val) & (BIT(40) - 1))
#define STORE_VAL_COUNT(val)    ((uint32_t)((val) >> 40 & 0xffff))
#define STORE_VAL_FLAGS(val)    ((uint32_t)((val) >> 56))

#define STORE_LAYER_NONE        0u /* layer numbers begin at 1 */

#define STORE_VAL_GROUP(free, slot, sum) ((uint64_t)(free) | (uint64_t)(slot) << 16 | \
					  (uint64_t)(sum) << 32)

enum store_kind {
	STORE_VOLUME = 1,
	STORE_SNAPSHOT = 2,
	STORE_FILE = 3,
};

#define STORE_F_SUMS  BIT(0) /* of a volume: its data has checksums */
#define STORE_F_PAUSE BIT(1) /* of a volume: no space pauses the VM instead of failing requests */
#define STORE_F_KNOWN (STORE_F_SUMS | STORE_F_PAUSE)

struct store_object {
	uint8_t kind; /* enum store_kind */
	uint8_t name_len;
	uint16_t flags; /* STORE_F_* */
	uint32_t layer;
	uint64_t size;    /* bytes */
	uint64_t created; /* seconds since 1970, UTC */
	uint32_t origin;  /* of a snapshot: its volume */
	uint32_t reserved;
	char name[STORE_NAME_MAX + 1];
	uint64_t reserved1[4];
} __packed;
#define STORE_OBJECT_PARTS 16u
BUILD_ASSERT(sizeof(struct store_object) == STORE_OBJECT_PARTS * 8, "object");

/*
 * A block of the log. A group of blocks is what one commit wrote; it counts when its last block,
 * which has STORE_LOG_COMMIT, and all before it are whole. Records do not go over a block's end.
 */
struct store_log_block {
	uint32_t sum; /* CRC-32 of the block with 0 here */
	uint32_t magic;
	uint64_t store;
	uint64_t gen; /* of the checkpoint it goes on from */
	uint32_t at;  /* which block of the half */
	uint16_t len; /* bytes of records */
	uint16_t flags; /* STORE_LOG_COMMIT, and the number of the group in the half << 1 */
	uint8_t data[STORE_BLOCK - 32];
};
BUILD_ASSERT(sizeof(struct store_log_block) == STORE_BLOCK, "log block");
#define STORE_LOG_COMMIT BIT(0)

#endif
