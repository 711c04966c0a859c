/* SPDX-License-Identifier: Apache-2.0 */
/* Contents of descriptor chains. */
#include <string.h>

#include "devices/virt/virtio/virtq.h"

static void iter_begin(struct virtq_iter *it, const struct virtq_seg *seg, uint32_t count,
		       uint32_t off)
{
	while (count > 0 && off >= seg->len) {
		off -= seg->len;
		seg++;
		count--;
	}
	*it = (struct virtq_iter){.seg = seg, .left = count, .seg_off = off};
}

void virtq_iter_out(struct virtq_iter *it, const struct virtq_chain *c, uint32_t off)
{
	iter_begin(it, c->seg, c->out_count, off);
}

void virtq_iter_in(struct virtq_iter *it, const struct virtq_chain *c, uint32_t off)
{
	iter_begin(it, c->seg + c->out_count, c->in_count, off);
}

uint32_t virtq_chain_read(const struct virtq_chain *c, uint32_t off, void *dst, uint32_t len)
{
	struct virtq_iter it;
	uint32_t done = 0, n;
	const void *p;

	virtq_iter_out(&it, c, off);
	while (done < len && (p = virtq_iter_next(&it, len - done, &n)) != NULL) {
		memcpy((char *)dst + done, p, n);
		done += n;
	}
	return done;
}

uint32_t virtq_chain_write(const struct virtq_chain *c, uint32_t off, const void *src,
			   uint32_t len)
{
	struct virtq_iter it;
	uint32_t done = 0, n;
	void *p;

	virtq_iter_in(&it, c, off);
	while (done < len && (p = virtq_iter_next(&it, len - done, &n)) != NULL) {
		memcpy(p, (const char *)src + done, n);
		done += n;
	}
	return done;
}
