/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 8259A pair with its edge/level registers at 0x4D0/0x4D1.
 * Owns: both chips and the INTR output. Must not know: who drives the lines.
 * Locking: vioapic->lock (order VIRQ); `out` is read without it.
 */
#include "hv/irqchip/irqchip_priv.h"

#include <string.h>

#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

#define CASCADE      2u
#define SPURIOUS_IR  7u
#define PORT_MASTER  0x20u
#define PORT_SLAVE   0xa0u
#define PORT_ELCR    0x4d0u
/* ICW1, OCW2, OCW3 (8259A data sheet). */
#define ICW1_INIT    0x10u
#define ICW1_ICW4    0x01u
#define ICW1_SINGLE  0x02u
#define ICW4_AUTO    0x02u
#define ICW4_NESTED  0x10u
#define OCW3_SELECT  0x08u

static struct vpic *vpic_of(struct vdev *d)
{
	return container_of(d, struct vpic, dev);
}

/* Rank of the most urgent bit, 0 = most urgent, 8 = none. */
static unsigned int rank(const struct vpic_chip *c, uint8_t bits)
{
	unsigned int n = 0;

	if (!bits)
		return 8;
	while (!(bits & (1u << ((n + c->prio) & 7))))
		n++;
	return n;
}

/* The input to be served next, -1: none that may interrupt what is in service. */
static int chip_request(const struct vpic_chip *c, bool master)
{
	uint8_t blocking = c->isr;
	unsigned int want = rank(c, c->irr & (uint8_t)~c->imr);

	if (want == 8)
		return -1;
	if (c->special_mask)
		blocking &= (uint8_t)~c->imr;
	if (master && c->special_nested)
		blocking &= (uint8_t) ~(1u << CASCADE);
	if (want >= rank(c, blocking))
		return -1;
	return (int)((want + c->prio) & 7);
}

static void chip_set_irq(struct vpic_chip *c, unsigned int ir, bool level)
{
	uint8_t bit = (uint8_t)(1u << ir);

	if (c->elcr & bit)
		c->irr = level ? c->irr | bit : c->irr & (uint8_t)~bit;
	else if (level && !(c->line & bit))
		c->irr |= bit;
	c->line = level ? c->line | bit : c->line & (uint8_t)~bit;
}

/* Slave output into the cascade, master output to the CPUs. */
static void update(struct vm *vm)
{
	struct vpic *p = vm->pic;
	bool out;

	chip_set_irq(&p->chip[0], CASCADE, false);
	if (chip_request(&p->chip[1], false) >= 0)
		chip_set_irq(&p->chip[0], CASCADE, true);
	else
		p->chip[0].irr &= (uint8_t) ~(1u << CASCADE);
	out = chip_request(&p->chip[0], true) >= 0;
	if (out == p->out)
		return;
	__atomic_store_n(&p->out, out, __ATOMIC_SEQ_CST);
	if (!out)
		return;
	for (unsigned int i = 0; i < vm->vcpu_count; i++)
		vlapic_lint0(vm->vcpu[i]);
}

void vpic_line(struct vm *vm, unsigned int irq, bool level)
{
	if (irq == CASCADE)
		return;
	chip_set_irq(&vm->pic->chip[irq >> 3], irq & 7, level);
	update(vm);
}

static void chip_ack(struct vpic_chip *c, unsigned int ir)
{
	uint8_t bit = (uint8_t)(1u << ir);

	if (!(c->elcr & bit))
		c->irr &= (uint8_t)~bit;
	if (!c->auto_eoi)
		c->isr |= bit;
	else if (c->rotate_auto)
		c->prio = (uint8_t)((ir + 1) & 7);
}

/* One INTA cycle of both chips; nothing to serve gives the spurious input 7. */
static uint8_t inta(struct vpic *p)
{
	struct vpic_chip *m = &p->chip[0], *s = &p->chip[1];
	int ir = chip_request(m, true);

	if (ir < 0)
		return (uint8_t)(m->base + SPURIOUS_IR);
	chip_ack(m, (unsigned int)ir);
	if (ir != CASCADE)
		return (uint8_t)(m->base + ir);
	ir = chip_request(s, false);
	if (ir < 0)
		return (uint8_t)(s->base + SPURIOUS_IR);
	chip_ack(s, (unsigned int)ir);
	return (uint8_t)(s->base + ir);
}

int vpic_ack(struct vm *vm)
{
	uint64_t flags = spin_lock_irqsave(&vm->ioapic->lock);
	uint8_t vec = inta(vm->pic);

	update(vm);
	spin_unlock_irqrestore(&vm->ioapic->lock, flags);
	return vec;
}

static void chip_init(struct vpic_chip *c, uint8_t icw1)
{
	uint8_t elcr = c->elcr, elcr_mask = c->elcr_mask, line = c->line, base = c->base;

	memset(c, 0, sizeof(*c));
	c->elcr = elcr;
	c->elcr_mask = elcr_mask;
	c->base = base;
	c->line = line;
	c->irr = line & elcr; /* edges from before are forgotten, levels stand */
	c->init_step = 1;
	c->icw4 = icw1 & ICW1_ICW4;
}

static void chip_eoi(struct vpic_chip *c, uint8_t ocw2)
{
	bool specific = ocw2 & 0x40, rotate = ocw2 & 0x80, eoi = ocw2 & 0x20;
	unsigned int ir = ocw2 & 7;

	if (!eoi) {
		if (specific && rotate)
			c->prio = (uint8_t)((ir + 1) & 7); /* set priority */
		else if (!specific)
			c->rotate_auto = rotate;
		return;
	}
	if (!specific) {
		uint8_t isr = c->isr;
		unsigned int n;

		/* In special mask mode a masked input's service is not ended unasked. */
		if (c->special_mask)
			isr &= (uint8_t)~c->imr;
		n = rank(c, isr);
		if (n == 8)
			return;
		ir = (n + c->prio) & 7;
	}
	c->isr &= (uint8_t) ~(1u << ir);
	if (rotate)
		c->prio = (uint8_t)((ir + 1) & 7);
}

static void chip_write(struct vpic_chip *c, bool data, uint8_t v)
{
	if (!data) {
		if (v & ICW1_INIT) {
			chip_init(c, v);
		} else if (v & OCW3_SELECT) {
			c->poll = v & 0x04;
			if (v & 0x02)
				c->read_isr = v & 0x01;
			if (v & 0x40)
				c->special_mask = v & 0x20;
		} else {
			chip_eoi(c, v);
		}
		return;
	}
	switch (c->init_step) {
	case 0:
		c->imr = v;
		break;
	case 1:
		c->base = v & 0xf8;
		c->init_step = 2;
		break;
	case 2:
		c->init_step = c->icw4 ? 3 : 0;
		break;
	default:
		c->auto_eoi = v & ICW4_AUTO;
		c->special_nested = v & ICW4_NESTED;
		c->init_step = 0;
		break;
	}
}

static uint8_t chip_read(struct vpic_chip *c, bool data, bool master)
{
	int ir;

	if (c->poll) {
		c->poll = false;
		ir = chip_request(c, master);
		if (ir < 0)
			return 0;
		chip_ack(c, (unsigned int)ir);
		return (uint8_t)(0x80 | ir);
	}
	if (data)
		return c->imr;
	return c->read_isr ? c->isr : c->irr;
}

static bool chip_port(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vm *vm = vcpu->vm;
	bool master = r->base == PORT_MASTER;
	struct vpic_chip *c = &vm->pic->chip[master ? 0 : 1];
	uint64_t flags;

	(void)fast;
	flags = spin_lock_irqsave(&vm->ioapic->lock);
	if (a->write)
		chip_write(c, a->offset & 1, (uint8_t)a->data);
	else
		a->data = chip_read(c, a->offset & 1, master);
	update(vm);
	spin_unlock_irqrestore(&vm->ioapic->lock, flags);
	return true;
}

/* One register per chip; a 16-bit access reaches both. */
static bool elcr_port(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vpic *p = container_of(r, struct vpic, port[2]);
	uint64_t flags, out = 0;

	(void)fast;
	flags = spin_lock_irqsave(&vcpu->vm->ioapic->lock);
	for (unsigned int i = 0; i < a->size && a->offset + i < 2; i++) {
		struct vpic_chip *c = &p->chip[a->offset + i];

		if (a->write) {
			c->elcr = (uint8_t)(a->data >> (8 * i)) & c->elcr_mask;
			c->irr = (uint8_t)((c->irr & ~c->elcr) | (c->line & c->elcr));
		} else {
			out |= (uint64_t)c->elcr << (8 * i);
		}
	}
	if (!a->write)
		a->data = out;
	update(vcpu->vm);
	spin_unlock_irqrestore(&vcpu->vm->ioapic->lock, flags);
	return true;
}

static void vpic_nop(struct vdev *d)
{
	(void)d;
}

static void vpic_reset(struct vdev *d)
{
	struct vpic *p = vpic_of(d);

	for (unsigned int i = 0; i < 2; i++) {
		uint8_t line = p->chip[i].line;

		memset(&p->chip[i], 0, sizeof(p->chip[i]));
		p->chip[i].line = line;
		/* As PC firmware leaves them, but with all inputs masked. */
		p->chip[i].imr = 0xff;
		p->chip[i].base = i ? 0x70 : 0x08;
		p->chip[i].elcr_mask = i ? 0xde : 0xf8; /* never timer, keyboard, RTC, FPU */
	}
	p->out = false;
}

static void vpic_save(struct vdev *d, struct state_buf *b)
{
	const struct vpic *p = vpic_of(d);

	for (unsigned int i = 0; i < 2; i++) {
		const struct vpic_chip *c = &p->chip[i];
		uint8_t f = (uint8_t)(c->icw4 | c->read_isr << 1 | c->poll << 2 |
				      c->special_mask << 3 | c->auto_eoi << 4 |
				      c->rotate_auto << 5 | c->special_nested << 6);
		const uint8_t bytes[] = {c->irr, c->isr, c->imr, c->elcr, c->line, c->base,
					 c->prio, c->init_step, f};

		state_put(b, bytes, sizeof(bytes));
	}
}

static int vpic_load(struct vdev *d, struct state_buf *b, uint32_t version)
{
	struct vpic *p = vpic_of(d);
	uint8_t r[2][9];
	uint64_t flags;

	state_get(b, r, sizeof(r));
	if (version != d->ops->state_version || b->bad)
		return -RAY_EINVAL;
	for (unsigned int i = 0; i < 2; i++) {
		if ((r[i][3] & ~p->chip[i].elcr_mask) || (r[i][5] & 7) || r[i][6] > 7 ||
		    r[i][7] > 3 || r[i][8] > 0x7f)
			return -RAY_EINVAL;
	}
	flags = spin_lock_irqsave(&d->vm->ioapic->lock);
	for (unsigned int i = 0; i < 2; i++) {
		struct vpic_chip *c = &p->chip[i];
		uint8_t f = r[i][8];

		*c = (struct vpic_chip){
			.irr = r[i][0], .isr = r[i][1], .imr = r[i][2], .elcr = r[i][3],
			.elcr_mask = c->elcr_mask, .line = r[i][4], .base = r[i][5],
			.prio = r[i][6], .init_step = r[i][7],
			.icw4 = f & 1, .read_isr = f & 2, .poll = f & 4, .special_mask = f & 8,
			.auto_eoi = f & 16, .rotate_auto = f & 32, .special_nested = f & 64,
		};
	}
	p->out = false;
	update(d->vm);
	spin_unlock_irqrestore(&d->vm->ioapic->lock, flags);
	return 0;
}

static void vpic_destroy(struct vdev *d)
{
	struct vpic *p = vpic_of(d);

	for (unsigned int i = 0; i < ARRAY_SIZE(p->port); i++)
		gbus_port_del(&d->vm->bus, &p->port[i]);
	list_del(&d->node);
	d->vm->pic = NULL;
	kfree(p);
}

static const struct vdev_ops vpic_ops = {
	.name = "i8259",
	.state_version = 1,
	.quiesce = vpic_nop,
	.resume = vpic_nop,
	.save = vpic_save,
	.load = vpic_load,
	.reset = vpic_reset,
	.destroy = vpic_destroy,
};

int vpic_create(struct vm *vm)
{
	static const uint16_t base[] = {PORT_MASTER, PORT_SLAVE, PORT_ELCR};
	struct vpic *p = kzalloc(sizeof(*p), MEM_VDEV);
	unsigned int n;
	int err = 0;

	if (!p)
		return -RAY_ENOMEM;
	for (n = 0; n < ARRAY_SIZE(p->port); n++) {
		p->port[n] = (struct gbus_range){.base = base[n], .len = 2, .name = "i8259",
						 .fn = n < 2 ? chip_port : elcr_port};
		err = gbus_port_add(&vm->bus, &p->port[n]);
		if (err)
			goto undo_ports;
	}
	vpic_reset(&p->dev);
	vm->pic = p;
	vdev_register(vm, &p->dev, &vpic_ops, 0);
	return 0;

undo_ports:
	while (n-- > 0)
		gbus_port_del(&vm->bus, &p->port[n]);
	kfree(p);
	return err;
}
