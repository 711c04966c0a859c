/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the store share.
 * Owns: the state of a mounted store. Must not know: block devices, threads, guests; it reaches
 * the disk through struct store_port.
 *
 * One thread at a time changes a store (its mutex is the caller's). A change has two steps:
 * prepare loads what it needs and takes memory, and may fail; apply changes the tree in memory
 * and notes it for the log, under `lock`, and cannot. Those who only look things up hold `lock`
 * alone, so that they need not wait for the disk.
 */
#ifndef RAYOS_KERNEL_STORE_STORE_PRIV_H
#define RAYOS_KERNEL_STORE_STORE_PRIV_H

#include "kernel/lib/err.h"
#include "kernel/lib/list.h"
#include "kernel/sched/spinlock.h"
#include "kernel/store/format.h"
#include "kernel/store/store_core.h"

/* --- the tree (tree.c, tree_change.c, tree_io.c) --- */

#define TREE_DEPTH 8u

struct node {
	struct store_node *raw;
	struct node **child; /* of an inner node: NULL where it is not in memory */
	bool dirty; /* differs from the disk; raw->block is 0 until a checkpoint gives it one */
	bool used;  /* since the cache was last looked through */
};

struct tree {
	struct node *root;
	uint32_t height;
	uint64_t nodes;  /* in all */
	uint64_t cached; /* in memory */
	uint64_t dirty;
	uint64_t last_put; /* key */
	struct node *spare_leaf[8], *spare_inner[3 * TREE_DEPTH]; /* for apply */
	unsigned int spare_leaves, spare_inners;
};

/* A record, and the way to it. */
struct cursor {
	struct node *node[TREE_DEPTH]; /* [0] is the root */
	uint16_t at[TREE_DEPTH];
	unsigned int depth; /* of the deepest node that is set */
};

/* --- space (space.c) --- */

struct group {
	uint64_t *map; /* a bit each block: taken; NULL: not loaded */
	uint32_t sum;
	uint16_t free;
	bool stored; /* it has a bitmap on the disk, in slot `slot` */
	uint8_t slot;
	bool dirty;
	/* In a checkpoint: */
	bool recorded;
	uint64_t *image; /* what goes to the disk */
};

#define FREED_RANGES 254u

struct freed {
	struct freed *next;
	unsigned int count;
	struct {
		uint64_t block, count;
	} range[FREED_RANGES];
};

struct space {
	struct group *group;
	uint32_t groups;
	uint32_t at_group; /* where the next search begins */
	uint32_t at_bit;
	uint64_t free;     /* blocks that may be taken */
	uint64_t freed;    /* given back since the last checkpoint: free after the next */
	uint64_t reserve;  /* kept for the tree */
	struct freed *ranges, *spare; /* the freed ones; room for more */
	unsigned int room; /* ranges that fit into spare and ranges */
};

/* --- layers and objects (layer.c, object.c) --- */

struct layer {
	uint32_t id, parent;
	uint32_t refs;   /* objects and layers that stand on it */
	uint64_t blocks; /* with data, its own */
	bool dirty;
	struct dead *saved; /* it has records; where that is noted when it goes */
};

struct object {
	struct list_head by_id, by_name; /* hash chains */
	struct list_head all;
	uint32_t id;
	struct layer *layer;
	struct store_object d;
	bool dirty;
	struct dead *saved; /* as a layer's */
	unsigned int snapshots; /* of a volume: it cannot be deleted */
	unsigned int users; /* open volumes: it cannot be deleted, resized or rolled back */
};

#define OBJECT_HASH 1024u

struct dead { /* its records go with the next checkpoint */
	struct dead *next;
	uint64_t first; /* key */
	unsigned int count; /* of records */
};

/* --- log (log.c) --- */

/* What differences in records are taken from; 0 at the beginning of each block. */
struct log_state {
	uint64_t l, p;
};

struct log_page {
	struct log_page *next;
	struct store_log_block *b;
};

struct log {
	struct log_page *first, *last, *spare; /* not yet on the disk; room for one more */
	uint32_t pages;    /* from first to last */
	uint32_t written;  /* blocks of the half */
	uint32_t groups;   /* of the half */
	struct log_state state; /* of the last page */
};

/* --- the store --- */

struct store {
	struct store_port port;
	struct spinlock lock;
	uint64_t changes; /* times the lock was taken by who may change something */
	struct store_super super; /* as on the disk */
	uint64_t id;              /* first half of the uuid, for nodes and log blocks */
	struct tree tree;
	struct space space;
	struct log log;
	struct list_head by_id[OBJECT_HASH], by_name[OBJECT_HASH], objects;
	unsigned int object_count;
	uint32_t next_object;
	struct layer **layer; /* by number */
	uint32_t layers_cap, layer_count, layer_hint;
	struct dead *dead; /* objects and layers that are no more but have records */
	uint32_t unsaved; /* objects and layers whose records differ, about */
	struct list_head claims;
	uint64_t claimed; /* blocks */
	uint32_t reclaim_at; /* layer that is looked at next */
	uint64_t cache_max;  /* nodes */
	unsigned int super_first; /* slot that is written first */
	bool read_only;
	int failed; /* -RAY_E*: no more changes; why is in the text */
	char why[STORE_WHY_LEN];
	struct store_stats stats;
};

/* Two keys of extents are of one layer. */
static inline bool same_layer(uint64_t a, uint64_t b)
{
	return (a ^ b) >> 40 == 0;
}

/* 0, or why nothing in it changes. */
static inline int store_writable(const struct store *st)
{
	return st->failed ? st->failed : st->read_only ? -RAY_EROFS : 0;
}

/* Whoever takes it may change what is where: what store_find() said before may be no more so. */
static inline uint64_t store_lock(struct store *st)
{
	uint64_t flags = spin_lock_irqsave(&st->lock);

	__atomic_store_n(&st->changes, st->changes + 1, __ATOMIC_RELEASE);
	return flags;
}

static inline void store_unlock(struct store *st, uint64_t flags)
{
	spin_unlock_irqrestore(&st->lock, flags);
}

/** The store is not to be trusted any more: no more changes. The first reason is kept.
 *  Returns: @err. Context: any */
int store_fail(struct store *st, int err, const char *fmt, ...) __printf_fmt(3, 4);

/* tree.c. Those with a cursor need no memory; -RAY_EAGAIN: a node is not in memory, the cursor
 * is at it, tree_fetch() loads it. Pre: the lock, or the mutex. */

/** How many records of a node have a key of at most @key. Pure. */
unsigned int node_slot(const struct store_node *n, uint64_t key);
/** The greatest record with a key of at most @key. 0, -RAY_ENOENT, -RAY_EAGAIN. */
int __must_check tree_floor(struct tree *t, uint64_t key, struct cursor *c);
/** The record after / before the cursor's. */
int __must_check tree_next(struct cursor *c);
int __must_check tree_prev(struct cursor *c);
static inline struct store_rec *cursor_rec(const struct cursor *c)
{
	return &c->node[c->depth]->raw->rec[c->at[c->depth]];
}
/** The smallest record with a key of at least @key. */
int __must_check tree_ceil(struct tree *t, uint64_t key, struct cursor *c);
/** Go on downward, along first or last children, after tree_next() or tree_prev() said -RAY_EAGAIN
 *  and the node was fetched. */
int __must_check tree_descend(struct cursor *c, bool last);
/** The record with exactly this key: 0 and *val, -RAY_ENOENT, -RAY_EAGAIN. */
int __must_check tree_get(struct tree *t, uint64_t key, uint64_t *val, struct cursor *c);

/* tree_io.c. Pre: the mutex, not the lock. May sleep. */

/** Load what the cursor stopped at. 0, -RAY_ENOMEM, -RAY_EIO (damaged; named, counted). */
int __must_check tree_fetch(struct store *st, const struct cursor *c);
/** tree_floor(), tree_next(), with loading. */
int __must_check tree_floor_load(struct store *st, uint64_t key, struct cursor *c);
int __must_check tree_ceil_load(struct store *st, uint64_t key, struct cursor *c);
int __must_check tree_next_load(struct store *st, struct cursor *c);
/** Load all there is from the record before @first to the one after @last. */
int __must_check tree_load(struct store *st, uint64_t first, uint64_t last);
/** The root, named by the superblock. */
int __must_check tree_open(struct store *st);
/** Give each dirty node that has none a block / write them all. */
int __must_check tree_place(struct store *st, bool *placed);
int __must_check tree_write(struct store *st);
/** Let go of nodes that were not used lately until at most @max are in memory. */
void tree_shrink(struct store *st, uint64_t max);
void tree_close(struct store *st);
/** Is the block a whole node of this store, sorted, with keys in [lo, hi]? Sets @what. */
int __must_check node_check(const struct store *st, const struct store_node *raw, uint64_t block,
			    uint64_t gen, unsigned int level, const char **what);

/* tree_change.c */

/** Memory for one change: up to five leaves that are full, in up to three places. 0, -RAY_ENOMEM.
 *  Pre: the mutex. */
int __must_check tree_prepare(struct store *st);
/** A record, new or in place of the one that has the key. Pre: lock, prepared, its leaf is loaded. */
void tree_put(struct store *st, uint64_t key, uint64_t val);
/** The record at the cursor has another value: splits nothing. Pre: lock, loaded. */
void tree_set(struct store *st, struct cursor *c, uint64_t val);
/** Pre: lock, loaded; the record is there. */
void tree_del(struct store *st, uint64_t key);
struct node *node_create(bool inner);
void node_destroy(struct node *n);

/* space.c */

int __must_check space_init(struct store *st);
void space_fini(struct store *st);
/** Load a group's bitmap. Pre: mutex. 0, -RAY_EIO, -RAY_ENOMEM. */
int __must_check space_load(struct store *st, uint32_t group);
/** Up to @want blocks in one piece. Returns how many, 0: none (in what is loaded). Pre: lock. */
uint32_t space_take(struct store *st, uint32_t want, uint64_t *first);
/** Load groups until space_take() finds something. 0, -RAY_ENOSPC, errors. Pre: mutex. */
int __must_check space_prepare(struct store *st);
/** Mark what the log says is taken. Pre: mutex. -RAY_EIO: it is already. */
int __must_check space_mark(struct store *st, uint64_t first, uint64_t count);
/** Taken, and after all not used: free at once. Pre: lock. */
void space_untake(struct store *st, uint64_t first, uint64_t count);
/** Free after the next checkpoint. Pre: lock, prepared. */
void space_free(struct store *st, uint64_t first, uint64_t count);
int __must_check space_free_prepare(struct store *st, unsigned int ranges);
/** Is the block one that data or nodes may have? */
bool space_valid(const struct store *st, uint64_t first, uint64_t count);
/* The steps of a checkpoint. Pre: mutex. */

/** Load the groups of what was freed, they change. */
int __must_check space_load_freed(struct store *st);
/** See to it that each group that changed has a record in the tree. */
int __must_check space_record(struct store *st, bool *recorded);
/** Write the bitmaps as they will be, and their sums to their records. */
int __must_check space_write(struct store *st);
/** The superblock is kept: what was freed may be taken. */
void space_release(struct store *st);
void space_abandon(struct store *st); /* or it came to nothing */
/** Read the groups' records. */
int __must_check space_open(struct store *st);
uint64_t space_bitmap_block(const struct store *st, uint32_t group, unsigned int slot);
/** Set the bits of a group that what has a fixed place takes. */
void space_fixed_mark(const struct store *st, uint32_t group, uint64_t *map);

/* layer.c */

struct layer *layer_get(const struct store *st, uint32_t id);
/** Memory for one layer more, with a number of its own, not that of @other, which the same change
 *  has prepared (or NULL). Pre: mutex. NULL: no memory, or no number. */
struct layer *layer_prepare(struct store *st, const struct layer *other) __must_check;
void layer_drop(struct layer *l); /* prepared, not used */
/** Its number of blocks differs. Pre: lock. */
void layer_changed(struct store *st, struct layer *l);
/** It is one now, over another (NULL: none). Pre: lock. */
void layer_apply(struct store *st, struct layer *l, struct layer *parent);
/** Who stood on a layer does no more: without anybody it is to be reclaimed. Pre: lock. */
void layer_put(struct layer *l);
/** It has no blocks any more, and nobody stands on it. Pre: lock. */
void layer_remove(struct store *st, struct layer *l);
int __must_check layers_save(struct store *st);
int __must_check layers_load(struct store *st);
void layers_fini(struct store *st);

/* object.c */

struct object *object_by_id(const struct store *st, uint32_t id);
struct object *object_find(const struct store *st, enum store_kind kind, uint32_t origin,
			   const char *name, size_t len);
/** Memory for one, and to note that it goes. NULL: none. Pre: mutex. */
struct object *object_create(uint32_t id) __must_check;
void object_destroy(struct object *o); /* not added, or the store goes */
/* Pre of these: lock. */
void object_add(struct store *st, struct object *o);
void object_renamed(struct store *st, struct object *o);
void object_changed(struct store *st, struct object *o);
void object_remove(struct store *st, struct object *o);
int __must_check objects_save(struct store *st);
int __must_check objects_load(struct store *st);
void objects_fini(struct store *st);
/** So many records from key @first on are to go with the next checkpoint; @d notes it. Pre: lock. */
void dead_add(struct store *st, struct dead *d, uint64_t first, unsigned int count);
/** Remove the records of what is no more. Pre: mutex. */
int __must_check dead_save(struct store *st);

/* map.c. What a layer says of its blocks. */

int __must_check map_prepare(struct store *st, uint32_t layer, uint64_t l, uint64_t *n);
void map_clear(struct store *st, struct layer *layer, uint64_t l, uint64_t n, bool give_back);
void map_put(struct store *st, struct layer *layer, uint64_t l, uint64_t phys, uint32_t n,
	     uint32_t flags);
bool map_extent_valid(const struct store *st, const struct store_rec *r);
/** Whether that layer itself, not one below it, has blocks from @l on, zeros being some; *n is
 *  shortened to those of which it is true. Pre: mutex. */
int __must_check map_layer_load(struct store *st, uint32_t layer, uint64_t l, uint64_t *n,
				bool *has);

/* sums.c */
int __must_check sums_prepare(struct store *st, uint64_t phys, uint64_t n);
void sums_put(struct store *st, uint64_t phys, uint32_t n, const uint32_t *sums);
void sums_del(struct store *st, uint64_t phys, uint64_t n);

/* log.c */

enum op_type {
	OP_MAP = 1, OP_UNMAP, OP_CREATE, OP_DELETE, OP_RENAME, OP_RESIZE, OP_BRANCH, OP_ROLLBACK,
	OP_REPLACE, OP_FLAGS
};

/* One change, as it is done and as it is in the log. */
struct op {
	enum op_type type;
	uint32_t object, other;
	uint64_t l, n, phys;
	uint32_t flags, kind;
	uint64_t size, when;
	const uint32_t *sums; /* of MAP with STORE_EXTENT_SUMS: n */
	char name[STORE_NAME_MAX + 1];
	uint8_t name_len;
	/* From prepare to apply. */
	struct object *o, *o2, *fresh;
	struct layer *fresh_layer[2];
	struct dead *dead;
};

/** Room for one more record of at most a page. 0, -RAY_ENOMEM, -RAY_ENOSPC: the log is full, a
 *  checkpoint empties it. */
int __must_check log_prepare(struct store *st);
void log_put(struct store *st, const struct op *op);
/** Write what is not yet on the disk, with a flush before and behind. */
int __must_check log_commit(struct store *st);
/** Forget what was noted: a checkpoint has it. */
void log_reset(struct store *st);
void log_fini(struct store *st);
/** Call @each with every record of the present half, in order. */
int __must_check log_replay(struct store *st, int (*each)(struct store *st, struct op *op));
/** One record, of at most LOG_RECORD_MAX bytes. Returns its length. Pure. */
#define LOG_RECORD_MAX (64u + STORE_NAME_MAX + 4u * STORE_IO_BLOCKS)
size_t log_encode(uint8_t *p, struct log_state *s, const struct op *op);
/** The next one of a block; @sums is what op->sums points to. Returns its length, 0: nonsense.
 *  Pure. Trust: the bytes */
size_t log_decode(const uint8_t *p, size_t len, struct log_state *s, struct op *op,
		  uint32_t sums[STORE_IO_BLOCKS]);

/* change.c */

/** Would one change more be one too many for what a checkpoint can write, or memory keep? */
bool store_checkpoint_due(const struct store *st);

/* op.c */
int __must_check op_prepare(struct store *st, struct op *op);
void op_apply(struct store *st, struct op *op);
void op_drop(struct op *op); /* what prepare took and apply did not use */

#endif
