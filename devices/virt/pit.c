/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8254 interval timer at 0x40..0x43 and system control port B at 0x61 (Intel 8254 data sheet).
 * A counter is not counted: its value follows from the time it was loaded. BCD counting is
 * accepted and done in binary, as nobody has used it since 1985.
 * Owns: three counters, the speaker gate. Must not know: who takes IRQ 0.
 * Locking: pit->lock.
 */
#include <string.h>

#include "devices/virt/virt.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"

#define PIT_HZ      1193182ull
#define NSEC        1000000000ull
#define PORT_PIT    0x40u
#define PORT_B      0x61u
#define CHANNELS    3u
#define RW_LATCH    0u
#define RW_LSB      1u
#define RW_MSB      2u
#define RW_WORD     3u
#define READ_BACK   3u
#define STATUS_OUT  0x80u
#define STATUS_NULL 0x40u
/* The host is not interrupted more often than this by one channel. */
#define PERIOD_MIN_NS 50000u

struct channel {
	uint8_t mode, rw;
	bool gate;
	bool loaded;        /* counts since a count was written */
	bool high_next;     /* RW_WORD: the next byte is the high one */
	bool read_high;
	uint8_t low;        /* first byte of a word being written */
	uint8_t latched;    /* bytes of `latch` yet to be read */
	bool status_latched;
	uint8_t status;
	uint16_t latch;
	uint32_t count;     /* 1..65536 */
	uint64_t start;     /* time_now() at its tick 0 */
	uint64_t elapsed;   /* ns, while it stands still (gate low, quiesced) */
	bool stopped;
};

struct vpit {
	struct vdev dev;
	struct gbus_range port[2];
	struct spinlock lock;
	struct timer timer;
	uint64_t next; /* ns of the next rising edge of channel 0, 0: none */
	bool quiesced;
	bool speaker;
	struct channel ch[CHANNELS];
};

static struct vpit *vpit_of(struct vdev *d)
{
	return container_of(d, struct vpit, dev);
}

static uint64_t ns_to_ticks(uint64_t ns)
{
	return ns / NSEC * PIT_HZ + ns % NSEC * PIT_HZ / NSEC;
}

/* Rounded up: an edge is never early. */
static uint64_t ticks_to_ns(uint64_t ticks)
{
	return ticks / PIT_HZ * NSEC + (ticks % PIT_HZ * NSEC + PIT_HZ - 1) / PIT_HZ;
}

static uint64_t elapsed_ns(const struct channel *c, uint64_t now)
{
	return c->stopped ? c->elapsed : now - c->start;
}

static void channel_stop(struct channel *c, uint64_t now)
{
	if (c->stopped)
		return;
	c->elapsed = now - c->start;
	c->stopped = true;
}

static void channel_go(struct channel *c, uint64_t now)
{
	if (!c->stopped)
		return;
	c->start = now - c->elapsed;
	c->stopped = false;
}

static uint16_t counter_value(const struct channel *c, uint64_t now)
{
	uint64_t d;

	if (!c->loaded)
		return 0;
	d = ns_to_ticks(elapsed_ns(c, now));
	switch (c->mode) {
	case 2:
		return (uint16_t)(c->count - d % c->count);
	case 3: /* counts by two, twice per period */
		return (uint16_t)((c->count & ~1u) - 2 * d % c->count);
	default:
		return (uint16_t)(c->count - d);
	}
}

static bool counter_out(const struct channel *c, uint64_t now)
{
	uint64_t d;

	if (!c->loaded)
		return c->mode != 0;
	d = ns_to_ticks(elapsed_ns(c, now));
	switch (c->mode) {
	case 0:
	case 1:
		return d >= c->count;
	case 2:
		return d % c->count != c->count - 1;
	case 3:
		return d % c->count < (c->count + 1) / 2;
	default: /* 4, 5: one tick low */
		return d != c->count;
	}
}

/* Arm for channel 0's next rising edge behind @now. */
static void schedule(struct vpit *p, uint64_t now)
{
	const struct channel *c = &p->ch[0];
	uint64_t ticks, edge;

	p->next = 0;
	if (!c->loaded || c->stopped || p->quiesced)
		return;
	ticks = ns_to_ticks(now - c->start);
	if (c->mode == 2 || c->mode == 3)
		edge = (ticks / c->count + 1) * c->count;
	else if (ticks < c->count)
		edge = c->count;
	else
		return;
	p->next = MAX(c->start + ticks_to_ns(edge), now + 1);
	if ((c->mode & 2) && ticks_to_ns(c->count) < PERIOD_MIN_NS)
		p->next = MAX(p->next, now + PERIOD_MIN_NS);
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

static void count_load(struct vpit *p, unsigned int n, uint16_t value, uint64_t now)
{
	struct channel *c = &p->ch[n];

	c->count = value ? value : 0x10000;
	c->loaded = true;
	c->elapsed = 0;
	c->start = now;
	/* With the gate low it waits; modes 1 and 5 wait for the gate to rise. */
	c->stopped = !c->gate || c->mode == 1 || c->mode == 5;
	if (n == 0) {
		if (c->mode == 0)
			virq_line_set(p->dev.vm, VIRT_IRQ_PIT, 0, false);
		schedule(p, now);
	}
}

static void data_write(struct vpit *p, unsigned int n, uint8_t value, uint64_t now)
{
	struct channel *c = &p->ch[n];

	switch (c->rw) {
	case RW_LSB:
		count_load(p, n, value, now);
		break;
	case RW_MSB:
		count_load(p, n, (uint16_t)(value << 8), now);
		break;
	default:
		if (!c->high_next) {
			c->low = value;
			if (c->mode == 0) /* the first byte stops the count (data sheet, mode 0) */
				channel_stop(c, now);
		} else {
			count_load(p, n, (uint16_t)(value << 8 | c->low), now);
		}
		c->high_next = !c->high_next;
		break;
	}
}

static uint8_t data_read(struct channel *c, uint64_t now)
{
	uint16_t v;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->latched) {
		uint8_t byte = c->latched == 2 || c->rw == RW_LSB ? (uint8_t)c->latch
								   : (uint8_t)(c->latch >> 8);
		c->latched--;
		return byte;
	}
	v = counter_value(c, now);
	if (c->rw == RW_LSB)
		return (uint8_t)v;
	if (c->rw == RW_MSB)
		return (uint8_t)(v >> 8);
	c->read_high = !c->read_high;
	return c->read_high ? (uint8_t)v : (uint8_t)(v >> 8);
}

static void latch_count(struct channel *c, uint64_t now)
{
	if (c->latched)
		return;
	c->latch = counter_value(c, now);
	c->latched = c->rw == RW_WORD ? 2 : 1;
}

static void latch_status(struct channel *c, uint64_t now)
{
	if (c->status_latched)
		return;
	c->status = (uint8_t)((counter_out(c, now) ? STATUS_OUT : 0) |
			      (c->loaded ? 0 : STATUS_NULL) | c->rw << 4 | c->mode << 1);
	c->status_latched = true;
}

static void control_write(struct vpit *p, uint8_t value, uint64_t now)
{
	unsigned int n = value >> 6, rw = (value >> 4) & 3, mode = (value >> 1) & 7;
	struct channel *c;

	if (n == READ_BACK) {
		for (unsigned int i = 0; i < CHANNELS; i++) {
			if (!(value & (2u << i)))
				continue;
			if (!(value & 0x20))
				latch_count(&p->ch[i], now);
			if (!(value & 0x10))
				latch_status(&p->ch[i], now);
		}
		return;
	}
	c = &p->ch[n];
	if (rw == RW_LATCH) {
		latch_count(c, now);
		return;
	}
	c->rw = (uint8_t)rw;
	c->mode = (uint8_t)(mode > 5 ? mode - 4 : mode); /* 6 and 7 are 2 and 3 */
	c->loaded = false;
	c->high_next = c->read_high = false;
	c->latched = 0;
	c->status_latched = false;
	if (n == 0) {
		if (c->mode == 0)
			virq_line_set(p->dev.vm, VIRT_IRQ_PIT, 0, false);
		schedule(p, now);
	}
}

static void gate_set(struct channel *c, bool gate, uint64_t now)
{
	bool rising = gate && !c->gate;

	c->gate = gate;
	if (!c->loaded)
		return;
	if (c->mode == 0 || c->mode == 4) {
		if (gate)
			channel_go(c, now);
		else
			channel_stop(c, now);
	} else if (rising) {
		c->elapsed = 0;
		c->stopped = false;
		c->start = now;
	} else if (!gate && (c->mode == 2 || c->mode == 3)) {
		channel_stop(c, now);
	}
}

static uint8_t port_b_read(const struct vpit *p, uint64_t now)
{
	const struct channel *c = &p->ch[2];

	/* Bit 4 toggles with every memory refresh, 15 us apart; delay loops count it. */
	return (uint8_t)((c->gate ? 1 : 0) | (p->speaker ? 2 : 0) |
			 (now / 15085 & 1 ? 0x10 : 0) | (counter_out(c, now) ? 0x20 : 0));
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
	else if (a->write)
		data_write(p, a->offset, (uint8_t)a->data, now);
	else
		a->data = a->offset < CHANNELS ? data_read(&p->ch[a->offset], now) : 0xff;
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
		gate_set(&p->ch[2], a->data & 1, now);
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
		p->ch[i].elapsed = elapsed_ns(&p->ch[i], now);
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
			p->ch[i].start = now - p->ch[i].elapsed;
		schedule(p, now);
	}
	spin_unlock_irqrestore(&p->lock, flags);
}

static void vpit_reset(struct vdev *d)
{
	struct vpit *p = vpit_of(d);
	uint64_t flags = spin_lock_irqsave(&p->lock);

	memset(p->ch, 0, sizeof(p->ch));
	for (unsigned int i = 0; i < CHANNELS; i++) {
		p->ch[i].gate = i != 2;
		p->ch[i].rw = RW_WORD;
		p->ch[i].count = 0x10000;
	}
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
	for (unsigned int i = 0; i < CHANNELS; i++) {
		const struct channel *c = &p->ch[i];
		const uint8_t f[] = {c->mode,	  c->rw,      c->gate,	  c->loaded,
				     c->high_next, c->read_high, c->low,	  c->latched,
				     c->status_latched, c->status, c->stopped};

		state_put(b, f, sizeof(f));
		state_put_u16(b, c->latch);
		state_put_u32(b, c->count);
		state_put_u64(b, p->quiesced ? c->elapsed : elapsed_ns(c, now));
	}
}

static bool channel_get(struct channel *c, struct state_buf *b, uint64_t now)
{
	uint8_t f[11];

	state_get(b, f, sizeof(f));
	*c = (struct channel){
		.mode = f[0], .rw = f[1], .gate = f[2], .loaded = f[3], .high_next = f[4],
		.read_high = f[5], .low = f[6], .latched = f[7], .status_latched = f[8],
		.status = f[9], .stopped = f[10],
	};
	c->latch = state_get_u16(b);
	c->count = state_get_u32(b);
	c->elapsed = state_get_u64(b);
	c->start = now - c->elapsed;
	return c->mode <= 5 && c->rw >= RW_LSB && c->rw <= RW_WORD && c->latched <= 2 &&
	       c->count >= 1 && c->count <= 0x10000 && c->elapsed < 1ull << 62;
}

static int vpit_load(struct vdev *d, struct state_buf *b, uint32_t version)
{
	struct vpit *p = vpit_of(d);
	struct channel ch[CHANNELS];
	uint8_t speaker = state_get_u8(b);
	uint64_t flags, now = time_now();
	bool ok = true;

	for (unsigned int i = 0; i < CHANNELS; i++)
		ok &= channel_get(&ch[i], b, now);
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
