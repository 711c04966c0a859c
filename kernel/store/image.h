/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images of disks, to be read: raw ones, and qcow2 (QEMU's docs/interop/qcow2.txt) of versions 2
 * and 3, with clusters that deflate has compressed.
 * Owns: what is where in them. Must not know: where the bytes come from. Pure, but for memory.
 * Trust: every byte; nothing is followed that is not inside the file, and work is bounded by what
 *        is asked for.
 */
#ifndef RAYOS_KERNEL_STORE_IMAGE_H
#define RAYOS_KERNEL_STORE_IMAGE_H

#include "kernel/lib/types.h"

#define IMAGE_WHY_LEN  128u
#define IMAGE_SIZE_MAX BIT(52)

struct image_source {
	void *ctx;
	uint64_t size; /* bytes */
	/** Any bytes inside it. 0 or -RAY_E*. */
	int (*read)(void *ctx, uint64_t off, void *buf, uint64_t len);
};

struct image {
	struct image_source src;
	const char *format; /* "raw", "qcow2" */
	uint64_t size;      /* of the disk, bytes, whole sectors */
	/* qcow2: */
	unsigned int cluster_bits;
	uint64_t l1_offset, l1_count;
	uint64_t l1_at, l2_offset; /* the entry of L1 that is known, and what it says */
	uint64_t *l2;       /* that table; big-endian, as in the file */
	bool l2_there;
	uint8_t *cluster;   /* decompressed */
	uint64_t cluster_at; /* which one of the disk */
};

/**
 * Look what it is. @why for people, with errors.
 * Returns: 0; -RAY_ENOEXEC (damaged, or nonsense), -RAY_ENOSYS (what is not done here: a backing
 *          file, encryption, another file for data, zstd), -RAY_ENOMEM, errors of read()
 */
int __must_check image_open(struct image *im, const struct image_source *src,
			    char why[IMAGE_WHY_LEN]);
/**
 * Bytes of the disk. @zero: set when all of them are zeros that take no space in the file; @buf is
 * untouched then.
 * Returns: 0, -RAY_ERANGE (outside), -RAY_ENOEXEC (damaged), -RAY_ENOMEM, errors of read()
 */
int __must_check image_read(struct image *im, uint64_t off, void *buf, uint64_t len, bool *zero);
/** The first offset at or after @off that may be anything but zeros; the size: there is none. */
int __must_check image_next(struct image *im, uint64_t off, uint64_t *out);
void image_close(struct image *im);

#endif
