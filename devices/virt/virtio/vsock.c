/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket device (virtio 1.2, 5.10): streams between a guest and the host, without a network.
 * Owns: its queues, the event of a reset. Must not know: what is said on the streams.
 *
 * Streams are not part of a record: a guest that is restored is told that its transport was
 * reset (5.10.6.7) and sees its streams end, as its peers did long ago.
 */
#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/virtio/virtio.h"
#include "devices/virt/virtio/vsock_priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"

#define F_STREAM BIT(0)

enum { Q_RX, Q_TX, Q_EVENT, QUEUES };

#define CONFIG_SIZE 8u /* guest_cid */
#define EVENT_TRANSPORT_RESET 0u

/* Packets of one turn of the I/O thread; each at most a stream's buffer. */
#define TURN_MAX 16u

struct vsock_dev {
	struct virtio_dev v;
	struct vsock_client client;
	struct vsock *vs;      /* the attachment's */
	struct vio_work work;
	struct timer timer;    /* of the next deadline */
	volatile bool reset_owed; /* the event */
};

static struct vsock_dev *vsock_of(struct virtio_dev *d)
{
	return container_of(d, struct vsock_dev, v);
}

/* --- queues --- */

static enum virtq_result transmit(struct vsock_dev *vd, struct virtq *q)
{
	struct vhandler *handler = &vd->v.attach->handler;
	struct virtq_chain *c;
	struct vsock_hdr h;
	uint64_t when;

	for (unsigned int turn = 0; turn < TURN_MAX; turn++) {
		int got = virtq_next(q, &c);

		if (got <= 0)
			return got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
		if (virtq_chain_read(c, 0, &h, sizeof(h)) < sizeof(h)) {
			virtio_dev_break(&vd->v, "packet shorter than its header");
			return VIRTQ_IDLE;
		}
		if (h.len > c->out_len - sizeof(h)) {
			virtio_dev_break(&vd->v, "packet longer than its buffers");
			return VIRTQ_IDLE;
		}
		if (vsock_packet(vd->vs, handler, &h, c, &when))
			return when ? virtq_wait_until(q, when) : VIRTQ_WAIT;
		virtq_done(q, c, 0);
	}
	return VIRTQ_MORE;
}

static enum virtq_result receive(struct vsock_dev *vd, struct virtq *q)
{
	struct vhandler *handler = &vd->v.attach->handler;
	struct virtq_chain *c;
	uint64_t when;

	for (unsigned int turn = 0; turn < TURN_MAX; turn++) {
		int got, n;

		if (!vsock_owes(vd->vs))
			return VIRTQ_IDLE;
		got = virtq_next(q, &c);
		if (got <= 0)
			return got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
		if (c->in_len <= sizeof(struct vsock_hdr)) {
			virtio_dev_break(&vd->v, "receive buffer without room for data");
			return VIRTQ_IDLE;
		}
		n = vsock_next(vd->vs, handler, c, &when);
		if (n == -RAY_EAGAIN)
			return virtq_wait_until(q, when);
		if (n > 0)
			virtq_done(q, c, (uint32_t)n);
	}
	return VIRTQ_MORE;
}

static enum virtq_result events(struct vsock_dev *vd, struct virtq *q)
{
	const uint32_t id = EVENT_TRANSPORT_RESET;
	struct virtq_chain *c;
	int got;

	if (!vd->reset_owed)
		return VIRTQ_IDLE;
	got = virtq_next(q, &c);
	if (got <= 0)
		return got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
	if (virtq_chain_write(c, 0, &id, sizeof(id)) < sizeof(id)) {
		virtio_dev_break(&vd->v, "event buffer shorter than an event");
		return VIRTQ_IDLE;
	}
	virtq_done(q, c, sizeof(id));
	vd->reset_owed = false;
	return VIRTQ_IDLE;
}

static enum virtq_result vsock_serve(struct virtio_dev *d, struct virtq *q, bool fast)
{
	struct vsock_dev *vd = vsock_of(d);
	enum virtq_result r;

	if (fast)
		return VIRTQ_MORE; /* streams are allocated, services run */
	switch (q->index) {
	case Q_RX:
		r = receive(vd, q);
		break;
	case Q_TX:
		r = transmit(vd, q);
		break;
	default:
		r = events(vd, q);
		break;
	}
	virtq_flush(q);
	return r;
}

/* --- what the streams want; context: vsock->lock held --- */

static void client_send(struct vsock_client *c)
{
	virtq_kick(&container_of(c, struct vsock_dev, client)->v.queue[Q_RX]);
}

static void client_receive(struct vsock_client *c)
{
	virtq_kick(&container_of(c, struct vsock_dev, client)->v.queue[Q_TX]);
}

static void client_work(struct vsock_client *c)
{
	struct vsock_dev *vd = container_of(c, struct vsock_dev, client);

	vio_queue(vd->v.io, &vd->work);
}

static void vsock_dev_work(struct vio_work *w)
{
	struct vsock_dev *vd = container_of(w, struct vsock_dev, work);

	timer_set_ns(&vd->timer, vsock_work(vd->vs));
}

static void timer_work(struct timer *t)
{
	struct vsock_dev *vd = container_of(t, struct vsock_dev, timer);

	vio_queue(vd->v.io, &vd->work);
}

/* --- life --- */

static void vsock_dev_reset(struct virtio_dev *d)
{
	vsock_of(d)->reset_owed = false;
	vsock_reset(vsock_of(d)->vs);
}

static void vsock_quiesce(struct virtio_dev *d)
{
	struct vsock_dev *vd = vsock_of(d);

	vsock_client_set(vd->vs, NULL);
	/* The work sets the timer and the timer queues the work: once more after each. */
	vio_cancel(d->io, &vd->work);
	timer_cancel(&vd->timer);
	vio_cancel(d->io, &vd->work);
	timer_cancel(&vd->timer);
}

static void cid_show(struct vsock_dev *vd)
{
	uint64_t flags = spin_lock_irqsave(&vd->v.lock);

	for (unsigned int i = 0; i < CONFIG_SIZE; i++)
		vd->v.config[i] = (uint8_t)(vd->vs->cid >> (8 * i));
	spin_unlock_irqrestore(&vd->v.lock, flags);
}

static void vsock_resume(struct virtio_dev *d)
{
	struct vsock_dev *vd = vsock_of(d);

	/* A record may have come from a device of another CID; the event makes the driver look. */
	cid_show(vd);
	vsock_client_set(vd->vs, &vd->client);
	vio_queue(d->io, &vd->work);
}

static void vsock_save(struct virtio_dev *d, struct state_buf *b)
{
	state_put_u8(b, vsock_of(d)->reset_owed);
}

static int vsock_load(struct virtio_dev *d, struct state_buf *b, uint32_t version)
{
	uint8_t owed = state_get_u8(b);

	if (version != d->ops->state_version || b->bad || owed > 1)
		return -RAY_EINVAL;
	vsock_reset(vsock_of(d)->vs);
	/* To a driver that has not begun it says nothing new. */
	vsock_of(d)->reset_owed = true;
	return 0;
}

static void vsock_dev_destroy(struct virtio_dev *d)
{
	struct vsock_dev *vd = vsock_of(d);

	vsock_reset(vd->vs);
	(void)vsock_work(vd->vs);
	kfree(vd);
}

static const struct virtio_ops vsock_ops = {
	.name = "virtio-vsock",
	.id = VIRTIO_ID_SOCKET,
	.pci_class = 0x0780, /* communication controller, other */
	.state_version = 1,
	.serve = vsock_serve,
	.reset = vsock_dev_reset,
	.quiesce = vsock_quiesce,
	.resume = vsock_resume,
	.save = vsock_save,
	.load = vsock_load,
	.destroy = vsock_dev_destroy,
};

/* --- attachment --- */

static int vsock_open(struct vattach *a, struct spec *s)
{
	struct quota_limits limits = {0};
	struct vsock *vs;
	uint64_t cid = 0;
	int err = spec_u64(s, "cid", VSOCK_CID_MIN, VSOCK_CID_MAX, &cid);

	if (!err)
		err = spec_size(s, "rate", &limits.bytes_per_second);
	if (err || !a)
		return err;
	err = vsock_create(a->vm, cid, &vs, s->why, s->why_len);
	if (err)
		return err;
	a->back = vs;
	vhandler_limit(&a->handler, &limits);
	return 0;
}

static void vsock_close(struct vattach *a)
{
	vsock_destroy(a->back);
}

static int vsock_create_dev(struct vattach *a, struct virtio_dev **out)
{
	const struct virtio_init init = {.ops = &vsock_ops, .attach = a, .features = F_STREAM,
					 .config_size = CONFIG_SIZE, .queues = QUEUES};
	struct vsock_dev *vd = kzalloc(sizeof(*vd), MEM_VDEV);
	int err;

	if (!vd)
		return -RAY_ENOMEM;
	vd->vs = a->back;
	vd->client = (struct vsock_client){.send = client_send, .receive = client_receive,
					   .work = client_work};
	vio_work_init(&vd->work, vsock_dev_work);
	timer_init(&vd->timer, timer_work);
	err = virtio_dev_init(&vd->v, a->vm, &init);
	if (err) {
		kfree(vd);
		return err;
	}
	cid_show(vd);
	vsock_client_set(vd->vs, &vd->client);
	*out = &vd->v;
	return 0;
}

static void vsock_describe(struct vattach *a, char *buf, size_t len)
{
	const struct vsock *vs = a->back;

	ray_snprintf(buf, len, "cid %llu, %u of %u streams", (unsigned long long)vs->cid,
		     vs->stream_count, VSOCK_STREAMS_MAX);
}

static const struct vhandler_verb_name vsock_verbs[] = {
	{"send", POLICY_SEND}, {"receive", POLICY_RECEIVE}, {"connect", POLICY_CONNECT}, {0},
};

static const struct vkind vkind_vsock = {
	.name = "vsock",
	.summary = "streams between guest and host",
	.options = "cid=NUMBER (3 and up, unique; else 2 + the VM's number), rate=BYTES a second",
	.example = "cid=42",
	.policy = POLICY_VSOCK,
	.single = true,
	.verbs = vsock_verbs,
	.open = vsock_open,
	.close = vsock_close,
	.create = vsock_create_dev,
	.describe = vsock_describe,
};
VKIND(vsock);

/* --- the host connects --- */

static struct vsock *vsock_find(struct vm *vm)
{
	struct vattach *a;

	list_for_each_entry(a, &vm->attached, node) {
		if (a->kind == &vkind_vsock)
			return a->back;
	}
	return NULL;
}

int vstream_connect(struct vm *vm, uint32_t port, struct vstream **out)
{
	struct vsock *vs = vsock_find(vm);
	struct vstream *s;
	int err = 0;

	if (!vs)
		return -RAY_ENODEV;
	s = vstream_alloc(vs);
	if (!s)
		return -RAY_ENOMEM;
	spin_lock(&vs->lock);
	/* It wraps after 2^31; by then the stream of that number is long gone. */
	s->host_port = vs->next_port++ | VSOCK_PORT_EPHEMERAL;
	s->guest_port = port;
	s->state = VSTREAM_CONNECTING;
	s->owed = OWED_REQUEST;
	if (!vs->client)
		err = -RAY_ENODEV;
	else if (!vstream_add(s))
		err = -RAY_ENOSPC;
	else
		vsock_owe(vs);
	spin_unlock(&vs->lock);
	if (err)
		vstream_put(s);
	else
		*out = s;
	return err;
}
