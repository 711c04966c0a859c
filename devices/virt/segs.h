/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory in pieces, as a queue finds it and a device hands it to its back end.
 * Owns: the two types. Must not know: queues, devices.
 * Pointers are good until the end of the epoch section they were made in.
 */
#ifndef RAYOS_DEVICES_VIRT_SEGS_H
#define RAYOS_DEVICES_VIRT_SEGS_H

#include "kernel/lib/types.h"

/* A piece of a buffer, contiguous in host memory. The guest may write to it meanwhile. */
struct virtq_seg {
	void *p;
	uint32_t len; /* bytes, > 0 */
};

/* A position in a list of pieces, for who moves through it. */
struct virtq_iter {
	const struct virtq_seg *seg;
	uint32_t left;    /* segments from seg on */
	uint32_t seg_off; /* bytes into seg */
};
/** The next contiguous piece of at most @max bytes, NULL at the end; moves on. */
static inline void *virtq_iter_next(struct virtq_iter *it, uint32_t max, uint32_t *len)
{
	uint32_t n;
	char *p;

	if (it->left == 0)
		return NULL;
	n = it->seg->len - it->seg_off;
	p = (char *)it->seg->p + it->seg_off;
	if (n > max) {
		n = max;
		it->seg_off += n;
	} else {
		it->seg++;
		it->left--;
		it->seg_off = 0;
	}
	*len = n;
	return p;
}

#endif
