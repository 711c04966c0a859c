/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transmit queues of the network device: from the driver's buffers into the switch.
 * The header and the first bytes of a frame are copied once; what is checked is the copy, and
 * the copy is what is sent (net/frame.h).
 */
#include "devices/virt/virtio/net_priv.h"

#include "kernel/lib/err.h"
#include "kernel/time/time.h"

/* What one turn sends before somebody else gets the CPU; a single frame may be longer. */
#define FAST_BYTES (16u << 10)
#define TURN_BYTES (256u << 10)

/* A receiver whose buffers come back from the host: asked again that often, that much later. */
#define TRIES_MAX 4u
#define RETRY_NS  100000ull

static inline bool offloads_negotiated(const struct vnet *n, const struct net_frame *f)
{
	uint32_t wants = f->flags ? NET_CAP_CSUM : 0;
	unsigned int gso = f->gso_type & ~NET_GSO_ECN;

	if (gso == NET_GSO_TCPV4)
		wants |= NET_CAP_TSO4;
	else if (gso == NET_GSO_TCPV6)
		wants |= NET_CAP_TSO6;
	if (f->gso_type & NET_GSO_ECN)
		wants |= NET_CAP_ECN;
	return !(wants & ~n->tx_caps);
}

/*
 * The chain as a frame. Returns: 0; why it is to be dropped; -RAY_EFAULT: not even a header,
 * which no driver does.
 */
static inline int frame_read(struct vnet *n, const struct virtq_chain *c, uint8_t *head,
			     struct net_frame *f)
{
	struct vnet_hdr h;
	int err;

	if (unlikely(!virtq_chain_head(c, &h, VNET_HDR_SIZE)))
		return -RAY_EFAULT;
	err = net_frame_begin(f, head, (const struct net_seg *)c->seg, c->out_count, VNET_HDR_SIZE,
			      c->out_len);
	if (unlikely(err))
		return err;
	f->flags = h.flags & NET_F_NEEDS_CSUM; /* all others are to be ignored (5.1.6.2.1) */
	f->gso_type = h.gso_type;
	f->gso_size = h.gso_size;
	f->csum_start = h.csum_start;
	f->csum_offset = h.csum_offset;
	return offloads_negotiated(n, f) ? 0 : -RAY_EPROTO;
}

/* The driver's queue for this flow will be the one it receives on (5.1.6.5.5). */
static inline void flow_note(struct vnet *n, const struct net_frame *f, uint8_t pair)
{
	uint8_t *at = &n->flow[f->parse.flow % VNET_FLOWS];

	if (n->pairs > 1 && f->parse.flow && __atomic_load_n(at, __ATOMIC_RELAXED) != pair + 1u)
		__atomic_store_n(at, (uint8_t)(pair + 1u), __ATOMIC_RELAXED);
}

/*
 * Quota and policy, once for a frame: one that could not be sent at once is still at the head
 * of its queue, and paid for unless the driver has made another length of it.
 */
static inline enum vhandler_verdict admit(struct vnet *n, struct vnet_tx *tx, uint32_t len,
					  uint64_t *when)
{
	enum vhandler_verdict v;
	uint64_t now;

	if (unlikely(tx->admitted == len))
		return VHANDLER_GO;
	now = rdtsc();
	v = vhandler_admit(&n->v.attach->handler, POLICY_SEND, len, now, when);
	if (likely(v == VHANDLER_GO)) {
		tx->admitted = len;
		tx->start = now;
		tx->tries = 0;
	}
	return v;
}

/* Into the switch. Returns 0: gone, one way or the other; else not now. */
static inline int frame_send(struct vnet *n, struct vnet_tx *tx, struct net_frame *f, bool fast)
{
	int err = net_send(&n->back->port, f, fast);

	/* Only so often: the receiver may never have its buffers there. */
	if (unlikely(err == -RAY_EAGAIN) && tx->tries++ >= TRIES_MAX) {
		net_port_drop(&n->back->port, NET_DROP_NO_BUFFER);
		err = 0;
	}
	return err;
}

/* Returns true: the chain is done, go on; false: stop with *r. */
static bool tx_one(struct vnet *n, struct virtq *q, const struct virtq_chain *c, bool fast,
		   enum virtq_result *r, uint32_t *bytes)
{
	struct vnet_tx *tx = &n->tx[q->index / 2];
	uint8_t head[NET_HEAD_MAX];
	struct net_frame f;
	uint64_t when;
	int err = frame_read(n, c, head, &f);

	if (unlikely(err == -RAY_EFAULT)) {
		virtio_dev_break(&n->v, "frame without a header");
		*r = VIRTQ_IDLE;
		return false;
	}
	if (unlikely(err)) {
		net_port_drop(&n->back->port,
			      err == -RAY_E2BIG ? NET_DROP_TOO_LONG : NET_DROP_MALFORMED);
		virtq_done(q, c, 0);
		return true;
	}
	switch (admit(n, tx, f.len, &when)) {
	case VHANDLER_GO:
		break;
	case VHANDLER_WAIT:
		*r = virtq_wait_until(q, when);
		return false;
	case VHANDLER_DENIED:
		net_port_drop(&n->back->port, NET_DROP_FILTER);
		virtq_done(q, c, 0);
		return true;
	}
	err = frame_send(n, tx, &f, fast);
	if (unlikely(err)) {
		*r = err == -RAY_EAGAIN && !fast
			     ? virtq_wait_until(q, time_ns_to_tsc(time_now() + RETRY_NS))
			     : VIRTQ_MORE;
		return false;
	}
	flow_note(n, &f, (uint8_t)(q->index / 2));
	tx->admitted = 0;
	vhandler_done(&n->v.attach->handler, POLICY_SEND, f.len, tx->start, true);
	virtq_done(q, c, 0);
	*bytes += f.len;
	return true;
}

enum virtq_result vnet_tx_serve(struct vnet *n, struct virtq *q, bool fast)
{
	uint32_t limit = fast ? FAST_BYTES : TURN_BYTES, bytes = 0;
	enum virtq_result r = VIRTQ_IDLE;
	struct virtq_chain *c;
	int got;

	do {
		got = virtq_next(q, &c);
		if (got <= 0)
			break;
		/* Interrupts are off: a long frame behind others waits for the thread. */
		if (fast && unlikely(bytes && bytes + c->out_len > limit)) {
			got = -RAY_EAGAIN;
			break;
		}
		if (!tx_one(n, q, c, fast, &r, &bytes))
			break;
		/* Asked before the next chain is walked for nothing. */
		if (unlikely(bytes >= limit) && virtq_available(q))
			got = -RAY_EAGAIN;
	} while (got > 0);
	if (unlikely(got == -RAY_EAGAIN))
		r = VIRTQ_MORE;
	virtq_flush(q);
	return r;
}
