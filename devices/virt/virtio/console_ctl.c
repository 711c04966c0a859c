/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages of a virtio console (5.3.6.2): ports come, open and close. */
#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/virtio/console_priv.h"
#include "kernel/lib/err.h"

enum console_event {
	EVENT_DEVICE_READY,
	EVENT_PORT_ADD,
	EVENT_PORT_REMOVE,
	EVENT_PORT_READY,
	EVENT_CONSOLE_PORT,
	EVENT_RESIZE,
	EVENT_PORT_OPEN,
	EVENT_PORT_NAME,
};

struct control {
	uint32_t id;
	uint16_t event, value;
} __packed;

struct control_resize {
	struct control control;
	uint16_t cols, rows;
} __packed;

/* c->owed: the lower bits go first, and a port's state is read when its message is written. */
#define OWED_ADD     BIT(0)
#define OWED_CONSOLE BIT(1)
#define OWED_NAME    BIT(2)
#define OWED_RESIZE  BIT(3)
#define OWED_OPEN    BIT(4)

#define MESSAGE_MAX (sizeof(struct control) + VTERM_NAME_MAX)
/* Messages of one turn, so that a driver that returns buffers at once does not keep it up. */
#define TURN_MAX 32u

static void owe(struct console_dev *c, unsigned int port, uint32_t bits)
{
	__atomic_fetch_or(&c->owed[port], bits, __ATOMIC_SEQ_CST);
	virtq_kick(&c->v.queue[CONSOLE_Q_CTL_RX]);
}

void console_ctl_owe(struct console_dev *c, unsigned int port, uint32_t events)
{
	/* To a port that is not ready all this is told when it is. */
	if (!c->ready[port])
		return;
	if (events & VCPORT_SESSION)
		owe(c, port, OWED_OPEN);
	if ((events & VCPORT_RESIZED) && port == 0 && virtio_has(&c->v, CONSOLE_F_SIZE))
		owe(c, port, OWED_RESIZE);
}

void console_ctl_reset(struct console_dev *c)
{
	for (unsigned int i = 0; i < VCPORT_MAX; i++) {
		c->owed[i] = 0;
		c->ready[i] = false;
	}
}

/* --- to the driver --- */

static uint32_t message_make(struct vcport *p, uint32_t bit, uint8_t *out)
{
	struct control_resize m = {.control = {.id = p->number, .value = 1}};
	uint32_t len = sizeof(m.control);

	switch (bit) {
	case OWED_ADD:
		m.control.event = EVENT_PORT_ADD;
		break;
	case OWED_CONSOLE:
		m.control.event = EVENT_CONSOLE_PORT;
		break;
	case OWED_RESIZE:
		m.control.event = EVENT_RESIZE;
		m.control.value = 0;
		m.cols = p->cols;
		m.rows = p->rows;
		len = sizeof(m);
		break;
	case OWED_OPEN:
		m.control.event = EVENT_PORT_OPEN;
		m.control.value = vcport_host_open(p);
		break;
	default: /* OWED_NAME; the name has no NUL */
		m.control.event = EVENT_PORT_NAME;
		memcpy(out + len, p->term.name, strlen(p->term.name));
		memcpy(out, &m, len);
		return len + (uint32_t)strlen(p->term.name);
	}
	memcpy(out, &m, len);
	return len;
}

/* The first message that is owed: its port and bit; false: none is. */
static bool owed_first(const struct console_dev *c, unsigned int *port, uint32_t *bit)
{
	for (*port = 0; *port < c->ports->count; (*port)++) {
		uint32_t bits = __atomic_load_n(&c->owed[*port], __ATOMIC_SEQ_CST);

		*bit = bits & -bits;
		if (bits)
			return true;
	}
	return false;
}

enum virtq_result console_ctl_rx(struct console_dev *c, struct virtq *q)
{
	enum virtq_result r = VIRTQ_IDLE;
	unsigned int port, turn = 0;
	struct virtq_chain *chain;
	uint32_t bit;

	while (owed_first(c, &port, &bit)) {
		uint8_t message[MESSAGE_MAX];
		int got = virtq_next(q, &chain);
		uint32_t len;

		if (got <= 0 || turn++ == TURN_MAX) {
			r = got == -RAY_EAGAIN || got > 0 ? VIRTQ_MORE : VIRTQ_IDLE;
			break;
		}
		/* Cleared before the state is read: what changes after that is owed again. */
		__atomic_fetch_and(&c->owed[port], ~bit, __ATOMIC_SEQ_CST);
		len = message_make(c->ports->port[port], bit, message);
		if (virtq_chain_write(chain, 0, message, len) < len) {
			virtio_dev_break(&c->v, "control buffer shorter than its message");
			break;
		}
		virtq_done(q, chain, len);
	}
	virtq_flush(q);
	return r;
}

/* --- from the driver --- */

static void port_ready(struct console_dev *c, struct vcport *p)
{
	bool console = p->number == 0;
	bool size = console && p->cols && virtio_has(&c->v, CONSOLE_F_SIZE);

	c->ready[p->number] = true;
	owe(c, p->number, OWED_NAME | (console ? OWED_CONSOLE : 0) | (size ? OWED_RESIZE : 0) |
				  (vcport_host_open(p) ? OWED_OPEN : 0));
}

static void port_open(struct console_dev *c, struct vcport *p, bool open)
{
	p->guest_open = open;
	if (open)
		virtq_kick(&c->v.queue[console_rx_queue(p->number)]);
}

/* One message, admitted or of a kind that needs no permission. What no port or event of ours is
 * is counted and passed over: later versions of the specification may have more. */
static void message_do(struct console_dev *c, const struct control *m)
{
	struct vcport *p = m->id < c->ports->count ? c->ports->port[m->id] : NULL;

	switch (m->event) {
	case EVENT_DEVICE_READY:
		/* Its id means nothing; value 0: the driver could not start. */
		console_ctl_reset(c);
		for (unsigned int i = 0; i < c->ports->count && m->value == 1; i++)
			owe(c, i, OWED_ADD);
		return;
	case EVENT_PORT_READY:
		if (p && m->value == 1)
			port_ready(c, p);
		break;
	case EVENT_PORT_OPEN:
		if (p)
			port_open(c, p, m->value == 1);
		break;
	default:
		p = NULL;
		break;
	}
	if (!p)
		__atomic_fetch_add(&c->v.attach->handler.malformed, 1, __ATOMIC_RELAXED);
}

enum virtq_result console_ctl_tx(struct console_dev *c, struct virtq *q)
{
	struct vhandler *h = &c->v.attach->handler;
	struct virtq_chain *chain;
	int got = 0;

	for (unsigned int i = 0; i < TURN_MAX && (got = virtq_next(q, &chain)) > 0; i++) {
		enum vhandler_verdict verdict = VHANDLER_GO;
		enum policy_verb verb;
		uint64_t now = rdtsc(), when;
		struct control m;

		if (virtq_chain_read(chain, 0, &m, sizeof(m)) < sizeof(m)) {
			virtio_dev_break(&c->v, "control message shorter than its header");
			break;
		}
		verb = m.value == 1 ? POLICY_OPEN : POLICY_CLOSE;
		if (m.event == EVENT_PORT_OPEN)
			verdict = vhandler_admit_cost(h, verb, m.id, 0, now, &when);
		if (verdict == VHANDLER_WAIT) {
			virtq_flush(q);
			return virtq_wait_until(q, when);
		}
		if (verdict == VHANDLER_GO)
			message_do(c, &m);
		if (verdict == VHANDLER_GO && m.event == EVENT_PORT_OPEN)
			vhandler_done(h, verb, 0, now, m.id < c->ports->count);
		virtq_done(q, chain, 0);
	}
	virtq_flush(q);
	return got > 0 || got == -RAY_EAGAIN ? VIRTQ_MORE : VIRTQ_IDLE;
}
