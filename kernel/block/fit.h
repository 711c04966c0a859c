/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What part of a request one command of a device can have. Pure.
 * Owns: the rules of struct block_limits. Must not know: queues, drivers.
 */
#ifndef RAYOS_KERNEL_BLOCK_FIT_H
#define RAYOS_KERNEL_BLOCK_FIT_H

#include "kernel/block/block.h"

/** Whether the limits make sense: NULL, or what is wrong with them. Trust: the device. */
const char *block_limits_wrong(const struct block_limits *l);

/** Whether a piece may follow another in a command: where they meet both are at a page's edge. */
bool block_joins(const struct block_limits *l, const struct block_seg *a, const struct block_seg *b);
/** Whether the whole request is one command as it is: READ and WRITE only. */
bool block_fits(const struct block_limits *l, const struct block_req *r);

/**
 * The longest beginning of what is left of a READ or WRITE (from r->issued on) that one command
 * may have.
 * @out    room for limits.segs_max pieces; *count of them are filled
 * Returns: bytes; 0: not even one block as the pieces lie, they have to be copied
 */
uint64_t block_slice(const struct block_limits *l, const struct block_req *r,
		     struct block_seg *out, uint32_t *count);

/** Move a request's position by @bytes that lie in its pieces. */
void block_advance(struct block_req *r, uint64_t bytes);

/**
 * Copy between a request's pieces, from its position on, and memory in one piece.
 * @to_buf  the direction
 */
void block_copy(const struct block_req *r, uint64_t at, void *buf, uint64_t len, bool to_buf);

/** Bytes of a DISCARD or ZERO that one command may have. */
uint64_t block_range_max(const struct block_limits *l, enum block_op op);

#endif
