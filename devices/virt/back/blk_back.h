/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a block device stands on. A back end holds bytes by offset; it does not know virtio's
 * requests, quotas of operations, or queues.
 * Owns: the contract. Data moves between pieces of guest memory and the back end's, in one copy.
 *
 * Locking: submit() comes from several queues at once, on several CPUs; a back end orders what
 * has to be ordered. Requests that overlap and are under way at once have no order, as on any
 * disk.
 */
#ifndef RAYOS_DEVICES_VIRT_BACK_BLK_BACK_H
#define RAYOS_DEVICES_VIRT_BACK_BLK_BACK_H

#include "devices/virt/segs.h"
#include "kernel/block/block.h"
#include "kernel/store/volume.h"
#include "kernel/lib/types.h"

#define BLK_SECTOR   512u
#define BLK_PHYSICAL 4096u /* of a back end in memory: what page caches write */
#define BLK_SIZE_MAX GIB(4096)

struct blk_back;
struct quota;

/*
 * One operation. It is the caller's memory; the caller has checked that [off, off + len) lies
 * inside the disk, in whole sectors, and that it may be written when that is asked for.
 */
struct blk_io {
	enum block_op op;
	bool fast;  /* see virtio_ops.serve(): no allocation, no waiting; else -RAY_EAGAIN */
	bool unmap; /* BLOCK_ZERO: memory behind it may be given back */
	uint64_t off, len;        /* bytes */
	struct virtq_iter data;   /* BLOCK_READ: where to, BLOCK_WRITE: where from; len bytes */
	uint64_t extra;           /* out: bytes that had to be filled besides, for who counts */
};

/*
 * Two kinds: memory does an operation while it is asked to (submit), a device of the host begins
 * it and tells when it is over (begin). A back end has one of the two.
 */
struct blk_back_ops {
	/**
	 * Begin it; it ends by io->done(), perhaps before this returns, as block_submit() has it.
	 * Context: any; IRQs any
	 */
	void (*begin)(struct blk_back *b, struct block_req *io);
	/**
	 * Do it. Context: that of virtio_ops.serve(), epoch section.
	 * Returns: 0, -RAY_EAGAIN (only with fast: nothing counts as done, ask again without),
	 *          -RAY_ENOSPC (quota of bytes in use), -RAY_ENOMEM, -RAY_EIO. After an error any
	 *          part of it may have been done.
	 */
	int (*submit)(struct blk_back *b, struct blk_io *io);
	/** What finds no space is to wait, its VM paused, until that is resumed; else it fails.
	 *  NULL: it always fails. With begin() only. Context: any but NMI. */
	bool (*waits)(const struct blk_back *b);
	/** Free it. Pre: no device uses it any more. Context: thread. */
	void (*close)(struct blk_back *b);
};

struct blk_back {
	const struct blk_back_ops *ops;
	const char *name; /* what it is, for people: "ram" */
	uint64_t size;    /* bytes, whole sectors */
	bool read_only;
	uint32_t sector;   /* bytes, the unit of off and len */
	uint32_t physical; /* bytes it keeps without reading before */
	uint32_t granule;  /* bytes that BLOCK_DISCARD gives back at once; 0: it gives nothing back */
};

/* --- the back ends there are --- */

/**
 * Memory that is taken piece by piece (64 KiB) when it is first written to. What was never
 * written shows @base, @base_size bytes that stay where they are, and zeros behind them.
 * @quota  is charged for every byte taken; outlives the back end
 * @name   "ram" or "overlay": static text
 * Returns: 0 or -RAY_ENOMEM. Context: thread
 */
struct blk_thin_init {
	const char *name;
	uint64_t size;
	const uint8_t *base;
	uint64_t base_size;
	struct quota *quota;
};
int __must_check blk_thin_create(const struct blk_thin_init *init, struct blk_back **out);

/**
 * Memory read in place. The last sector is filled up with zeros.
 * @name  what it is, static text
 * @owned it is of the heap, and the back end's to free; else it stays where it is
 * Returns: 0 or -RAY_ENOMEM. Context: thread.
 */
int __must_check blk_image_create(const char *name, const uint8_t *data, uint64_t size, bool owned,
				  struct blk_back **out);

/** What a definition tells a cloud image, as a disk. 0 or -RAY_ENOMEM. Context: thread. */
struct vm_def;
int __must_check blk_seed_create(const struct vm_def *def, struct blk_back **out);

/**
 * A block device of the host, or a part of one, for this guest alone.
 * @name  as `disk list` has it
 * Returns: 0, -RAY_ENOENT, -RAY_EBUSY (somebody has it), -RAY_ENOMEM. Context: thread
 */
int __must_check blk_dev_create(const char *name, struct blk_back **out);

/**
 * A volume or snapshot of a store.
 * @name  as volume_open() has it
 * Returns: 0, as volume_open(), @why for people. Context: thread
 */
int __must_check blk_volume_create(const char *name, bool read_only, struct blk_back **out,
				   char why[STORE_WHY_LEN]);

/* --- for back ends in memory --- */

/** Fill or read the next @len bytes of an operation's data. */
void blk_copy_out(struct virtq_iter *to, const uint8_t *from, uint64_t len);
void blk_copy_in(struct virtq_iter *from, uint8_t *to, uint64_t len);
void blk_zero_out(struct virtq_iter *to, uint64_t len);

#endif
