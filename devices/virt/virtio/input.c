/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input device (virtio 1.2, 5.8): the event queue, the status queue, and the kind "input".
 *
 * An event waits in a ring of ours until the driver has a buffer for it. When the ring is full
 * a report is dropped as a whole: half of one would be another one.
 */
#include "devices/virt/virtio/input.h"

#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/virtio/input_priv.h"
#include "devices/virt/virtio/virtio.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/mm/heap.h"

#define EVENTQ  0u
#define STATUSQ 1u
#define QUEUES  2u
#define TURN_MAX 64u
#define LED_LAST 2u

/* Behind an attachment. */
struct vinput {
	enum vinput_role role;
	uint64_t dropped; /* events, since the attachment exists; under the event queue's lock */
};

struct vinput_dev {
	struct virtio_dev v;
	struct vinput *back;
	/* Under the event queue's lock. */
	struct vinput_event ring[VINPUT_QUEUED];
	uint32_t first, count;
	uint32_t admitted; /* events of the report at the front that policy and quota let pass */
	/* Under the status queue's lock. */
	uint32_t leds;
};

static struct vinput_dev *input_of(struct virtio_dev *d)
{
	return container_of(d, struct vinput_dev, v);
}

static struct vinput_event *ring_at(struct vinput_dev *in, uint32_t i)
{
	return &in->ring[(in->first + i) % VINPUT_QUEUED];
}

static bool ends_report(const struct vinput_event *ev)
{
	return ev->type == VINPUT_EV_SYN && ev->code == 0;
}

/* --- to the guest --- */

static uint32_t front_length(struct vinput_dev *in)
{
	uint32_t n = 0;

	while (n < in->count && !ends_report(ring_at(in, n)))
		n++;
	return n + 1;
}

static void ring_skip(struct vinput_dev *in, uint32_t n)
{
	in->first = (in->first + n) % VINPUT_QUEUED;
	in->count -= n;
}

/* A report is admitted once, when its first event is about to go. */
static enum vhandler_verdict front_admit(struct vinput_dev *in, uint64_t *when)
{
	struct vhandler *h = &in->v.attach->handler;
	uint32_t n = front_length(in);
	uint64_t now = rdtsc(), bytes = n * sizeof(in->ring[0]);
	enum vhandler_verdict v = vhandler_admit(h, POLICY_READ, bytes, now, when);

	if (v == VHANDLER_GO) {
		in->admitted = n;
		vhandler_done(h, POLICY_READ, bytes, now, true);
	} else if (v == VHANDLER_DENIED) {
		ring_skip(in, n);
		in->back->dropped += n;
	}
	return v;
}

static enum virtq_result events_serve(struct vinput_dev *in, struct virtq *q)
{
	enum virtq_result r = VIRTQ_IDLE;
	struct virtq_chain *c;
	uint64_t when;

	while (in->count > 0) {
		int got = virtq_next(q, &c);

		if (got <= 0) {
			r = got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
			break;
		}
		if (c->in_len < sizeof(in->ring[0])) {
			virtio_dev_break(&in->v, "event buffer too short");
			break;
		}
		if (in->admitted == 0) {
			enum vhandler_verdict v = front_admit(in, &when);

			if (v == VHANDLER_WAIT) {
				r = virtq_wait_until(q, when);
				break;
			}
			if (v == VHANDLER_DENIED)
				continue;
		}
		(void)virtq_chain_write(c, 0, ring_at(in, 0), sizeof(in->ring[0]));
		ring_skip(in, 1);
		in->admitted--;
		virtq_done(q, c, sizeof(in->ring[0]));
	}
	virtq_flush(q);
	return r;
}

/* --- from the guest --- */

static void status_apply(struct vinput_dev *in, const struct vinput_event *ev)
{
	if (ev->type != VINPUT_EV_LED || ev->code > LED_LAST)
		return; /* repeat rates, sounds: the device may drop them (5.8.6.2) */
	if (ev->value)
		in->leds |= (uint32_t)BIT(ev->code);
	else
		in->leds &= ~(uint32_t)BIT(ev->code);
}

static enum virtq_result status_serve(struct vinput_dev *in, struct virtq *q)
{
	struct vhandler *h = &in->v.attach->handler;
	enum virtq_result r = VIRTQ_MORE;
	struct vinput_event ev;
	struct virtq_chain *c;

	for (unsigned int i = 0; i < TURN_MAX; i++) {
		uint64_t now = rdtsc(), when;
		int got = virtq_next(q, &c);

		if (got <= 0) {
			r = got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
			break;
		}
		if (virtq_chain_read(c, 0, &ev, sizeof(ev)) != sizeof(ev)) {
			virtio_dev_break(&in->v, "status buffer too short");
			r = VIRTQ_IDLE;
			break;
		}
		switch (vhandler_admit(h, POLICY_WRITE, sizeof(ev), now, &when)) {
		case VHANDLER_GO:
			status_apply(in, &ev);
			vhandler_done(h, POLICY_WRITE, sizeof(ev), now, true);
			break;
		case VHANDLER_WAIT:
			virtq_flush(q);
			return virtq_wait_until(q, when);
		case VHANDLER_DENIED:
			break;
		}
		virtq_done(q, c, 0);
	}
	virtq_flush(q);
	return r;
}

static enum virtq_result input_serve(struct virtio_dev *d, struct virtq *q, bool fast)
{
	struct vinput_dev *in = input_of(d);

	(void)fast; /* a few bytes at most: always at once */
	return q->index == EVENTQ ? events_serve(in, q) : status_serve(in, q);
}

/* --- configuration, state, life --- */

static void select_answer(struct virtio_dev *d)
{
	d->config[VINPUT_CFG_SIZE] = vinput_config(input_of(d)->back->role, d->attach->name,
						   d->config[VINPUT_CFG_SELECT],
						   d->config[VINPUT_CFG_SUBSEL],
						   d->config + VINPUT_CFG_DATA);
}

static void input_config_write(struct virtio_dev *d, unsigned int off, unsigned int len,
			       const uint8_t *bytes)
{
	for (unsigned int i = 0; i < len; i++) {
		if (off + i <= VINPUT_CFG_SUBSEL)
			d->config[off + i] = bytes[i];
	}
	select_answer(d);
}

/* What an older driver did not read is not for the next. */
static void input_reset(struct virtio_dev *d)
{
	struct vinput_dev *in = input_of(d);
	struct virtq *q = &d->queue[EVENTQ];

	(void)virtq_lock(q, false);
	in->first = in->count = in->admitted = 0;
	virtq_unlock(q);
	in->leds = 0;
	d->config[VINPUT_CFG_SELECT] = d->config[VINPUT_CFG_SUBSEL] = 0;
	select_answer(d);
}

static void input_save(struct virtio_dev *d, struct state_buf *b)
{
	struct vinput_dev *in = input_of(d);

	state_put_u8(b, (uint8_t)in->back->role);
	state_put_u32(b, in->leds);
	state_put_u32(b, in->admitted);
	state_put_u32(b, in->count);
	for (uint32_t i = 0; i < in->count; i++) {
		const struct vinput_event *ev = ring_at(in, i);

		state_put_u16(b, ev->type);
		state_put_u16(b, ev->code);
		state_put_u32(b, ev->value);
	}
}

static int input_load(struct virtio_dev *d, struct state_buf *b, uint32_t version)
{
	struct vinput_dev *in = input_of(d);
	struct vinput_event ring[VINPUT_QUEUED];
	uint32_t role = state_get_u8(b), leds = state_get_u32(b), admitted = state_get_u32(b);
	uint32_t count = state_get_u32(b);

	if (b->bad || version != d->ops->state_version || role != in->back->role ||
	    leds >= BIT(LED_LAST + 1) || count > VINPUT_QUEUED || admitted > count)
		return -RAY_EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		ring[i].type = state_get_u16(b);
		ring[i].code = state_get_u16(b);
		ring[i].value = state_get_u32(b);
	}
	if (b->bad || (count > 0 && !ends_report(&ring[count - 1])))
		return -RAY_EINVAL;
	memcpy(in->ring, ring, count * sizeof(ring[0]));
	in->first = 0;
	in->count = count;
	in->admitted = admitted;
	in->leds = leds;
	return 0;
}

static void input_destroy(struct virtio_dev *d)
{
	kfree(input_of(d));
}

static const struct virtio_ops input_ops = {
	.name = "virtio-input",
	.id = VIRTIO_ID_INPUT,
	.pci_class = 0x0980, /* input device, other */
	.state_version = 1,
	.serve = input_serve,
	.config_write = input_config_write,
	.reset = input_reset,
	.save = input_save,
	.load = input_load,
	.destroy = input_destroy,
};

/* --- the host's side --- */

static struct virtq *event_queue(struct vinput_dev *in)
{
	return &in->v.queue[EVENTQ];
}

static uint32_t report_length(const struct vinput_event *ev, unsigned int n)
{
	uint32_t len = 0;

	while (len < n && !ends_report(&ev[len]))
		len++;
	return len + 1;
}

static int reports_queue(struct vinput_dev *in, const struct vinput_event *ev, unsigned int n)
{
	int err = 0;

	for (unsigned int at = 0; at < n;) {
		uint32_t len = report_length(ev + at, n - at);

		if (len <= VINPUT_QUEUED - in->count) {
			for (uint32_t i = 0; i < len; i++)
				*ring_at(in, in->count++) = ev[at + i];
		} else {
			in->back->dropped += len;
			err = -RAY_ENOSPC;
		}
		at += len;
	}
	return err;
}

/* A driver is there, if only in a VM that is paused. Pre: the queue's lock held: a reset turns
 * the queue off before it empties the ring. */
static bool in_use(const struct virtio_dev *d, const struct virtq *q)
{
	if (d->broken || !(d->status & VIRTIO_S_DRIVER_OK))
		return false;
	return q->enabled || (d->quiesced && q->wanted);
}

int vinput_send(struct vattach *a, const struct vinput_event *ev, unsigned int n)
{
	struct vinput_dev *in = a->dev ? input_of(a->dev) : NULL;
	struct virtq *q;
	int err;

	if (n > 0 && !ends_report(&ev[n - 1]))
		return -RAY_EINVAL;
	if (!in)
		return -RAY_ENODEV;
	q = event_queue(in);
	(void)virtq_lock(q, false);
	err = in_use(&in->v, q) ? reports_queue(in, ev, n) : -RAY_ENODEV;
	virtq_unlock(q);
	virtq_kick(q);
	return err;
}

unsigned int vinput_room(struct vattach *a)
{
	struct vinput_dev *in = a->dev ? input_of(a->dev) : NULL;
	unsigned int room;

	if (!in)
		return 0;
	spin_lock(&event_queue(in)->lock);
	room = VINPUT_QUEUED - in->count;
	spin_unlock(&event_queue(in)->lock);
	return room;
}

uint32_t vinput_leds(struct vattach *a)
{
	return a->dev ? __atomic_load_n(&input_of(a->dev)->leds, __ATOMIC_RELAXED) : 0;
}

/* --- the kind --- */

static const struct vkind vkind_input;

struct vattach *vinput_find(struct vm *vm, enum vinput_role role)
{
	struct vattach *a;

	list_for_each_entry(a, &vm->attached, node) {
		const struct vinput *back = a->back;

		if (a->kind == &vkind_input && back->role == role)
			return a;
	}
	return NULL;
}

static int role_read(struct spec *s, enum vinput_role *out)
{
	unsigned int named = 0;

	*out = VINPUT_KEYBOARD;
	for (unsigned int r = 0; r < VINPUT_ROLES; r++) {
		if (spec_flag(s, vinput_role_name((enum vinput_role)r))) {
			*out = (enum vinput_role)r;
			named++;
		}
	}
	if (named <= 1)
		return 0;
	return spec_fail(s, -RAY_EINVAL,
			 "one of keyboard, tablet and mouse; give each its own line");
}

static int input_open(struct vattach *a, struct spec *s)
{
	struct quota_limits limits = {0};
	enum vinput_role role;
	struct vinput *back;
	int err = role_read(s, &role);

	if (!err)
		err = spec_u64(s, "rate", 0, UINT32_MAX, &limits.ops_per_second);
	if (err || !a)
		return err;
	back = kzalloc(sizeof(*back), MEM_VDEV);
	if (!back)
		return -RAY_ENOMEM;
	back->role = role;
	a->back = back;
	vhandler_limit(&a->handler, &limits);
	return 0;
}

static void input_close(struct vattach *a)
{
	kfree(a->back);
}

static int input_create(struct vattach *a, struct virtio_dev **out)
{
	const struct virtio_init init = {.ops = &input_ops, .attach = a, .queues = QUEUES,
					 .queue_sizes = (const uint16_t[QUEUES]){64, 64},
					 .config_size = VINPUT_CFG_LEN};
	struct vinput_dev *in = kzalloc(sizeof(*in), MEM_VDEV);
	int err = in ? virtio_dev_init(&in->v, a->vm, &init) : -RAY_ENOMEM;

	if (err) {
		kfree(in);
		return err;
	}
	in->back = a->back;
	*out = &in->v;
	return 0;
}

static void input_describe(struct vattach *a, char *buf, size_t len)
{
	const struct vinput *back = a->back;
	uint32_t leds = vinput_leds(a);

	ray_snprintf(buf, len, "%s, %u events waiting, %lu dropped%s%s%s",
		     vinput_role_name(back->role),
		     a->dev ? VINPUT_QUEUED - vinput_room(a) : 0, (unsigned long)back->dropped,
		     leds & BIT(0) ? ", num" : "", leds & BIT(1) ? ", caps" : "",
		     leds & BIT(2) ? ", scroll" : "");
}

static const struct vhandler_verb_name input_verbs[] = {{"event", POLICY_READ},
							{"status", POLICY_WRITE}, {0}};

static const struct vkind vkind_input = {
	.name = "input",
	.summary = "a keyboard, a tablet or a mouse",
	.options = "keyboard (default) or tablet or mouse, rate=REPORTS a second",
	.example = "tablet",
	.policy = POLICY_INPUT,
	.verbs = input_verbs,
	.open = input_open,
	.close = input_close,
	.create = input_create,
	.describe = input_describe,
};
VKIND(input);
