/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8254 interval timer at 0x40..0x43 and system control port B at 0x61 (Intel 8254 data sheet):
 * ports, the interrupt of counter 0, state. pit_channel.h is what one counter does.
 * Owns: three counters, the speaker gate. Must not know: who takes IRQ 0.
 * Locking: pit->lock.
 */
#include <string.h>

#include "devices/virt/pit_channel.h"
#include "devices/virt/virt.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"

#define PORT_PIT    0x40u
#define PORT_B      0x61u
#define CHANNELS    3u
#define READ_BACK   3u

struct vpit {
	struct vdev dev;
	struct gbus_range port[2];
	struct spinlock lock;
	struct timer timer;
	uint64_t next; /* ns of the next rising edge of channel 0, 0: none */
	bool quiesced;
	bool speaker;
	struct pit_channel ch[CHANNELS];
};

static struct vpit *vpit_of(struct vdev *d)
{
	return container_of(d, struct vpit, dev);
}

/* Arm for channel 0's next rising edge behind @now. */
static void schedule(struct vpit *p, uint64_t now)
{
	p->next = p->quiesced ? 0 : pit_channel_next_edge(&p->ch[0], now);
	if (p->next)
		timer_set_ns(&p->timer, p->next);
}

static void vpit_timer(struct timer *t)
{
	struct vpit *p = container_of(t, struct vpit, timer);
	uint64_t flags = spin_lock_irqsave(&p->lock), now = time_now();

	if (p->next && p->next <= now) {
		virq_line_set(p->dev.vm, VIRT_IRQ_PIT, 0, false);
		virq_line_set(p->dev.vm, VIRT_IRQ_PIT, 0, true);
		schedule(p, now);
	} else if (p->next) {
		timer_set_ns(t, p->next);
	}
	spin_unlock_irqrestore(&p->lock, flags);
}

/* Counter @n has another count or mode. */
static void channel_changed(struct vpit *p, unsigned int n, uint64_t now)
{
	if (n != 0)
		return;
	if (p->ch[n].mode == 0)
		virq_line_set(p->dev.vm, VIRT_IRQ_PIT, 0, false);
	schedule(p, now);
}

static void control_write(struct vpit *p, uint8_t value, uint64_t now)
{
	unsigned int n = value >> 6, rw = (value >> 4) & 3, mode = (value >> 1) & 7;

	if (n == READ_BACK) {
		for (unsigned int i = 0; i < CHANNELS; i++) {
			if (!(value & (2u << i)))
				continue;
			if (!(value & 0x20))
				pit_channel_latch_count(&p->ch[i], now);
			if (!(value & 0x10))
				pit_channel_latch_status(&p->ch[i], now);
		}
		return;
	}
	if (rw == PIT_RW_LATCH) {
		pit_channel_latch_count(&p->ch[n], now);
		return;
	}
	pit_channel_program(&p->ch[n], rw, mode);
	channel_changed(p, n, now);
}

static uint8_t port_b_read(const struct vpit *p, uint64_t now)
{
	const struct pit_channel *c = &p->ch[2];

	/* Bit 4 toggles with every memory refresh, 15 us apart; delay loops count it. */
	return (uint8_t)((c->gate ? 1 : 0) | (p->speaker ? 2 : 0) |
			 (now / 15085 & 1 ? 0x10 : 0) | (pit_channel_out(c, now) ? 0x20 : 0));
}

static bool vpit_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vpit *p = container_of(r, struct vpit, port[0]);
	uint64_t flags = 0, now = time_now();

	(void)vcpu;
	if (!vdev_lock(&p->lock, fast, &flags))
		return false;
	if (a->write && a->offset == CHANNELS)
		control_write(p, (uint8_t)a->data, now);
	else if (!a->write)
		a->data = a->offset < CHANNELS ? pit_channel_read(&p->ch[a->offset], now) : 0xff;
	else if (pit_channel_write(&p->ch[a->offset], (uint8_t)a->data, now))
		channel_changed(p, a->offset, now);
	vdev_unlock(&p->lock, fast, flags);
	return true;
}

static bool port_b_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vpit *p = container_of(r, struct vpit, port[1]);
	uint64_t flags = 0, now = time_now();

	(void)vcpu;
	if (!vdev_lock(&p->lock, fast, &flags))
		return false;
	if (a->write) {
		p->speaker = a->data & 2;
		pit_channel_gate(&p->ch[2], a->data & 1, now);
	} else {
		a->data = port_b_read(p, now);
	}
	vdev_unlock(&p->lock, fast, flags);
	return true;
}

static void vpit_quiesce(struct vdev *d)
{
	struct vpit *p = vpit_of(d);
	uint64_t flags = spin_lock_irqsave(&p->lock), now = time_now();

	for (unsigned int i = 0; i < CHANNELS && !p->quiesced; i++)
		pit_channel_hold(&p->ch[i], now);
	p->quiesced = true;
	p->next = 0;
	spin_unlock_irqrestore(&p->lock, flags);
	timer_cancel(&p->timer);
}

static void vpit_resume(struct vdev *d)
{
	struct vpit *p = vpit_of(d);
	uint64_t flags = spin_lock_irqsave(&p->lock), now = time_now();

	if (p->quiesced) {
		p->quiesced = false;
		for (unsigned int i = 0; i < CHANNELS; i++)
			pit_channel_go_on(&p->ch[i], now);
		schedule(p, now);
	}
	spin_unlock_irqrestore(&p->lock, flags);
}

static void vpit_reset(struct vdev *d)
{
	struct vpit *p = vpit_of(d);
	uint64_t flags = spin_lock_irqsave(&p->lock);

	for (unsigned int i = 0; i < CHANNELS; i++)
		pit_channel_reset(&p->ch[i], i != 2);
	p->speaker = false;
	p->next = 0;
	virq_line_set(d->vm, VIRT_IRQ_PIT, 0, false);
	spin_unlock_irqrestore(&p->lock, flags);
}

static void vpit_save(struct vdev *d, struct state_buf *b)
{
	struct vpit *p = vpit_of(d);
	uint64_t now = time_now();

	state_put_u8(b, p->speaker);
	for (unsigned int i = 0; i < CHANNELS; i++)
		pit_channel_save(&p->ch[i], b, p->quiesced, now);
}

static int vpit_load(struct vdev *d, struct state_buf *b, uint32_t version)
{
	struct vpit *p = vpit_of(d);
	struct pit_channel ch[CHANNELS];
	uint8_t speaker = state_get_u8(b);
	uint64_t flags, now = time_now();
	bool ok = true;

	for (unsigned int i = 0; i < CHANNELS; i++)
		ok &= pit_channel_load(&ch[i], b, now);
	if (version != d->ops->state_version || b->bad || !ok || speaker > 1)
		return -RAY_EINVAL;
	flags = spin_lock_irqsave(&p->lock);
	memcpy(p->ch, ch, sizeof(ch));
	p->speaker = speaker;
	schedule(p, now);
	spin_unlock_irqrestore(&p->lock, flags);
	return 0;
}

static void vpit_destroy(struct vdev *d)
{
	struct vpit *p = vpit_of(d);

	vpit_quiesce(d);
	vdev_ports_del(d->vm, p->port, ARRAY_SIZE(p->port));
	list_del(&d->node);
	kfree(p);
}

static const struct vdev_ops vpit_ops = {
	.name = "i8254",
	.state_version = 1,
	.quiesce = vpit_quiesce,
	.resume = vpit_resume,
	.save = vpit_save,
	.load = vpit_load,
	.reset = vpit_reset,
	.destroy = vpit_destroy,
};

int vpit_create(struct vm *vm)
{
	struct vpit *p = kzalloc(sizeof(*p), MEM_VDEV);
	int err;

	if (!p)
		return -RAY_ENOMEM;
	spin_lock_init(&p->lock, LOCK_ORDER_VDEV);
	timer_init(&p->timer, vpit_timer);
	p->port[0] = (struct gbus_range){.base = PORT_PIT, .len = 4, .fn = vpit_access,
					 .flags = GBUS_F_FAST, .name = "i8254"};
	p->port[1] = (struct gbus_range){.base = PORT_B, .len = 1, .fn = port_b_access,
					 .flags = GBUS_F_FAST, .name = "port-b"};
	err = vdev_ports_add(vm, p->port, ARRAY_SIZE(p->port));
	if (err) {
		kfree(p);
		return err;
	}
	vdev_register(vm, &p->dev, &vpit_ops, 0);
	vpit_reset(&p->dev);
	return 0;
}
