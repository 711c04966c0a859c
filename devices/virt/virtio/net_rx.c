/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receive queues of the network device: from the switch into the driver's buffers, in the
 * sender's context. The only copy of a frame's payload between two guests is made here.
 */
#include "devices/virt/virtio/net_priv.h"

#include <string.h>

#include "devices/virt/virtio/virtq_row.h"
#include "kernel/lib/err.h"

struct receiver {
	struct vnet *n;
	struct virtq *q;
};

static void header_make(const struct vnet *n, const struct net_frame *f, struct vnet_hdr *h)
{
	*h = (struct vnet_hdr){.num_buffers = 1};
	if (!f->flags)
		return;
	if (n->rx_caps & NET_CAP_CSUM)
		h->flags = f->flags & (NET_F_NEEDS_CSUM | NET_F_DATA_VALID);
	if (f->flags & NET_F_NEEDS_CSUM) {
		h->csum_start = f->csum_start;
		h->csum_offset = f->csum_offset;
	}
	if (f->gso_type) {
		h->gso_type = f->gso_type;
		h->gso_size = f->gso_size;
		h->hdr_len = f->hdr_len;
	}
}

/* The next @n bytes of the frame to where @it stands; it has room for them. */
static inline void fill(struct virtq_iter *it, struct net_cursor *at, uint32_t n)
{
	uint32_t len;
	void *p;

	while (n > 0 && (p = virtq_iter_next(it, n, &len)) != NULL) {
		net_cursor_copy(at, p, len);
		n -= len;
	}
}

/* Header and beginning of the frame into the first buffer; @total bytes are to go there. */
static inline void first_fill(const struct virtq_chain *c, const struct vnet_hdr *h,
			      struct net_cursor *at, uint32_t total)
{
	struct virtq_iter it = {.seg = c->seg + c->out_count, .left = c->in_count};

	if (likely(it.seg->len > VNET_HDR_SIZE)) {
		__builtin_memcpy(it.seg->p, h, VNET_HDR_SIZE);
		it.seg_off = VNET_HDR_SIZE;
	} else {
		virtq_chain_write(c, 0, h, VNET_HDR_SIZE);
		virtq_iter_in(&it, c, VNET_HDR_SIZE);
	}
	fill(&it, at, total - VNET_HDR_SIZE);
}

static int next_buffer(struct virtq *q, struct virtq_chain **c)
{
	int got = virtq_next(q, c);

	if (likely(got > 0))
		return 0;
	if (got == 0)
		return -RAY_ENOSPC;
	if (got == -RAY_EAGAIN) {
		virtq_kick(q); /* the I/O thread makes its memory present */
		return -RAY_EAGAIN;
	}
	return -RAY_EIO;
}

/* Where num_buffers of the header in @c lies, byte by byte: buffers may be cut anywhere. */
static void count_places(const struct virtq_chain *c, uint8_t *place[2])
{
	for (unsigned int i = 0; i < 2; i++) {
		struct virtq_iter it;
		uint32_t len;

		virtq_iter_in(&it, c, (uint32_t)offsetof(struct vnet_hdr, num_buffers) + i);
		place[i] = virtq_iter_next(&it, 1, &len);
	}
}

/* The rest of a frame that is longer than one buffer (5.1.6.4). */
static int more_buffers(struct virtq *q, struct net_cursor *at, uint32_t left, uint8_t *count[2])
{
	uint32_t buffers = 1;

	while (left > 0) {
		struct virtq_chain *c;
		struct virtq_iter it;
		uint32_t n;
		int err = next_buffer(q, &c);

		if (err)
			return err;
		n = MIN(left, c->in_len);
		if (n == 0) {
			virtio_dev_break(q->dev, "receive buffer without room");
			return -RAY_EIO;
		}
		virtq_iter_in(&it, c, 0);
		fill(&it, at, n);
		virtq_done(q, c, n);
		left -= n;
		buffers++;
	}
	*count[0] = (uint8_t)buffers;
	*count[1] = (uint8_t)(buffers >> 8);
	return 0;
}

/* Into buffers of one piece each. Returns: false: they are not; nothing has happened. */
static inline bool frame_put_row(const struct receiver *r, const struct net_frame *f,
				 const struct vnet_hdr *h)
{
	uint32_t left = f->len, buffers = 1, len, n;
	struct virtq *q = r->q;
	struct virtq_row row;
	struct net_cursor at;
	uint8_t *first, *p;

	if (unlikely(!virtq_row_begin(q, &row)))
		return false;
	first = virtq_row_next(q, &row, &len);
	if (unlikely(!first) || unlikely(len <= VNET_HDR_SIZE))
		return false;
	net_cursor_init(&at, f);
	__builtin_memcpy(first, h, VNET_HDR_SIZE);
	n = MIN(left, len - VNET_HDR_SIZE);
	net_cursor_copy(&at, first + VNET_HDR_SIZE, n);
	virtq_row_put(&row, n + VNET_HDR_SIZE);
	left -= n;
	if (left > 0) { /* 5.1.6.4 */
		if (!virtio_has(q->dev, VIRTIO_NET_F_MRG_RXBUF))
			return false;
		do {
			p = virtq_row_next(q, &row, &len);
			if (unlikely(!p))
				return false;
			n = MIN(left, len);
			net_cursor_copy(&at, p, n);
			virtq_row_put(&row, n);
			left -= n;
			buffers++;
		} while (left > 0);
		store16(first + offsetof(struct vnet_hdr, num_buffers), (uint16_t)buffers);
	}
	virtq_row_commit(q, &row);
	return true;
}

/* Into buffers of any kind. */
static __noinline int frame_put_chains(const struct receiver *r, const struct net_frame *f,
				       const struct vnet_hdr *h)
{
	struct virtq *q = r->q;
	struct virtq_mark mark = virtq_mark(q);
	uint32_t total = f->len + VNET_HDR_SIZE, n;
	struct virtq_chain *c;
	struct net_cursor at;
	uint8_t *count[2];
	int err = next_buffer(q, &c);

	if (unlikely(err))
		return err;
	if (unlikely(c->in_len < VNET_HDR_SIZE)) {
		virtio_dev_break(q->dev, "receive buffer shorter than a header");
		return -RAY_EIO;
	}
	n = MIN(total, c->in_len);
	if (unlikely(n < total) && !virtio_has(q->dev, VIRTIO_NET_F_MRG_RXBUF))
		return -RAY_E2BIG;
	net_cursor_init(&at, f);
	first_fill(c, h, &at, n);
	virtq_done(q, c, n);
	if (likely(n == total))
		return 0;
	count_places(c, count);
	err = more_buffers(q, &at, total - n, count);
	if (err)
		virtq_rewind(q, mark);
	return err;
}

/* One frame that needs nothing the driver cannot do: whole, or not at all. */
static int frame_put(const struct net_frame *f, void *arg)
{
	const struct receiver *r = arg;
	struct vnet_hdr h;

	header_make(r->n, f, &h);
	return likely(frame_put_row(r, f, &h)) ? 0 : frame_put_chains(r, f, &h);
}

/* The pair the guest last sent this flow on; else the flows are spread (5.1.6.5.5). */
static inline uint32_t pair_of(struct vnet *n, uint32_t flow)
{
	uint32_t pairs = __atomic_load_n(&n->pairs, __ATOMIC_RELAXED), noted;

	if (likely(pairs == 1))
		return 0;
	noted = __atomic_load_n(&n->flow[flow % VNET_FLOWS], __ATOMIC_RELAXED);
	return flow && noted && noted <= pairs ? noted - 1
					       : (uint32_t)((uint64_t)flow * pairs >> 32);
}

static inline int receive(struct vnet *n, struct virtq *q, const struct net_frame *f, bool fast)
{
	struct receiver r = {.n = n, .q = q};
	int err;

	if (unlikely(!q->enabled || n->v.broken))
		return -RAY_EIO;
	if (likely(net_offload_fits(f, n->rx_caps)))
		err = frame_put(f, &r);
	else if (fast)
		return -RAY_EBUSY; /* reads all of the payload, or makes many frames of one */
	else
		err = net_offload_adapt(f, n->rx_caps, frame_put, &r);
	virtq_flush(q);
	/* Some of its segments may be there already: no second try for the whole. */
	return unlikely(err == -RAY_EAGAIN) && f->gso_type ? -RAY_ENOSPC : err;
}

int vnet_deliver(struct net_port *p, const struct net_frame *f, bool fast)
{
	struct vnet_back *back = container_of(p, struct vnet_back, port);
	struct vnet *n = __atomic_load_n(&back->dev, __ATOMIC_ACQUIRE);
	struct vhandler *h = &back->attach->handler;
	const struct policy_op op = {.vm = h->vm,
				     .instance = h->instance,
				     .device = POLICY_NET,
				     .verb = POLICY_RECEIVE,
				     .amount = f->len};
	uint64_t start = rdtsc();
	struct virtq *q;
	int err;

	if (unlikely(!n))
		return -RAY_EIO;
	if (unlikely(!vnet_filter_wants(__atomic_load_n(&n->filter, __ATOMIC_ACQUIRE), f)))
		return -RAY_EPERM;
	if (unlikely(!policy_allows(&op))) {
		(void)vhandler_refuse(h, POLICY_RECEIVE);
		return -RAY_EPERM;
	}
	q = &n->v.queue[2 * pair_of(n, f->parse.flow)];
	if (!virtq_lock(q, fast))
		return -RAY_EBUSY;
	err = receive(n, q, f, fast);
	virtq_unlock(q);
	if (likely(!err))
		vhandler_done(h, POLICY_RECEIVE, f->len, start, true);
	return err;
}
