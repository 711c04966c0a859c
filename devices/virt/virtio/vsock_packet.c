/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of a vsock (virtio 1.2, 5.10.6): what the guest's do to streams, and what it is owed.
 *
 * Headers are hostile. One that no driver of ours could have sent (wrong addresses) is dropped
 * and counted; one that breaks a stream's rules (more data than it has credit for, data behind
 * its end) resets that stream; one of no stream is answered with RST. Answers that wait for
 * buffers have bounded room: without any no further packet is taken.
 */
#include <string.h>

#include "devices/virt/handler.h"
#include "devices/virt/virtio/vsock_priv.h"
#include "kernel/lib/err.h"

extern const struct vsock_service *const __start_rayos_vsock_services[];
extern const struct vsock_service *const __stop_rayos_vsock_services[];

static const struct vsock_service *service_find(uint32_t port)
{
	for (const struct vsock_service *const *s = __start_rayos_vsock_services;
	     s < __stop_rayos_vsock_services; s++) {
		if ((*s)->port == port)
			return *s;
	}
	return NULL;
}

static struct vstream *stream_find(struct vsock *vs, uint32_t host_port, uint32_t guest_port)
{
	struct vstream *s;

	list_for_each_entry(s, &vs->streams, node) {
		if (s->host_port == host_port && s->guest_port == guest_port)
			return s;
	}
	return NULL;
}

/* --- from the guest; context: locked --- */

/* Answer a packet of no stream. There is room: vsock_packet() has looked. */
static void refuse(struct vsock *vs, const struct vsock_hdr *h)
{
	struct vsock_hdr *r = &vs->rst[(vs->rst_head + vs->rst_count) % VSOCK_RST_MAX];

	if (h->op == VSOCK_OP_RST)
		return;
	*r = (struct vsock_hdr){.src_cid = VSOCK_CID_HOST, .dst_cid = vs->cid,
				.src_port = h->dst_port, .dst_port = h->src_port,
				.type = h->type, .op = VSOCK_OP_RST};
	vs->rst_count++;
	vsock_owe(vs);
}

/* A guest connects. @s: memory for the stream, NULL: none left. True: it is in the table. */
static bool request(struct vsock *vs, const struct vsock_hdr *h, struct vstream *s,
		    const struct vsock_service *service)
{
	if (!s || !service)
		return false;
	s->service = service;
	s->host_port = h->dst_port;
	s->guest_port = h->src_port;
	s->guest_alloc = h->buf_alloc;
	s->guest_fwd = h->fwd_cnt;
	s->state = VSTREAM_OPEN;
	s->owed = OWED_RESPONSE;
	if (!vstream_add(s))
		return false;
	vsock_owe(vs);
	vstream_event(s, VSTREAM_OPENED | VSTREAM_WRITABLE);
	return true;
}

static void data_take(struct vstream *s, const struct vsock_hdr *h, const struct virtq_chain *c)
{
	struct vstream_ring *r = &s->rx;
	uint32_t at = (r->head + r->used) % VSTREAM_BUF;
	uint32_t first = MIN(h->len, (uint32_t)VSTREAM_BUF - at);

	virtq_chain_read(c, sizeof(*h), r->bytes + at, first);
	virtq_chain_read(c, (uint32_t)sizeof(*h) + first, r->bytes, h->len - first);
	r->used += h->len;
	s->rx_cnt += h->len;
	s->bytes_out += h->len;
	vstream_event(s, VSTREAM_READABLE);
}

static bool data_allowed(const struct vstream *s, const struct vsock_hdr *h)
{
	return s->state == VSTREAM_OPEN && !(s->guest_shut & VSOCK_SHUT_SEND) &&
	       h->len <= VSTREAM_BUF - s->rx.used;
}

static void data(struct vstream *s, const struct vsock_hdr *h, const struct virtq_chain *c)
{
	if (!data_allowed(s, h)) {
		vstream_reset(s);
	} else if (s->closed) {
		/* Nobody reads it any more; the guest will see the end. */
		s->fwd_cnt += h->len;
		s->rx_cnt += h->len;
	} else {
		data_take(s, h, c);
	}
}

static void shutdown(struct vstream *s, uint32_t flags)
{
	if (s->state != VSTREAM_OPEN) {
		vstream_reset(s);
		return;
	}
	s->guest_shut |= flags & VSOCK_SHUT_BOTH;
	if (s->guest_shut & VSOCK_SHUT_RCV)
		s->tx.used = 0;
	/* Both ways: an RST is the answer (5.10.6.5). What has come may still be read. */
	if (s->guest_shut == VSOCK_SHUT_BOTH)
		vstream_reset(s);
	else
		vstream_event(s, VSTREAM_READABLE);
}

static void stream_packet(struct vstream *s, const struct vsock_hdr *h,
			  const struct virtq_chain *c)
{
	s->guest_alloc = h->buf_alloc;
	s->guest_fwd = h->fwd_cnt;
	switch (h->op) {
	case VSOCK_OP_RESPONSE:
		if (s->state != VSTREAM_CONNECTING || (s->owed & OWED_REQUEST))
			break;
		s->state = VSTREAM_OPEN;
		vstream_event(s, VSTREAM_WRITABLE);
		return;
	case VSOCK_OP_RST:
		vstream_end(s);
		return;
	case VSOCK_OP_SHUTDOWN:
		shutdown(s, h->flags);
		return;
	case VSOCK_OP_RW:
		data(s, h, c);
		return;
	case VSOCK_OP_CREDIT_REQUEST:
		s->owed |= OWED_CREDIT;
		vsock_owe(s->vs);
		return;
	case VSOCK_OP_CREDIT_UPDATE:
		vsock_owe(s->vs);
		return;
	default: /* a second request, or nothing we know */
		break;
	}
	vstream_reset(s);
}

/* Ours, and a stream's. */
static bool addressed(const struct vsock *vs, const struct vsock_hdr *h)
{
	return h->src_cid == vs->cid && h->dst_cid == VSOCK_CID_HOST;
}

/* May it be done? Pre: locked; true without asking for packets that move nothing. */
static enum vhandler_verdict admit(struct vhandler *handler, const struct vsock_hdr *h,
				   uint64_t now, uint64_t *when)
{
	if (h->op == VSOCK_OP_REQUEST)
		return vhandler_admit_cost(handler, POLICY_CONNECT, h->dst_port, 0, now, when);
	if (h->op == VSOCK_OP_RW)
		return vhandler_admit(handler, POLICY_SEND, h->len, now, when);
	return VHANDLER_GO;
}

static void packet(struct vsock *vs, const struct vsock_hdr *h, const struct virtq_chain *c,
		   struct vstream *spare, bool denied)
{
	struct vstream *s = stream_find(vs, h->dst_port, h->src_port);

	if (s && s->state == VSTREAM_RESET) {
		if (h->op == VSOCK_OP_RST)
			vstream_end(s);
	} else if (s && denied) {
		vstream_reset(s);
	} else if (s && h->type == VSOCK_TYPE_STREAM) {
		stream_packet(s, h, c);
	} else if (denied || h->type != VSOCK_TYPE_STREAM || h->op != VSOCK_OP_REQUEST ||
		   !request(vs, h, spare, service_find(h->dst_port))) {
		refuse(vs, h);
	}
}

int vsock_packet(struct vsock *vs, struct vhandler *handler, const struct vsock_hdr *h,
		 const struct virtq_chain *c, uint64_t *when)
{
	enum policy_verb verb = h->op == VSOCK_OP_REQUEST ? POLICY_CONNECT : POLICY_SEND;
	struct vstream *spare = NULL;
	enum vhandler_verdict verdict;
	uint64_t now = rdtsc();
	bool full;

	*when = 0;
	if (!addressed(vs, h)) {
		__atomic_fetch_add(&handler->malformed, 1, __ATOMIC_RELAXED);
		return 0;
	}
	spin_lock(&vs->lock);
	full = vs->receive_waits = vs->rst_count == VSOCK_RST_MAX;
	spin_unlock(&vs->lock);
	if (full)
		return -RAY_EAGAIN;
	verdict = admit(handler, h, now, when);
	if (verdict == VHANDLER_WAIT)
		return -RAY_EAGAIN;
	if (h->op == VSOCK_OP_REQUEST)
		spare = vstream_alloc(vs);
	spin_lock(&vs->lock);
	packet(vs, h, c, spare, verdict == VHANDLER_DENIED);
	spin_unlock(&vs->lock);
	/* The table has a reference of its own. */
	if (spare)
		vstream_put(spare);
	if (verdict == VHANDLER_GO && (h->op == VSOCK_OP_REQUEST || h->op == VSOCK_OP_RW))
		vhandler_done(handler, verb, h->op == VSOCK_OP_RW ? h->len : 0, now, true);
	return 0;
}

/* --- to the guest; context: locked --- */

/* Bytes the guest has room for (5.10.6.3). A count beyond what was sent is no room at all. */
static uint32_t credit(const struct vstream *s)
{
	uint32_t on_the_way = s->tx_cnt - s->guest_fwd;

	return on_the_way < s->guest_alloc ? s->guest_alloc - on_the_way : 0;
}

/* What a stream has to say next; VSOCK_OP_INVALID: nothing. */
static enum vsock_op stream_op(const struct vstream *s)
{
	if (s->state == VSTREAM_RESET)
		return VSOCK_OP_RST;
	if (s->owed & OWED_REQUEST)
		return VSOCK_OP_REQUEST;
	if (s->owed & OWED_RESPONSE)
		return VSOCK_OP_RESPONSE;
	if (s->state != VSTREAM_OPEN)
		return VSOCK_OP_INVALID;
	if (s->tx.used > 0 && credit(s) > 0)
		return VSOCK_OP_RW;
	if (s->owed & OWED_CREDIT)
		return VSOCK_OP_CREDIT_UPDATE;
	return s->tx.used == 0 && (s->owed & OWED_SHUTDOWN) ? VSOCK_OP_SHUTDOWN : VSOCK_OP_INVALID;
}

static struct vstream *stream_next(struct vsock *vs)
{
	struct vstream *s;

	list_for_each_entry(s, &vs->streams, node) {
		if (stream_op(s) != VSOCK_OP_INVALID)
			return s;
	}
	return NULL;
}

static uint32_t header_put(struct vstream *s, enum vsock_op op, uint32_t len,
			   const struct virtq_chain *c)
{
	struct vsock_hdr h = {.src_cid = VSOCK_CID_HOST, .dst_cid = s->vs->cid,
			      .src_port = s->host_port, .dst_port = s->guest_port, .len = len,
			      .type = VSOCK_TYPE_STREAM, .op = (uint16_t)op,
			      .flags = op == VSOCK_OP_SHUTDOWN ? VSOCK_SHUT_BOTH : 0,
			      .buf_alloc = VSTREAM_BUF, .fwd_cnt = s->fwd_cnt};

	/* Each packet tells of the room. */
	s->fwd_told = s->fwd_cnt;
	s->owed &= ~(uint32_t)OWED_CREDIT;
	return virtq_chain_write(c, 0, &h, sizeof(h));
}

static uint32_t data_put(struct vstream *s, const struct virtq_chain *c, uint32_t len)
{
	uint32_t done = header_put(s, VSOCK_OP_RW, len, c);
	uint32_t first = MIN(len, (uint32_t)VSTREAM_BUF - s->tx.head);
	bool full = s->tx.used > VSTREAM_BUF / 2;

	virtq_chain_write(c, done, s->tx.bytes + s->tx.head, first);
	virtq_chain_write(c, done + first, s->tx.bytes, len - first);
	s->tx.head = (s->tx.head + len) % VSTREAM_BUF;
	s->tx.used -= len;
	s->tx_cnt += len;
	s->bytes_in += len;
	if (full && s->tx.used <= VSTREAM_BUF / 2)
		vstream_event(s, VSTREAM_WRITABLE);
	return done + len;
}

/* Data, once admitted. Returns as vsock_next(). */
static int data_next(struct vstream *s, struct vhandler *handler, const struct virtq_chain *c,
		     uint64_t *when)
{
	uint32_t len = MIN(MIN(s->tx.used, credit(s)), c->in_len - (uint32_t)sizeof(struct vsock_hdr));
	uint64_t now = rdtsc();
	int n;

	switch (vhandler_admit(handler, POLICY_RECEIVE, len, now, when)) {
	case VHANDLER_GO:
		n = (int)data_put(s, c, len);
		vhandler_done(handler, POLICY_RECEIVE, len, now, true);
		return n;
	case VHANDLER_WAIT:
		return -RAY_EAGAIN;
	case VHANDLER_DENIED:
		break;
	}
	vstream_reset(s);
	return 0;
}

static int stream_say(struct vstream *s, enum vsock_op op, struct vhandler *handler,
		      const struct virtq_chain *c, uint64_t *when)
{
	uint32_t n;

	/* The others' turn is next. */
	list_move_tail(&s->node, &s->vs->streams);
	if (op == VSOCK_OP_RW)
		return data_next(s, handler, c, when);
	n = header_put(s, op, 0, c);
	if (op == VSOCK_OP_REQUEST)
		s->owed &= ~(uint32_t)OWED_REQUEST;
	else if (op == VSOCK_OP_RESPONSE)
		s->owed &= ~(uint32_t)OWED_RESPONSE;
	else if (op == VSOCK_OP_SHUTDOWN)
		s->owed &= ~(uint32_t)OWED_SHUTDOWN;
	else if (op == VSOCK_OP_RST)
		vstream_end(s);
	return (int)n;
}

/* The answers to packets of no stream go first: they hold up the others. */
static int refusal_next(struct vsock *vs, const struct virtq_chain *c)
{
	uint32_t n = virtq_chain_write(c, 0, &vs->rst[vs->rst_head], sizeof(vs->rst[0]));

	vs->rst_head = (vs->rst_head + 1) % VSOCK_RST_MAX;
	vs->rst_count--;
	if (vs->receive_waits && vs->client)
		vs->client->receive(vs->client);
	vs->receive_waits = false;
	return (int)n;
}

int vsock_next(struct vsock *vs, struct vhandler *handler, const struct virtq_chain *c,
	       uint64_t *when)
{
	struct vstream *s;
	int n = 0;

	spin_lock(&vs->lock);
	if (vs->rst_count > 0)
		n = refusal_next(vs, c);
	while (n == 0 && (s = stream_next(vs)) != NULL)
		n = stream_say(s, stream_op(s), handler, c, when);
	spin_unlock(&vs->lock);
	return n;
}

bool vsock_owes(struct vsock *vs)
{
	bool owes;

	spin_lock(&vs->lock);
	owes = vs->rst_count > 0 || stream_next(vs) != NULL;
	spin_unlock(&vs->lock);
	return owes;
}
