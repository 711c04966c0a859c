/* SPDX-License-Identifier: Apache-2.0 */
/* What a virtio console's record holds: how far the driver has come with each port, and what it
 * was typed. What it wrote stays with the attachment. */
#include <string.h>

#include "devices/virt/virtio/console_priv.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

struct saved_port {
	uint32_t owed, tx_off, in_count;
	uint16_t cols, rows;
	uint8_t ready, guest_open;
	uint8_t in[VCPORT_IN_SIZE];
};

static void port_save(const struct console_dev *c, const struct vcport *p, struct state_buf *b)
{
	state_put_u8(b, c->ready[p->number]);
	state_put_u8(b, p->guest_open);
	state_put_u32(b, c->owed[p->number]);
	state_put_u32(b, c->tx_off[p->number]);
	state_put_u16(b, p->cols);
	state_put_u16(b, p->rows);
	state_put_u32(b, p->in_count);
	for (uint32_t i = 0; i < p->in_count; i++)
		state_put_u8(b, p->in[(p->in_head + i) % VCPORT_IN_SIZE]);
}

void console_save(struct virtio_dev *d, struct state_buf *b)
{
	struct console_dev *c = console_of(d);

	state_put_u8(b, (uint8_t)c->ports->count);
	for (unsigned int i = 0; i < c->ports->count; i++) {
		struct vcport *p = c->ports->port[i];

		/* Operators type on while the device stands still. */
		spin_lock(&p->lock);
		port_save(c, p, b);
		spin_unlock(&p->lock);
	}
}

static bool port_decode(struct state_buf *b, struct saved_port *s)
{
	s->ready = state_get_u8(b);
	s->guest_open = state_get_u8(b);
	s->owed = state_get_u32(b);
	s->tx_off = state_get_u32(b);
	s->cols = state_get_u16(b);
	s->rows = state_get_u16(b);
	s->in_count = state_get_u32(b);
	if (b->bad || s->ready > 1 || s->guest_open > 1 || (s->owed & ~CONSOLE_OWED_ALL) ||
	    s->in_count > VCPORT_IN_SIZE)
		return false;
	state_get(b, s->in, s->in_count);
	return !b->bad;
}

static void port_apply(struct console_dev *c, struct vcport *p, const struct saved_port *s)
{
	c->ready[p->number] = s->ready;
	c->owed[p->number] = s->owed;
	c->tx_off[p->number] = s->tx_off;
	spin_lock(&p->lock);
	p->guest_open = s->guest_open;
	p->cols = s->cols;
	p->rows = s->rows;
	memcpy(p->in, s->in, s->in_count);
	p->in_head = 0;
	p->in_count = s->in_count;
	spin_unlock(&p->lock);
	/* Operators may have come or gone since it was saved. */
	if (!p->always)
		console_ctl_owe(c, p->number, VCPORT_SESSION);
}

int console_load(struct virtio_dev *d, struct state_buf *b, uint32_t version)
{
	struct console_dev *c = console_of(d);
	unsigned int count = c->ports->count;
	struct saved_port *s;
	int err = 0;

	if (version != d->ops->state_version || state_get_u8(b) != count)
		return -RAY_EINVAL;
	s = kcalloc(count, sizeof(*s), MEM_VDEV);
	if (!s)
		return -RAY_ENOMEM;
	for (unsigned int i = 0; i < count && !err; i++)
		err = port_decode(b, &s[i]) ? 0 : -RAY_EINVAL;
	for (unsigned int i = 0; i < count && !err; i++)
		port_apply(c, c->ports->port[i], &s[i]);
	kfree(s);
	return err;
}
