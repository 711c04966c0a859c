/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entropy device (virtio 1.2, 5.4): fills the driver's buffers from the DRBG, by way of a small
 * stock, as the generator takes its time and may sleep. What was given is wiped from it.
 * Owns: the stock. Must not know: where randomness comes from.
 * Without a seed the buffers wait and the generator is asked again: blocked, never weak.
 * Locking: the queue's lock for the stock, but while `filling`: then it is the I/O thread's.
 */
#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/virtio/virtio.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"
#include "security/drbg.h"

#define STOCK    1024u
#define TURN_MAX 64u /* buffers a turn */
#define RETRY_NS 1000000000ull /* when a blocked generator is asked again */

struct rng {
	struct virtio_dev v;
	struct vio_work refill;
	bool filling;
	uint32_t left; /* bytes of stock, at its beginning */
	uint8_t stock[STOCK];
};

static struct rng *rng_of(struct virtio_dev *d)
{
	return container_of(d, struct rng, v);
}

static void give(struct rng *r, const struct virtq_chain *c, uint32_t len)
{
	uint8_t *from = r->stock + r->left - len;

	(void)virtq_chain_write(c, 0, from, len);
	memset(from, 0, len);
	r->left -= len;
}

/* Answer one buffer from what is in stock; the driver asks again for more (5.4.6.1). */
static enum vhandler_verdict answer(struct rng *r, struct virtq *q, const struct virtq_chain *c,
				    uint64_t *when)
{
	struct vhandler *h = &r->v.attach->handler;
	uint32_t len = MIN(c->in_len, r->left);
	uint64_t now = rdtsc();
	enum vhandler_verdict v = vhandler_admit(h, POLICY_READ, len, now, when);

	if (v == VHANDLER_GO) {
		give(r, c, len);
		vhandler_done(h, POLICY_READ, len, now, true);
	}
	if (v != VHANDLER_WAIT)
		virtq_done(q, c, v == VHANDLER_GO ? len : 0);
	return v;
}

static enum virtq_result rng_serve(struct virtio_dev *d, struct virtq *q, bool fast)
{
	struct rng *r = rng_of(d);
	enum virtq_result result = VIRTQ_MORE;
	struct virtq_chain *c;
	uint64_t when;

	(void)fast;
	for (unsigned int i = 0; i < TURN_MAX; i++) {
		int got = virtq_next(q, &c);

		if (got <= 0) {
			result = got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
			break;
		}
		if (r->filling || r->left == 0) {
			if (!r->filling)
				vio_queue(d->io, &r->refill);
			r->filling = true;
			result = VIRTQ_WAIT;
			break;
		}
		if (answer(r, q, c, &when) == VHANDLER_WAIT) {
			result = virtq_wait_until(q, when);
			break;
		}
	}
	virtq_flush(q);
	return result;
}

static void rng_refill(struct vio_work *w)
{
	struct rng *r = container_of(w, struct rng, refill);
	struct virtq *q = &r->v.queue[0];
	int err = drbg_read(r->stock, STOCK);

	(void)virtq_lock(q, false);
	r->filling = false;
	r->left = err ? 0 : STOCK;
	if (err)
		(void)virtq_wait_until(q, time_ns_to_tsc(time_now() + RETRY_NS));
	virtq_unlock(q);
	if (!err)
		virtq_kick(q);
}

static void rng_destroy(struct virtio_dev *d)
{
	struct rng *r = rng_of(d);

	memset(r->stock, 0, sizeof(r->stock));
	kfree(r);
}

/* Also before it goes: a refill may be on its way. */
static void rng_quiesce(struct virtio_dev *d)
{
	struct rng *r = rng_of(d);

	vio_cancel(d->io, &r->refill);
	timer_cancel(&d->queue[0].timer);
	r->filling = false;
}

static const struct virtio_ops rng_ops = {
	.name = "virtio-rng",
	.id = VIRTIO_ID_ENTROPY,
	.pci_class = 0x1000, /* network and computing encryption */
	.state_version = 1,
	.serve = rng_serve,
	.quiesce = rng_quiesce,
	.destroy = rng_destroy,
};

static int rng_open(struct vattach *a, struct spec *s)
{
	struct quota_limits limits = {0};
	int err = spec_size(s, "rate", &limits.bytes_per_second);

	if (!err && a)
		vhandler_limit(&a->handler, &limits);
	return err;
}

static void rng_close(struct vattach *a)
{
	(void)a;
}

static int rng_create(struct vattach *a, struct virtio_dev **out)
{
	const struct virtio_init init = {.ops = &rng_ops, .attach = a, .queues = 1};
	struct rng *r = kzalloc(sizeof(*r), MEM_VDEV);
	int err = r ? virtio_dev_init(&r->v, a->vm, &init) : -RAY_ENOMEM;

	if (err) {
		kfree(r);
		return err;
	}
	vio_work_init(&r->refill, rng_refill);
	*out = &r->v;
	return 0;
}

static const struct vhandler_verb_name rng_verbs[] = {{"read", POLICY_READ}, {0}};

static const struct vkind vkind_rng = {
	.name = "rng",
	.summary = "random numbers",
	.options = "rate=BYTES a second",
	.example = "rate=64K",
	.policy = POLICY_RNG,
	.single = true,
	.verbs = rng_verbs,
	.open = rng_open,
	.close = rng_close,
	.create = rng_create,
};
VKIND(rng);
