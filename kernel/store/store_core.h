/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The volume store: named volumes, snapshots and small files on a partition, as a data structure
 * on whatever reads and writes blocks (docs/store.md).
 * Owns: the format on disk, space, atomicity, order. Must not know: block devices, threads,
 * guests, the shell. It runs as it is on a build machine, where tests cut its power.
 *
 * Context, where nothing else is said: thread, may sleep; one call at a time for a store (the
 * caller's mutex). store_find(), store_claim() and store_unclaim() may be called beside them, from
 * anywhere, with IRQs off.
 */
#ifndef RAYOS_KERNEL_STORE_STORE_CORE_H
#define RAYOS_KERNEL_STORE_STORE_CORE_H

#include "kernel/lib/list.h"
#include "kernel/store/format.h"

#define STORE_WHY_LEN   128u
#define STORE_IO_BLOCKS 256u /* of one store_map() */

struct store;
struct layer;
struct object;

/* The partition. All numbers are of blocks of STORE_BLOCK bytes; 0 or -RAY_E*. */
struct store_port {
	void *ctx;
	uint64_t blocks;
	int (*read)(void *ctx, uint64_t block, void *buf, uint32_t count);
	int (*write)(void *ctx, uint64_t block, const void *buf, uint32_t count);
	/** All writes that have returned are kept. */
	int (*flush)(void *ctx);
	/** Return when everything that was begun on blocks of data before is over. */
	void (*drain)(void *ctx);
	uint64_t (*seconds)(void *ctx); /* since 1970, UTC */
};

/* Blocks that so many bytes take. */
static inline uint64_t store_blocks(uint64_t bytes)
{
	return (bytes + STORE_BLOCK - 1) >> STORE_BLOCK_SHIFT;
}

struct store_stats {
	uint64_t meta_blocks;  /* written: nodes, bitmaps, superblocks */
	uint64_t log_blocks;   /* written */
	uint64_t data_blocks;  /* mapped: written by somebody */
	uint64_t checkpoints, commits, replayed, reclaimed, moved;
};

struct store_space {
	uint64_t blocks; /* of the partition */
	uint64_t free;   /* can be written to */
	uint64_t freed;  /* will be free after the next checkpoint */
	uint64_t reserve; /* of free, kept for the tree: volumes do not get it */
	uint64_t meta;   /* taken by superblocks, log, bitmaps, the tree */
	uint64_t data;   /* taken by layers */
	uint64_t claimed; /* being written to, not yet part of a volume */
};

struct store_info {
	uint8_t uuid[16];
	uint64_t gen;
	unsigned int objects, layers;
	uint64_t cached_nodes, dirty_nodes, log_used, log_size; /* log: blocks */
	bool read_only;
	int failed;
	const char *why;
};

/* --- a store --- */

/**
 * Make an empty store. What was there before is lost.
 * Returns: 0, -RAY_ERANGE (smaller than STORE_BLOCKS_MIN, larger than STORE_BLOCKS_MAX), -RAY_EIO,
 *          -RAY_ENOMEM
 */
int __must_check store_format(const struct store_port *port, const uint8_t uuid[16]);
/**
 * Is there a store? Reads the superblocks only.
 * Returns: 0 and its identity; -RAY_ENOENT (none), -RAY_ENOSYS (of a newer version), -RAY_EIO;
 *          @why says it for people
 */
int __must_check store_probe(const struct store_port *port, uint8_t uuid[16],
			     char why[STORE_WHY_LEN]);
/**
 * Open it: read the newest checkpoint, do again what the log has, and make a checkpoint.
 * @read_only  nothing is written; what the log has is in memory only
 * @cache_max  nodes of 4 KiB it may keep in memory
 * Returns: 0, as store_probe(), -RAY_EIO (damaged; @why names it), -RAY_ENOMEM
 * Trust:   everything on the disk
 */
int __must_check store_mount(const struct store_port *port, bool read_only, uint64_t cache_max,
			     struct store **out, char why[STORE_WHY_LEN]);
/** A checkpoint, if it may be written, then free everything. Pre: nothing is under way. */
void store_unmount(struct store *st);
/** The same without a checkpoint: as if power had failed now. */
void store_drop(struct store *st);

/** All changes so far are kept when it returns 0, and all data written before it was called. */
int __must_check store_commit(struct store *st);
/** Is there anything that store_commit() would write? Context: any. */
bool store_uncommitted(const struct store *st);
/** Write the tree; the log is empty, what was given back is free. */
int __must_check store_checkpoint(struct store *st);
/** A piece of work that was put off: space of deleted layers, layers that can become one.
 *  Returns: 1: there is more, 0: none left, errors. */
int __must_check store_reclaim(struct store *st);

void store_info_get(struct store *st, struct store_info *out);
/** Has it met what it should not have? Nothing changes any more then. Context: any. */
bool store_failed(const struct store *st);
void store_space_get(struct store *st, struct store_space *out);
void store_stats_get(struct store *st, struct store_stats *out);

/* --- objects: volumes, snapshots, files --- */

/* The name of an object, for people's use: of a snapshot, its volume's as well. */
struct store_entry {
	uint32_t id;
	enum store_kind kind;
	uint32_t flags, origin;
	uint64_t size, created;
	uint64_t own; /* bytes that nobody else shares: what deleting it gives back, at least */
	unsigned int snapshots; /* of a volume */
	unsigned int users;
	char name[STORE_NAME_MAX + 1];
};

/** -RAY_EINVAL: no name an object can have; @why says what is wrong and where. Trust: name */
int __must_check store_name_check(enum store_kind kind, const char *name, size_t len,
				  char why[STORE_WHY_LEN]);
/** By kind, volume (of a snapshot; else 0) and name. 0 or -RAY_ENOENT. */
int __must_check store_lookup(struct store *st, enum store_kind kind, uint32_t origin,
			      const char *name, struct store_entry *out);
int __must_check store_entry(struct store *st, uint32_t id, struct store_entry *out);
/** The one after @id in no particular order that does not change; 0 begins. -RAY_ENOENT: the end. */
int __must_check store_next(struct store *st, uint32_t id, struct store_entry *out);

/*
 * Changes. Each is done as a whole or not at all, also over a cut; kept after store_commit().
 * Returns of all: 0, -RAY_ENOENT, -RAY_EEXIST, -RAY_EINVAL (name, size, kind), -RAY_EBUSY (in
 * use; a volume with snapshots), -RAY_ENOSPC, -RAY_ENOMEM, -RAY_EIO, -RAY_EROFS.
 */
int __must_check store_create(struct store *st, enum store_kind kind, const char *name,
			      uint64_t size, uint32_t flags, uint32_t *id);
int __must_check store_delete(struct store *st, uint32_t id);
int __must_check store_rename(struct store *st, uint32_t id, const char *name);
int __must_check store_resize(struct store *st, uint32_t id, uint64_t size);
int __must_check store_flags_set(struct store *st, uint32_t id, uint32_t flags);
int __must_check store_snapshot(struct store *st, uint32_t volume, const char *name, uint32_t *id);
/** A new volume with the contents of a snapshot or of a volume as it is now. */
int __must_check store_clone(struct store *st, uint32_t from, const char *name, uint32_t *id);
int __must_check store_rollback(struct store *st, uint32_t volume, uint32_t snapshot);
/** A file has another's contents, which is no more: replaced as a whole. */
int __must_check store_replace(struct store *st, uint32_t file, uint32_t by);
/** Somebody uses the object: no resize, delete or rollback; and no more. */
int __must_check store_hold(struct store *st, uint32_t id);
void store_let_go(struct store *st, uint32_t id);

/* --- what is in them --- */

enum store_piece_kind {
	STORE_PIECE_ZERO, /* reads as zeros */
	STORE_PIECE_DATA,
};

/* Blocks of an object that are alike. */
struct store_piece {
	enum store_piece_kind kind;
	bool own;  /* DATA: may be written to where it is */
	bool sums; /* DATA: has checksums */
	uint64_t phys; /* DATA */
	uint64_t n;
	uint64_t changes; /* store_changes() when it was found */
};

/**
 * What is at block @l of an object, for up to @n blocks.
 * Returns: 0; -RAY_EAGAIN: not known without the disk, ask store_find_load(); -RAY_ENOENT: no
 *          object has the number. Context: any but NMI; the answer is good until the blocks it
 *          names are freed, which a port's drain() waits for.
 */
int __must_check store_find(struct store *st, uint32_t id, uint64_t l, uint64_t n,
			    struct store_piece *out);
/** While this is the same, what store_find() said still holds: under what store_find() asks for.
 *  Context: any. */
uint64_t store_changes(const struct store *st);
int __must_check store_find_load(struct store *st, uint32_t id, uint64_t l, uint64_t n,
				 struct store_piece *out);

/* Blocks that are being written to and not part of an object yet. The caller's memory. */
struct store_claim {
	struct list_head node;
	uint64_t phys;
	uint32_t n;
};

/**
 * Up to @want blocks in one piece (at most STORE_IO_BLOCKS).
 * Returns: 0 and c->n > 0; -RAY_EAGAIN: store_claim_prepare() has to look. Context: any but NMI
 */
int __must_check store_claim(struct store *st, uint32_t want, struct store_claim *c);
/** -RAY_ENOSPC: no space, not even after a checkpoint. */
int __must_check store_claim_prepare(struct store *st);
/** Both, for who may wait. 0, -RAY_ENOSPC, errors. */
int __must_check store_claim_wait(struct store *st, uint32_t want, struct store_claim *c);
/** They are not needed after all. Context: any but NMI. */
void store_unclaim(struct store *st, struct store_claim *c);
/**
 * What was written to a claim is now the contents of blocks [l, l + c->n) of a volume or file.
 * @sums  CRC-32 of each block, where the object has STORE_F_SUMS; else NULL
 * The claim is over, also after an error. Returns: as changes.
 */
int __must_check store_map(struct store *st, uint32_t id, uint64_t l, struct store_claim *c,
			   const uint32_t *sums);
/** Blocks read as zeros; their space is given back. */
int __must_check store_unmap(struct store *st, uint32_t id, uint64_t l, uint64_t n);
/** What a checksum is: CRC-32 (IEEE 802.3). Pure. */
uint32_t store_sum_of(const void *p, size_t len);
/** The checksum of a block that has one. 0, errors. */
int __must_check store_sum(struct store *st, uint64_t phys, uint32_t *sum);

/* --- checks --- */

struct store_check {
	uint64_t nodes, extents, data, objects; /* that were looked at */
	uint64_t wrong;
	char first[STORE_WHY_LEN]; /* the first that is wrong */
};

/**
 * Does everything fit together: each block taken once and marked so, each reference to something
 * that is there? Reads the whole tree and every bitmap. Pre: nothing is under way, no uncommitted
 * claims. Returns: 0 (also when something is wrong: see out), -RAY_ENOMEM, -RAY_EIO
 */
int __must_check store_check(struct store *st, struct store_check *out);

/* A scrub under way. The first fields are results, the rest is its own. */
struct store_scrub {
	uint64_t blocks; /* read */
	uint64_t data;   /* of them, of volumes */
	uint64_t wrong;
	void (*bad)(void *arg, const char *what);
	void *arg;
	void *buf;
	unsigned int phase;
	uint32_t group, into;
	uint64_t key;
	const void *seen[8]; /* nodes on the way to the last record */
	uint64_t seen_block[8];
};

/** @bad  is told, in words, of everything that is not what was written. 0 or -RAY_ENOMEM. */
int __must_check store_scrub_begin(struct store_scrub *s, void (*bad)(void *arg, const char *what),
				   void *arg);
/**
 * Read again some of what has a checksum; the store may change between steps. A node of the tree
 * that is whole in memory only is written anew by the next checkpoint.
 * Returns: 1: there is more, 0: all was read; -RAY_EIO: a node can be had from nowhere, the
 *          store has failed; -RAY_ENOMEM
 */
int __must_check store_scrub_step(struct store *st, struct store_scrub *s);
void store_scrub_end(struct store_scrub *s);

#endif
