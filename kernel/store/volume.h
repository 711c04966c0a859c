/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores on the host's disks, and requests to the volumes in them.
 * Owns: which partitions are mounted, order and overlap of requests, a thread for each store. Must
 * not know: guests, how a store keeps its data (store_core.h).
 */
#ifndef RAYOS_KERNEL_STORE_VOLUME_H
#define RAYOS_KERNEL_STORE_VOLUME_H

#include "kernel/block/block.h"
#include "kernel/store/store_core.h"

#define VOLUME_SECTOR 512u

struct volume; /* open */

struct volume_stats {
	uint64_t ops[BLOCK_OP_COUNT], bytes[BLOCK_OP_COUNT];
	uint64_t errors;
	uint64_t slow;  /* of ops: not done at once, by the store's thread */
	uint64_t no_space; /* writes that failed for want of it */
	uint64_t bad_sums; /* blocks whose contents were not what was written */
};

/**
 * Open a volume or snapshot for requests.
 * @name       "VOLUME", "VOLUME@SNAPSHOT", or either after "DISK:", where several stores have one
 * @read_only  a snapshot always is
 * @why        for people, where it returns an error
 * Returns: 0, -RAY_ENOENT, -RAY_EBUSY (open for writing already, or to be), -RAY_ENOMEM,
 *          -RAY_EINVAL (no name), -RAY_EIO (the store failed). Context: thread
 */
int __must_check volume_open(const char *name, bool read_only, struct volume **out,
			     char why[STORE_WHY_LEN]);
/** Pre: nothing is under way. Context: thread. */
void volume_close(struct volume *v);
uint64_t volume_size(const struct volume *v); /* bytes */
bool volume_read_only(const struct volume *v);
const char *volume_name(const struct volume *v); /* as it was opened with */

/** A request that found no space is to be kept, and its VM paused (`volume full`). Context: any. */
bool volume_waits(const struct volume *v);

/**
 * Begin a request, as block_submit() has it; the unit of off and len is VOLUME_SECTOR. A write
 * that is done but not flushed may be lost by a cut, as on any disk.
 * Context: any but NMI, IRQs any; done() with IRQs off
 */
void volume_submit(struct volume *v, struct block_req *r);

/** The same for who may wait; READ and WRITE with @len bytes of the kernel's own memory, in one piece.
 *  Returns: what done() was given. Context: thread. */
int __must_check volume_do(struct volume *v, enum block_op op, uint64_t off, void *buf,
			   uint64_t len);

/* --- stores --- */

/** Mount the partitions of type RayOS System, see to it that power off writes them out. Context:
 *  init, after block_settle(). Returns: 0; what could not be mounted is in the log. */
int __must_check store_init(void);

#endif
