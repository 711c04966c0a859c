/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 82093AA-style I/O APIC, version 20h: 24 pins and an EOI register.
 * Owns: redirection table, remote IRR. Must not know: who drives the pins.
 * Locking: vioapic->lock (order VIRQ), IRQs off.
 */
#include "hv/irqchip/irqchip_priv.h"

#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

#define MMIO_BASE       0xfec00000ull
#define OFF_SELECT      0x00u
#define OFF_WINDOW      0x10u
#define OFF_EOI         0x40u
#define REG_ID          0x00u
#define REG_VERSION     0x01u
#define REG_ARBITRATION 0x02u
#define REG_REDIR       0x10u
#define VERSION_VALUE   (0x20u | (VIRQ_GSI_COUNT - 1) << 16)
/* Redirection entry (82093AA data sheet, 3.2.4). */
#define REDIR_LOGICAL    BIT(11)
#define REDIR_REMOTE_IRR BIT(14)
#define REDIR_LEVEL      BIT(15)
#define REDIR_MASKED     BIT(16)
#define REDIR_READONLY   (BIT(12) | REDIR_REMOTE_IRR)
#define REDIR_VALID      0xff0000000001ffffull
#define PIN_MASK         ((1u << VIRQ_GSI_COUNT) - 1)

static struct vioapic *vioapic_of(struct vdev *d)
{
	return container_of(d, struct vioapic, dev);
}

static void pin_send(struct vioapic *io, unsigned int pin)
{
	uint64_t e = io->redir[pin];
	struct virq_msg m = {
		.dest = (uint32_t)(e >> 56),
		.delivery = (e >> 8) & 7,
		.vector = (uint8_t)e,
		.logical = e & REDIR_LOGICAL,
		.level = e & REDIR_LEVEL,
		.broadcast = e >> 56 == 0xff,
	};

	if (e & REDIR_MASKED)
		return;
	if (m.level) {
		if (e & REDIR_REMOTE_IRR)
			return;
		io->redir[pin] |= REDIR_REMOTE_IRR;
	}
	/* A level nobody accepts now is offered again when somebody changes the entry. */
	if (!vlapic_send(io->dev.vm, &m, NULL) && m.level)
		io->redir[pin] &= ~REDIR_REMOTE_IRR;
}

void vioapic_line(struct vm *vm, unsigned int pin, bool level)
{
	struct vioapic *io = vm->ioapic;
	uint32_t bit = 1u << pin, was = io->line & bit;

	io->line = level ? io->line | bit : io->line & ~bit;
	/* An edge on a masked pin is lost, as in the data sheet. */
	if (level && (!was || (io->redir[pin] & REDIR_LEVEL)))
		pin_send(io, pin);
}

static void eoi_locked(struct vioapic *io, uint8_t vector)
{
	for (unsigned int pin = 0; pin < VIRQ_GSI_COUNT; pin++) {
		if ((uint8_t)io->redir[pin] != vector || !(io->redir[pin] & REDIR_REMOTE_IRR))
			continue;
		io->redir[pin] &= ~REDIR_REMOTE_IRR;
		if ((io->redir[pin] & REDIR_LEVEL) && (io->line & (1u << pin)))
			pin_send(io, pin);
	}
}

void vioapic_eoi(struct vm *vm, uint8_t vector)
{
	uint64_t flags = spin_lock_irqsave(&vm->ioapic->lock);

	eoi_locked(vm->ioapic, vector);
	spin_unlock_irqrestore(&vm->ioapic->lock, flags);
}

static void redir_write(struct vioapic *io, unsigned int pin, bool high, uint32_t value)
{
	uint64_t old = io->redir[pin], e;

	if (high)
		e = (uint32_t)old | (uint64_t)(value & 0xff000000) << 32;
	else
		e = (old & (0xffffffffull << 32 | REDIR_READONLY)) |
		    (value & 0x1ffff & ~REDIR_READONLY);
	/* Edge-triggered entries have no remote IRR: software clears it by switching over. */
	if (!(e & REDIR_LEVEL))
		e &= ~REDIR_REMOTE_IRR;
	io->redir[pin] = e;
	if ((e & REDIR_LEVEL) && (io->line & (1u << pin)))
		pin_send(io, pin);
}

static void window_write(struct vioapic *io, uint32_t value)
{
	if (io->select == REG_ID)
		io->id = value & 0x0f000000;
	else if (io->select >= REG_REDIR && io->select < REG_REDIR + 2 * VIRQ_GSI_COUNT)
		redir_write(io, (io->select - REG_REDIR) / 2, io->select & 1, value);
}

static uint32_t window_read(const struct vioapic *io)
{
	if (io->select == REG_ID || io->select == REG_ARBITRATION)
		return io->id;
	if (io->select == REG_VERSION)
		return VERSION_VALUE;
	if (io->select >= REG_REDIR && io->select < REG_REDIR + 2 * VIRQ_GSI_COUNT)
		return (uint32_t)(io->redir[(io->select - REG_REDIR) / 2] >>
				  (io->select & 1 ? 32 : 0));
	return 0;
}

static bool vioapic_mmio(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vioapic *io = container_of(r, struct vioapic, mmio);
	uint64_t flags, value = 0;

	(void)vcpu;
	(void)fast;
	flags = spin_lock_irqsave(&io->lock);
	switch (a->offset) {
	case OFF_SELECT:
		if (a->write)
			io->select = (uint8_t)a->data;
		value = io->select;
		break;
	case OFF_WINDOW:
		if (a->write)
			window_write(io, (uint32_t)a->data);
		else
			value = window_read(io);
		break;
	case OFF_EOI:
		if (a->write)
			eoi_locked(io, (uint8_t)a->data);
		break;
	default:
		break;
	}
	spin_unlock_irqrestore(&io->lock, flags);
	if (!a->write)
		a->data = value;
	return true;
}

static void vioapic_nop(struct vdev *d)
{
	(void)d;
}

static void vioapic_reset(struct vdev *d)
{
	struct vioapic *io = vioapic_of(d);

	for (unsigned int i = 0; i < VIRQ_GSI_COUNT; i++)
		io->redir[i] = REDIR_MASKED;
	io->select = 0;
	io->id = 0;
}

static void vioapic_save(struct vdev *d, struct state_buf *b)
{
	const struct vioapic *io = vioapic_of(d);

	state_put_u32(b, io->line);
	state_put_u32(b, io->select);
	state_put_u32(b, io->id);
	state_put(b, io->source, sizeof(io->source));
	state_put(b, io->redir, sizeof(io->redir));
}

static int vioapic_load(struct vdev *d, struct state_buf *b, uint32_t version)
{
	struct vioapic *io = vioapic_of(d);
	uint32_t line = state_get_u32(b), select = state_get_u32(b), id = state_get_u32(b);
	uint32_t source[VIRQ_GSI_COUNT];
	uint64_t redir[VIRQ_GSI_COUNT], flags;

	state_get(b, source, sizeof(source));
	state_get(b, redir, sizeof(redir));
	if (version != d->ops->state_version || b->bad || (line & ~PIN_MASK) || select > 0xff ||
	    (id & ~0x0f000000u))
		return -RAY_EINVAL;
	for (unsigned int i = 0; i < VIRQ_GSI_COUNT; i++) {
		if (redir[i] & ~REDIR_VALID)
			return -RAY_EINVAL;
		if ((redir[i] & REDIR_REMOTE_IRR) && !(redir[i] & REDIR_LEVEL))
			return -RAY_EINVAL;
	}
	flags = spin_lock_irqsave(&io->lock);
	io->line = line;
	io->select = select;
	io->id = id;
	for (unsigned int i = 0; i < VIRQ_GSI_COUNT; i++) {
		io->source[i] = source[i];
		io->redir[i] = redir[i];
	}
	spin_unlock_irqrestore(&io->lock, flags);
	return 0;
}

static void vioapic_destroy(struct vdev *d)
{
	struct vioapic *io = vioapic_of(d);

	gbus_mmio_del(&d->vm->bus, &io->mmio);
	list_del(&d->node);
	d->vm->ioapic = NULL;
	kfree(io);
}

static const struct vdev_ops vioapic_ops = {
	.name = "ioapic",
	.state_version = 1,
	.quiesce = vioapic_nop,
	.resume = vioapic_nop,
	.save = vioapic_save,
	.load = vioapic_load,
	.reset = vioapic_reset,
	.destroy = vioapic_destroy,
};

int vioapic_create(struct vm *vm)
{
	struct vioapic *io = kzalloc(sizeof(*io), MEM_VDEV);
	int err;

	if (!io)
		return -RAY_ENOMEM;
	spin_lock_init(&io->lock, LOCK_ORDER_VIRQ);
	io->mmio = (struct gbus_range){
		.base = MMIO_BASE, .len = PAGE_SIZE, .fn = vioapic_mmio, .name = "ioapic"};
	err = gbus_mmio_add(&vm->bus, &io->mmio);
	if (err) {
		kfree(io);
		return err;
	}
	vioapic_reset(&io->dev);
	vm->ioapic = io;
	vdev_register(vm, &io->dev, &vioapic_ops, 0);
	return 0;
}
