/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Console device (virtio 1.2, 5.3) with several ports: port 0 is the guest's console, the others
 * have names that the guest finds them by.
 * Owns: the queues of the ports. Must not know: who reads and types.
 *
 * Output never waits for a reader: it goes into the port's ring and over what is oldest there.
 * Input waits for the driver to open the port and give buffers.
 */
#include "devices/virt/virtio/console.h"

#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/virtio/console_priv.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/mm/heap.h"

/* Bytes and chains of one turn. */
#define FAST_BYTES 4096u
#define FAST_TURN  16u
#define SLOW_BYTES KIB(128)
#define SLOW_TURN  256u

/* struct virtio_console_config */
#define CONFIG_COLS     0u
#define CONFIG_ROWS     2u
#define CONFIG_PORTS    4u
#define CONFIG_EMERG    8u
#define CONFIG_SIZE     12u

static bool port_lock(struct vcport *p, bool fast)
{
	if (fast)
		return spin_trylock(&p->lock);
	spin_lock(&p->lock);
	return true;
}

/* --- guest to host --- */

static void output(struct vcport *p, const struct virtq_chain *chain, uint32_t off, uint32_t len)
{
	struct virtq_iter it;
	const void *at;
	uint32_t n;

	virtq_iter_out(&it, chain, off);
	while (len > 0 && (at = virtq_iter_next(&it, len, &n)) != NULL) {
		vterm_write(&p->term, at, n);
		len -= n;
	}
}

/* Send up to @len bytes from *off on; *off moves behind them. WAIT with *when: not yet. */
static enum vhandler_verdict send(struct console_dev *c, struct vcport *p,
				  const struct virtq_chain *chain, uint32_t len, uint64_t *when)
{
	struct vhandler *h = &c->v.attach->handler;
	uint32_t *off = &c->tx_off[p->number];
	uint64_t now = rdtsc();
	enum vhandler_verdict verdict = vhandler_admit(h, POLICY_WRITE, len, now, when);

	if (verdict == VHANDLER_GO) {
		output(p, chain, *off, len);
		vhandler_done(h, POLICY_WRITE, len, now, true);
	}
	/* What may not be written is lost, as on a line that nobody has plugged in. */
	if (verdict != VHANDLER_WAIT)
		*off += len;
	return verdict;
}

static enum virtq_result transmit(struct console_dev *c, struct vcport *p, struct virtq *q,
				  bool fast)
{
	uint32_t budget = fast ? FAST_BYTES : SLOW_BYTES, *off = &c->tx_off[p->number];
	struct virtq_chain *chain;
	uint64_t when;

	for (unsigned int turn = fast ? FAST_TURN : SLOW_TURN; turn > 0 && budget > 0; turn--) {
		int got = virtq_next(q, &chain);
		uint32_t len;

		if (got <= 0)
			return got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
		/* The driver may have made it shorter since the last turn. */
		*off = MIN(*off, chain->out_len);
		len = MIN(chain->out_len - *off, budget);
		if (len > 0 && send(c, p, chain, len, &when) == VHANDLER_WAIT)
			return virtq_wait_until(q, when);
		budget -= len;
		if (*off == chain->out_len) {
			*off = 0;
			virtq_done(q, chain, 0);
		}
	}
	return VIRTQ_MORE;
}

/* --- host to guest --- */

static uint32_t input(struct vcport *p, const struct virtq_chain *chain, uint32_t len)
{
	uint32_t done = 0;

	while (done < len) {
		const uint8_t *at;
		uint32_t n = MIN(vcport_in_peek(p, &at), len - done);

		virtq_chain_write(chain, done, at, n);
		vcport_in_take(p, n);
		done += n;
	}
	return done;
}

static enum virtq_result receive(struct console_dev *c, struct vcport *p, struct virtq *q,
				 bool fast)
{
	struct vhandler *h = &c->v.attach->handler;
	struct virtq_chain *chain;

	for (unsigned int turn = fast ? FAST_TURN : SLOW_TURN; turn > 0; turn--) {
		uint64_t now = rdtsc(), when;
		uint32_t len;
		int got;

		if (p->in_count == 0 || !p->guest_open)
			return VIRTQ_IDLE;
		got = virtq_next(q, &chain);
		if (got <= 0)
			return got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
		len = MIN(p->in_count, chain->in_len);
		if (len == 0) {
			virtio_dev_break(&c->v, "receive buffer without room");
			return VIRTQ_IDLE;
		}
		switch (vhandler_admit(h, POLICY_READ, len, now, &when)) {
		case VHANDLER_GO:
			virtq_done(q, chain, input(p, chain, len));
			vhandler_done(h, POLICY_READ, len, now, true);
			break;
		case VHANDLER_WAIT:
			return virtq_wait_until(q, when);
		case VHANDLER_DENIED:
			vcport_in_take(p, len);
			break;
		}
	}
	return VIRTQ_MORE;
}

static enum virtq_result console_serve(struct virtio_dev *d, struct virtq *q, bool fast)
{
	bool control = q->index == CONSOLE_Q_CTL_RX || q->index == CONSOLE_Q_CTL_TX;
	unsigned int port = q->index < 2 ? 0 : q->index / 2u - 1;
	struct console_dev *c = console_of(d);
	enum virtq_result r;
	struct vcport *p;

	if (q->index >= 2 && !virtio_has(d, CONSOLE_F_MULTIPORT))
		return VIRTQ_IDLE;
	if (control)
		return q->index == CONSOLE_Q_CTL_RX ? console_ctl_rx(c, q) : console_ctl_tx(c, q);
	p = c->ports->port[port];
	if (!port_lock(p, fast))
		return VIRTQ_MORE;
	r = q->index % 2 ? transmit(c, p, q, fast) : receive(c, p, q, fast);
	spin_unlock(&p->lock);
	virtq_flush(q);
	return r;
}

/* --- configuration --- */

static void put16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)v;
	at[1] = (uint8_t)(v >> 8);
}

/* Emergency write (5.3.4): a byte without queues, for a guest that has lost all else. */
static void console_config_write(struct virtio_dev *d, unsigned int off, unsigned int len,
				 const uint8_t *bytes)
{
	struct vcport *p = console_of(d)->ports->port[0];
	uint64_t now = rdtsc(), when;

	if (off > CONFIG_EMERG || off + len <= CONFIG_EMERG)
		return;
	/* Over quota it is lost: there is no ring that it could wait in. */
	if (vhandler_admit(&d->attach->handler, POLICY_WRITE, 1, now, &when) != VHANDLER_GO)
		return;
	spin_lock(&p->lock);
	vterm_put_byte(&p->term, bytes[CONFIG_EMERG - off]);
	spin_unlock(&p->lock);
	vhandler_done(&d->attach->handler, POLICY_WRITE, 1, now, true);
}

/* The configuration's first bytes: the size of the operator's terminal. */
static void size_put(const struct console_dev *c, uint8_t *to)
{
	put16(to + CONFIG_COLS, c->ports->port[0]->cols);
	put16(to + CONFIG_ROWS, c->ports->port[0]->rows);
}

static void resize_work(struct vio_work *w)
{
	struct console_dev *c = container_of(w, struct console_dev, resize_work);
	uint8_t size[CONFIG_PORTS];
	uint64_t flags;
	bool changed;

	size_put(c, size);
	flags = spin_lock_irqsave(&c->v.lock);
	changed = memcmp(c->v.config, size, sizeof(size)) != 0;
	memcpy(c->v.config, size, sizeof(size));
	spin_unlock_irqrestore(&c->v.lock, flags);
	if (changed)
		virtio_config_changed(&c->v);
}

/* An operator types, comes, goes, resizes. Context: thread, @p locked. */
static void console_event(struct vcport_client *client, struct vcport *p, uint32_t events)
{
	struct console_dev *c = container_of(client, struct console_dev, client);

	if (events & VCPORT_TYPED)
		virtq_kick(&c->v.queue[console_rx_queue(p->number)]);
	if ((events & VCPORT_RESIZED) && p->number == 0)
		vio_queue(c->v.io, &c->resize_work);
	console_ctl_owe(c, p->number, events);
}

/* --- life --- */

static void clients_set(struct console_dev *c, struct vcport_client *client)
{
	for (unsigned int i = 0; i < c->ports->count; i++)
		vcport_client_set(c->ports->port[i], client);
}

static void console_ready(struct virtio_dev *d)
{
	/* A driver that knows one port only does not say that it opens it. */
	if (!virtio_has(d, CONSOLE_F_MULTIPORT))
		console_of(d)->ports->port[0]->guest_open = true;
}

static void console_reset(struct virtio_dev *d)
{
	struct console_dev *c = console_of(d);

	console_ctl_reset(c);
	memset(c->tx_off, 0, sizeof(c->tx_off));
	/* What was typed stays: drivers reset the device before they begin. */
	for (unsigned int i = 0; i < c->ports->count; i++)
		c->ports->port[i]->guest_open = false;
}

static void console_quiesce(struct virtio_dev *d)
{
	struct console_dev *c = console_of(d);

	clients_set(c, NULL);
	vio_cancel(d->io, &c->resize_work);
}

static void console_resume(struct virtio_dev *d)
{
	struct console_dev *c = console_of(d);

	clients_set(c, &c->client);
	vio_queue(d->io, &c->resize_work); /* what nobody was told meanwhile */
}

static void console_destroy(struct virtio_dev *d)
{
	struct console_dev *c = console_of(d);

	/* The next one begins with an empty line, unless a record is loaded into it. */
	for (unsigned int i = 0; i < c->ports->count; i++)
		vcport_reset(c->ports->port[i]);
	kfree(c);
}

static const struct virtio_ops console_ops = {
	.name = "virtio-console",
	.id = VIRTIO_ID_CONSOLE,
	.pci_class = 0x0780, /* communication controller, other */
	.state_version = 1,
	.serve = console_serve,
	.ready = console_ready,
	.config_write = console_config_write,
	.reset = console_reset,
	.quiesce = console_quiesce,
	.resume = console_resume,
	.save = console_save,
	.load = console_load,
	.destroy = console_destroy,
};

/* --- attachment --- */

static int console_open(struct vattach *a, struct spec *s)
{
	struct quota_limits limits = {0};
	struct vcports_spec ports;
	int err = spec_size(s, "rate", &limits.bytes_per_second);

	if (!err)
		err = vcports_parse(s, &ports);
	if (err || !a)
		return err;
	a->back = vcports_create(&ports);
	if (!a->back)
		return -RAY_ENOMEM;
	vhandler_limit(&a->handler, &limits);
	return 0;
}

static void console_close(struct vattach *a)
{
	vcports_destroy(a->back);
}

static int console_create(struct vattach *a, struct virtio_dev **out)
{
	struct console_dev *c = kzalloc(sizeof(*c), MEM_VDEV);
	struct virtio_init init = {.ops = &console_ops, .attach = a, .config_size = CONFIG_SIZE};
	int err;

	if (!c)
		return -RAY_ENOMEM;
	c->ports = a->back;
	c->client.event = console_event;
	vio_work_init(&c->resize_work, resize_work);
	init.features = CONSOLE_F_SIZE | CONSOLE_F_MULTIPORT | CONSOLE_F_EMERG_WRITE;
	init.queues = 2u + 2u * c->ports->count;
	err = virtio_dev_init(&c->v, a->vm, &init);
	if (err) {
		kfree(c);
		return err;
	}
	c->v.config[CONFIG_PORTS] = (uint8_t)c->ports->count;
	size_put(c, c->v.config);
	clients_set(c, &c->client);
	*out = &c->v;
	return 0;
}

static void console_describe(struct vattach *a, char *buf, size_t len)
{
	vcports_names(a->back, buf, len);
}

static const struct vhandler_verb_name console_verbs[] = {
	{"read", POLICY_READ}, {"write", POLICY_WRITE},
	{"open", POLICY_OPEN}, {"close", POLICY_CLOSE}, {0},
};

static const struct vkind vkind_console = {
	.name = "console",
	.summary = "console and named ports",
	.options = "names of ports (open while an operator is attached), log=NAME[:NAME...] (always "
		   "open), rate=BYTES a second",
	.example = "agent,log=audit",
	.policy = POLICY_CONSOLE,
	.single = true,
	.verbs = console_verbs,
	.open = console_open,
	.close = console_close,
	.create = console_create,
	.describe = console_describe,
};
VKIND(console);

struct vcports *vconsole_ports(struct vm *vm)
{
	struct vattach *a;

	list_for_each_entry(a, &vm->attached, node) {
		if (a->kind == &vkind_console)
			return a->back;
	}
	return NULL;
}
