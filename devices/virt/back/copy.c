/* SPDX-License-Identifier: Apache-2.0 */
/* Between guest memory in pieces and memory in one. */
#include <string.h>

#include "devices/virt/back/blk_back.h"

/* Pieces of guest memory have 32-bit lengths; so has what back ends copy at once. */
#define PART(len) ((uint32_t)MIN((len), (uint64_t)UINT32_MAX))

void blk_copy_out(struct virtq_iter *to, const uint8_t *from, uint64_t len)
{
	uint32_t n;
	void *p;

	while (len > 0 && (p = virtq_iter_next(to, PART(len), &n)) != NULL) {
		memcpy(p, from, n);
		from += n;
		len -= n;
	}
}

void blk_copy_in(struct virtq_iter *from, uint8_t *to, uint64_t len)
{
	const void *p;
	uint32_t n;

	while (len > 0 && (p = virtq_iter_next(from, PART(len), &n)) != NULL) {
		memcpy(to, p, n);
		to += n;
		len -= n;
	}
}

void blk_zero_out(struct virtq_iter *to, uint64_t len)
{
	uint32_t n;
	void *p;

	while (len > 0 && (p = virtq_iter_next(to, PART(len), &n)) != NULL) {
		memset(p, 0, n);
		len -= n;
	}
}
