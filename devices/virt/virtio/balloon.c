/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory balloon with free-page reporting (virtio 1.2, 5.5). Pages that the driver inflates with
 * are noted one by one; once all of a 2 MiB chunk are there, the chunk goes back to the host.
 * Ranges that it reports as free go back at once, as far as they are whole chunks. What the
 * guest touches again comes again, zeroed (hv/gmem.h).
 * Owns: which pages are in the balloon. Must not know: where memory goes.
 * Locking: queue locks while a request is copied; giving memory back waits for the vCPUs, so it
 * is done by work of its own on the I/O thread, without locks. The bitmap is that thread's.
 */
#include "devices/virt/virtio/balloon.h"

#include <string.h>

#include "devices/virt/virtio/virtio.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/unaligned.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"

#define F_STATS     BIT(1)
#define F_ON_OOM    BIT(2)
#define F_REPORTING BIT(5)

/* struct virtio_balloon_config (5.5.4) */
#define CONFIG_TARGET 0u
#define CONFIG_ACTUAL 4u
#define CONFIG_SIZE   8u

#define QUEUES       4u
#define PAGES_MAX    1024u /* of one request; Linux has 256 */
#define RANGES_MAX   64u   /* given back at once */
#define TURN_MAX     16u   /* requests a turn */
#define CHUNK_PAGES  (GMEM_CHUNK_SIZE / PAGE_SIZE)
#define CHUNK_WORDS  (CHUNK_PAGES / 64)

enum role { INFLATE, DEFLATE, STATS, REPORTING };

struct balloon;

struct balloon_queue {
	struct vio_work work; /* does what a request asks for */
	struct balloon *b;
	struct virtq *q;
	enum role role;
};

struct balloon {
	struct virtio_dev v;
	struct balloon_queue bq[QUEUES];
	uint64_t *bits; /* a bit for each page of RAM, regions one behind the other */
	uint64_t words, held;
	uint64_t returned;
	bool stats_wanted, stats_known;
	uint64_t stats[VBALLOON_STATS];
	/* One request, copied. */
	uint32_t pfn[PAGES_MAX];
	struct gmem_range range[RANGES_MAX];
};

static struct balloon *balloon_of(struct virtio_dev *d)
{
	return container_of(d, struct balloon, v);
}

/* --- pages and chunks --- */

/* Number of the page in the bitmap. False: no RAM there. Trust: pfn. */
static bool page_index(const struct balloon *b, uint64_t pfn, uint64_t *index)
{
	const struct gmem *m = &b->v.dev.vm->mem;
	uint64_t before = 0;

	for (unsigned int i = 0; i < m->count; i++) {
		const struct gmem_region *r = &m->region[i];
		uint64_t page = pfn - r->base.v / PAGE_SIZE; /* huge below it */

		if (r->type == GMEM_RAM && page < r->size / PAGE_SIZE) {
			*index = before + page;
			return *index / 64 < b->words;
		}
		if (r->type == GMEM_RAM)
			before += r->size / PAGE_SIZE;
	}
	return false;
}

static bool chunk_full(const struct balloon *b, uint64_t index)
{
	const uint64_t *w = b->bits + index / CHUNK_PAGES * CHUNK_WORDS;

	for (unsigned int i = 0; i < CHUNK_WORDS; i++) {
		if (w[i] != UINT64_MAX)
			return false;
	}
	return true;
}

static uint64_t give_back(struct balloon *b, unsigned int ranges)
{
	uint64_t bytes = ranges ? gmem_release(b->v.dev.vm, b->range, ranges) : 0;

	b->returned += bytes;
	return bytes;
}

static void inflate(struct balloon *b, uint32_t pages)
{
	unsigned int ranges = 0;

	for (uint32_t i = 0; i < pages; i++) {
		uint64_t index;

		if (!page_index(b, b->pfn[i], &index) || (b->bits[index / 64] & BIT(index % 64)))
			continue;
		b->bits[index / 64] |= BIT(index % 64);
		b->held++;
		if (!chunk_full(b, index))
			continue;
		b->range[ranges++] = (struct gmem_range){
			.gpa = GPA(ALIGN_DOWN((uint64_t)b->pfn[i] * PAGE_SIZE, GMEM_CHUNK_SIZE)),
			.len = GMEM_CHUNK_SIZE};
		if (ranges == RANGES_MAX) {
			(void)give_back(b, ranges);
			ranges = 0;
		}
	}
	(void)give_back(b, ranges);
}

/* Nothing more to do: what the guest touches comes by itself. */
static void deflate(struct balloon *b, uint32_t pages)
{
	for (uint32_t i = 0; i < pages; i++) {
		uint64_t index;

		if (!page_index(b, b->pfn[i], &index) || !(b->bits[index / 64] & BIT(index % 64)))
			continue;
		b->bits[index / 64] &= ~BIT(index % 64);
		b->held--;
	}
}

/* --- requests --- */

/* Copies page numbers, or ranges, out of a chain. Returns how many, or -RAY_EPROTO. */
static int request_copy(struct balloon_queue *bq, const struct virtq_chain *c)
{
	struct balloon *b = bq->b;

	if (bq->role == REPORTING) {
		if (c->out_count > 0 || c->in_count > RANGES_MAX)
			return -RAY_EPROTO;
		for (unsigned int i = 0; i < c->in_count; i++)
			b->range[i] = (struct gmem_range){.gpa = GPA(bq->q->gpa[i]),
							  .len = c->seg[i].len};
		return c->in_count;
	}
	if (c->out_len > sizeof(b->pfn) || c->out_len % sizeof(b->pfn[0]))
		return -RAY_EPROTO;
	(void)virtq_chain_read(c, 0, b->pfn, c->out_len);
	return (int)(c->out_len / sizeof(b->pfn[0]));
}

static uint64_t request_bytes(const struct balloon_queue *bq, int count)
{
	uint64_t bytes = 0;

	if (bq->role != REPORTING)
		return (uint64_t)count * PAGE_SIZE;
	for (int i = 0; i < count; i++)
		bytes += bq->b->range[i].len;
	return bytes;
}

static enum policy_verb verb_of(const struct balloon_queue *bq)
{
	return bq->role == DEFLATE ? POLICY_TAKE : POLICY_GIVE;
}

/* A request that was taken from its queue. */
struct request {
	uint16_t head;
	int count;
	uint64_t bytes, start;
	bool allowed;
};

/* Take the next request. Pre: queue's lock, epoch section. False: none, for now. */
static bool request_take(struct balloon_queue *bq, struct request *r)
{
	struct virtio_dev *d = &bq->b->v;
	struct virtq_chain *c;
	uint64_t when;
	int got = bq->q->enabled && !d->broken ? virtq_next(bq->q, &c) : 0;

	if (got == -RAY_EAGAIN)
		virtq_kick(bq->q);
	if (got <= 0)
		return false;
	r->count = request_copy(bq, c);
	if (r->count < 0) {
		virtio_dev_break(d, "balloon request of a broken length");
		return false;
	}
	r->head = c->head;
	r->bytes = request_bytes(bq, r->count);
	r->start = rdtsc();
	switch (vhandler_admit(&d->attach->handler, verb_of(bq), r->bytes, r->start, &when)) {
	case VHANDLER_WAIT:
		(void)virtq_wait_until(bq->q, when);
		return false;
	case VHANDLER_DENIED:
		r->allowed = false;
		break;
	case VHANDLER_GO:
		r->allowed = true;
		break;
	}
	virtq_take(bq->q);
	return true;
}

static bool locked_take(struct balloon_queue *bq, struct request *r)
{
	bool taken;

	epoch_enter();
	(void)virtq_lock(bq->q, false);
	taken = request_take(bq, r);
	virtq_unlock(bq->q);
	epoch_leave();
	return taken;
}

static void locked_put(struct balloon_queue *bq, const struct request *r)
{
	epoch_enter();
	(void)virtq_lock(bq->q, false);
	virtq_put(bq->q, r->head, 0);
	virtq_flush(bq->q);
	virtq_unlock(bq->q);
	epoch_leave();
}

static void request_do(struct balloon_queue *bq, const struct request *r)
{
	switch (bq->role) {
	case INFLATE:
		inflate(bq->b, (uint32_t)r->count);
		break;
	case DEFLATE:
		deflate(bq->b, (uint32_t)r->count);
		break;
	case REPORTING:
		(void)give_back(bq->b, (unsigned int)r->count);
		break;
	case STATS:
		break;
	}
	vhandler_done(&bq->b->v.attach->handler, verb_of(bq), r->bytes, r->start, true);
}

static void queue_work(struct vio_work *w)
{
	struct balloon_queue *bq = container_of(w, struct balloon_queue, work);
	struct request r;

	for (unsigned int i = 0; i < TURN_MAX; i++) {
		if (!locked_take(bq, &r))
			return;
		if (r.allowed)
			request_do(bq, &r);
		locked_put(bq, &r);
	}
	vio_queue(bq->b->v.io, w);
}

/* --- statistics: the driver's buffer stays here until new ones are wanted (5.5.6.3) --- */

struct stat {
	uint16_t tag;
	uint64_t value;
} __packed;

static void stats_read(struct balloon *b, const struct virtq_chain *c)
{
	struct stat s;

	for (uint32_t off = 0; off < 64 * sizeof(s); off += sizeof(s)) {
		if (virtq_chain_read(c, off, &s, sizeof(s)) != sizeof(s))
			break;
		if (s.tag < VBALLOON_STATS)
			b->stats[s.tag] = s.value;
	}
	b->stats_known = true;
}

static enum virtq_result stats_serve(struct balloon *b, struct virtq *q)
{
	struct virtq_chain *c;
	int got = virtq_next(q, &c);

	if (got <= 0)
		return got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
	stats_read(b, c);
	if (b->stats_wanted) {
		b->stats_wanted = false;
		virtq_done(q, c, 0);
		virtq_flush(q);
	}
	return VIRTQ_WAIT;
}

static enum virtq_result balloon_serve(struct virtio_dev *d, struct virtq *q, bool fast)
{
	struct balloon *b = balloon_of(d);
	struct balloon_queue *bq = &b->bq[q->index];

	(void)fast;
	if (bq->role == STATS)
		return stats_serve(b, q);
	vio_queue(d->io, &bq->work);
	return VIRTQ_WAIT;
}

/* --- life --- */

/* Queues that were not negotiated have no number (5.5.2). */
static bool balloon_features_ok(struct virtio_dev *d)
{
	struct balloon *b = balloon_of(d);
	unsigned int n = STATS;

	if (virtio_has(d, F_STATS))
		b->bq[n++].role = STATS;
	for (unsigned int i = n; i < QUEUES; i++)
		b->bq[i].role = REPORTING;
	for (unsigned int i = 0; i < QUEUES; i++)
		b->bq[i].q->by_address = b->bq[i].role == REPORTING;
	return true;
}

static void balloon_config_write(struct virtio_dev *d, unsigned int off, unsigned int len,
				 const uint8_t *bytes)
{
	if (off == CONFIG_ACTUAL && len == 4)
		memcpy(d->config + off, bytes, len);
}

static void balloon_quiesce(struct virtio_dev *d)
{
	struct balloon *b = balloon_of(d);

	for (unsigned int i = 0; i < QUEUES; i++)
		vio_cancel(d->io, &b->bq[i].work);
}

/* The driver begins anew, without a balloon. */
static void balloon_reset(struct virtio_dev *d)
{
	struct balloon *b = balloon_of(d);

	balloon_quiesce(d);
	memset(b->bits, 0, b->words * sizeof(*b->bits));
	memset(d->config + CONFIG_ACTUAL, 0, 4);
	b->held = 0;
	b->stats_known = b->stats_wanted = false;
}

static void balloon_save(struct virtio_dev *d, struct state_buf *s)
{
	struct balloon *b = balloon_of(d);

	state_put_u64(s, b->words);
	state_put(s, b->bits, b->words * sizeof(*b->bits));
}

static int balloon_load(struct virtio_dev *d, struct state_buf *s, uint32_t version)
{
	struct balloon *b = balloon_of(d);
	uint64_t words = state_get_u64(s), *bits;

	if (version != d->ops->state_version || s->bad || words != b->words)
		return -RAY_EINVAL;
	bits = kcalloc(words, sizeof(*bits), MEM_VDEV);
	if (!bits)
		return -RAY_ENOMEM;
	state_get(s, bits, words * sizeof(*bits));
	if (s->bad) {
		kfree(bits);
		return -RAY_EINVAL;
	}
	kfree(b->bits);
	b->bits = bits;
	b->held = 0;
	for (uint64_t i = 0; i < words; i++)
		b->held += (uint64_t)__builtin_popcountll(bits[i]);
	return 0;
}

/* Roles follow from the features, which the core has loaded by now. */
static void balloon_resume(struct virtio_dev *d)
{
	if (d->status & VIRTIO_S_FEATURES_OK)
		(void)balloon_features_ok(d);
}

static void balloon_destroy(struct virtio_dev *d)
{
	struct balloon *b = balloon_of(d);

	kfree(b->bits);
	kfree(b);
}

static const struct virtio_ops balloon_ops = {
	.name = "virtio-balloon",
	.id = VIRTIO_ID_BALLOON,
	.pci_class = 0xff00, /* unclassified */
	.state_version = 1,
	.serve = balloon_serve,
	.features_ok = balloon_features_ok,
	.config_write = balloon_config_write,
	.reset = balloon_reset,
	.quiesce = balloon_quiesce,
	.resume = balloon_resume,
	.save = balloon_save,
	.load = balloon_load,
	.destroy = balloon_destroy,
};

/* --- for the shell --- */

struct vattach *vballoon_find(struct vm *vm)
{
	struct vattach *a;

	list_for_each_entry(a, &vm->attached, node) {
		if (a->kind->policy == POLICY_BALLOON)
			return a;
	}
	return NULL;
}

void vballoon_ask(struct vattach *a)
{
	struct balloon *b = a->dev ? balloon_of(a->dev) : NULL;
	struct virtq *q = b ? b->bq[STATS].q : NULL;

	if (!q || b->bq[STATS].role != STATS)
		return;
	(void)virtq_lock(q, false);
	b->stats_wanted = true;
	virtq_unlock(q);
	virtq_kick(q);
}

bool vballoon_info(struct vattach *a, struct vballoon_info *out)
{
	struct virtio_dev *d = a->dev;
	struct balloon *b;

	if (!d)
		return false;
	b = balloon_of(d);
	*out = (struct vballoon_info){
		.target = (uint64_t)load32(d->config + CONFIG_TARGET) * PAGE_SIZE,
		.actual = (uint64_t)load32(d->config + CONFIG_ACTUAL) * PAGE_SIZE,
		.held = b->held * PAGE_SIZE,
		.returned = b->returned,
		.reporting = virtio_has(d, F_REPORTING),
		.stats_known = b->stats_known,
	};
	memcpy(out->stats, b->stats, sizeof(out->stats));
	return true;
}

void vballoon_target_set(struct vattach *a, uint64_t bytes)
{
	struct virtio_dev *d = a->dev;
	uint64_t flags = spin_lock_irqsave(&d->lock);

	store32(d->config + CONFIG_TARGET, (uint32_t)(bytes / PAGE_SIZE));
	spin_unlock_irqrestore(&d->lock, flags);
	virtio_config_changed(d);
}

/* --- kind --- */

static int balloon_open(struct vattach *a, struct spec *s)
{
	(void)a;
	(void)s;
	return 0;
}

static void balloon_close(struct vattach *a)
{
	(void)a;
}

static void balloon_describe(struct vattach *a, char *buf, size_t len)
{
	struct vballoon_info i;

	if (vballoon_info(a, &i))
		ray_snprintf(buf, len, "holds %lu of %lu MiB wanted, %lu MiB returned in all%s",
			     (unsigned long)(i.held >> 20), (unsigned long)(i.target >> 20),
			     (unsigned long)(i.returned >> 20),
			     i.reporting ? ", reports free pages" : "");
}

static int queues_prepare(struct balloon *b)
{
	int err = 0;

	for (unsigned int i = 0; i < QUEUES; i++) {
		struct balloon_queue *bq = &b->bq[i];

		bq->b = b;
		bq->q = &b->v.queue[i];
		bq->role = (enum role)i;
		vio_work_init(&bq->work, queue_work);
		if (!err && i >= STATS)
			err = virtq_addresses(bq->q);
	}
	memset(b->stats, 0xff, sizeof(b->stats));
	b->words = ALIGN_UP(b->v.dev.vm->def.memory / PAGE_SIZE, CHUNK_PAGES) / 64;
	b->bits = err ? NULL : kcalloc(b->words, sizeof(*b->bits), MEM_VDEV);
	return b->bits ? 0 : -RAY_ENOMEM;
}

static int balloon_create(struct vattach *a, struct virtio_dev **out)
{
	const struct virtio_init init = {.ops = &balloon_ops, .attach = a, .queues = QUEUES,
					 .features = F_STATS | F_ON_OOM | F_REPORTING,
					 .config_size = CONFIG_SIZE};
	struct balloon *b = kzalloc(sizeof(*b), MEM_VDEV);
	int err = b ? virtio_dev_init(&b->v, a->vm, &init) : -RAY_ENOMEM;

	if (err) {
		kfree(b);
		return err;
	}
	err = queues_prepare(b);
	if (err)
		virtio_dev_destroy(&b->v);
	else
		*out = &b->v;
	return err;
}

static const struct vhandler_verb_name balloon_verbs[] = {
	{"give", POLICY_GIVE}, {"take", POLICY_TAKE}, {0}};

static const struct vkind vkind_balloon = {
	.name = "balloon",
	.summary = "takes memory the guest does not need back, free pages by themselves",
	.options = "none",
	.example = "",
	.policy = POLICY_BALLOON,
	.single = true,
	.verbs = balloon_verbs,
	.open = balloon_open,
	.close = balloon_close,
	.create = balloon_create,
	.describe = balloon_describe,
};
VKIND(balloon);
