/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host bridge and bus: configuration mechanism 1 at 0xCF8/0xCFC with the reset control
 * register at 0xCF9 (PCI local bus specification 3.0, 3.2.2.3.2).
 * Locking: vpci->lock (order VDEV); see pci.h.
 */
#include "devices/virt/pci.h"

#include <string.h>

#include "devices/virt/virt.h"
#include "kernel/lib/checked.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/sched/thread.h"

#define PORT_ADDRESS   0xcf8u
#define PORT_DATA      0xcfcu
#define ADDRESS_ENABLE BIT(31)
#define ADDRESS_VALID  0x80fffffcu
#define RESET_CPU      0x04u
#define BRIDGE_VENDOR  0x8086u /* 82441FX, which every system drives without questions */
#define BRIDGE_DEVICE  0x1237u
#define BRIDGE_CLASS   0x0600u
#define RAY_SUBVENDOR  0x5241u
#define RAY_SUBDEVICE  0x0001u
#define BAR_IO         0x1u
#define BAR_WIDE       0x4u
#define CAP_FIRST      0x40u
#define INTX_GSI(slot) (16u + ((slot) & 7u)) /* as _PRT in dsdt.asl has it */

struct vpci {
	struct vdev dev;
	struct gbus_range port[3]; /* address, data, I/O window */
	struct gbus_range mmio;    /* memory window */
	struct spinlock lock;
	uint32_t address;
	struct vpci_dev *slot[VPCI_SLOTS];
	struct vpci_bar *volatile bar[VPCI_MAPPED_MAX]; /* of all devices, holes are NULL */
	struct vpci_dev bridge;
};

static void cfg_put(uint8_t *cfg, unsigned int off, unsigned int len, uint64_t v)
{
	for (unsigned int i = 0; i < len; i++)
		cfg[off + i] = (uint8_t)(v >> (8 * i));
}

static uint64_t cfg_get(const uint8_t *cfg, unsigned int off, unsigned int len)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < len; i++)
		v |= (uint64_t)cfg[off + i] << (8 * i);
	return v;
}

/* --- BARs in the windows --- */

static uint64_t bar_base(const struct vpci_dev *d, unsigned int n)
{
	const struct vpci_bar *b = &d->bar[n];
	uint64_t v = cfg_get(d->cfg, PCI_BAR0 + 4 * n, b->wide ? 8 : 4);

	return v & ~(b->io ? 0x3ull : 0xfull);
}

/* Lock held. A BAR outside the window answers nowhere, as behind a bridge on a board. */
static void bars_update(struct vpci_dev *d)
{
	uint16_t command = (uint16_t)cfg_get(d->cfg, PCI_COMMAND, 2);

	for (unsigned int n = 0; n < VPCI_BARS; n++) {
		struct vpci_bar *b = &d->bar[n];
		uint64_t base = bar_base(d, n);
		bool on = command & (b->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);

		if (b->size == 0)
			continue;
		if (b->io)
			on = on && range_inside(base, b->size, VIRT_PCI_IO, 0x10000 - VIRT_PCI_IO);
		else
			on = on && range_inside(base, b->size, VIRT_PCI_MMIO,
						VIRT_PCI_MMIO_END - VIRT_PCI_MMIO);
		__atomic_store_n(&b->at, on ? base : 0, __ATOMIC_RELEASE);
	}
}

/* An access inside a window: the first BAR that holds all of it answers. */
static bool window_access(struct vpci *p, bool io, struct vcpu *vcpu, struct gbus_access *a,
			  bool fast)
{
	for (unsigned int i = 0; i < VPCI_MAPPED_MAX; i++) {
		struct vpci_bar *b = __atomic_load_n(&p->bar[i], __ATOMIC_ACQUIRE);
		uint64_t at;

		if (!b || b->io != io)
			continue;
		at = __atomic_load_n(&b->at, __ATOMIC_ACQUIRE);
		if (!at || !range_inside(a->addr, a->size, at, b->size))
			continue;
		if (fast && !(b->range.flags & GBUS_F_FAST))
			return false;
		a->offset = (uint32_t)(a->addr - at);
		return b->range.fn(&b->range, vcpu, a, fast);
	}
	if (!a->write)
		a->data = UINT64_MAX;
	return true;
}

static bool mmio_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	return window_access(container_of(r, struct vpci, mmio), false, vcpu, a, fast);
}

static bool io_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	return window_access(container_of(r, struct vpci, port[2]), true, vcpu, a, fast);
}

static bool bars_add(struct vpci *p, struct vpci_dev *d)
{
	unsigned int need = 0, i = 0, room = 0;

	for (unsigned int n = 0; n < VPCI_BARS; n++)
		need += d->bar[n].size != 0;
	for (unsigned int n = 0; n < VPCI_MAPPED_MAX; n++)
		room += p->bar[n] == NULL;
	if (need > room)
		return false;
	for (unsigned int n = 0; n < VPCI_BARS; n++) {
		if (d->bar[n].size == 0)
			continue;
		while (p->bar[i])
			i++;
		__atomic_store_n(&p->bar[i], &d->bar[n], __ATOMIC_RELEASE);
	}
	return true;
}

static void bars_del(struct vpci *p, const struct vpci_dev *d)
{
	for (unsigned int i = 0; i < VPCI_MAPPED_MAX; i++) {
		for (unsigned int n = 0; n < VPCI_BARS; n++) {
			if (p->bar[i] == &d->bar[n])
				p->bar[i] = NULL;
		}
	}
}

static void intx_update(struct vpci_dev *d)
{
	bool on = (d->cfg[PCI_STATUS] & PCI_STATUS_INTX) &&
		  !(cfg_get(d->cfg, PCI_COMMAND, 2) & PCI_COMMAND_NO_INTX);

	virq_line_set(d->vm, INTX_GSI(d->slot), d->slot, on);
}

/* --- what a device calls --- */

void vpci_dev_init(struct vpci_dev *d, uint16_t vendor, uint16_t device, uint16_t class, bool intx)
{
	uint16_t command = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			   PCI_COMMAND_NO_INTX;

	memset(d, 0, sizeof(*d));
	cfg_put(d->cfg, PCI_VENDOR, 2, vendor);
	cfg_put(d->cfg, PCI_DEVICE, 2, device);
	cfg_put(d->cfg, PCI_CLASS, 2, class);
	cfg_put(d->cfg, PCI_SUBVENDOR, 2, RAY_SUBVENDOR);
	cfg_put(d->cfg, PCI_SUBDEVICE, 2, RAY_SUBDEVICE);
	cfg_put(d->wmask, PCI_COMMAND, 2, command);
	d->cfg[PCI_INT_PIN] = intx ? 1 : 0;
	d->wmask[PCI_INT_LINE] = 0xff;
	d->cap_end = CAP_FIRST;
}

void vpci_bar_set(struct vpci_dev *d, unsigned int n, const struct vpci_bar *bar)
{
	uint64_t writable = ~(bar->size - 1) & ~(bar->io ? 0x3ull : 0xfull);

	d->bar[n] = *bar;
	cfg_put(d->cfg, PCI_BAR0 + 4 * n, 4, bar->io ? BAR_IO : bar->wide ? BAR_WIDE : 0);
	cfg_put(d->wmask, PCI_BAR0 + 4 * n, bar->wide ? 8 : 4, writable);
}

int vpci_cap_add(struct vpci_dev *d, uint8_t id, unsigned int len)
{
	unsigned int at = d->cap_end;

	if (len > VPCI_CONFIG_SIZE - at)
		return -RAY_ENOSPC;
	d->cfg[at] = id;
	d->cfg[at + 1] = d->cfg[PCI_CAP_PTR];
	d->cfg[PCI_CAP_PTR] = (uint8_t)at;
	d->cfg[PCI_STATUS] |= PCI_STATUS_CAPS;
	d->cap_end = ALIGN_UP(at + len, 4u);
	return (int)at;
}

int vpci_plug(struct vm *vm, struct vpci_dev *d, int slot)
{
	struct vpci *p = vm->platform->pci;
	uint64_t flags = spin_lock_irqsave(&p->lock);
	int err = 0;

	if (slot < 0) {
		for (slot = 1; slot < (int)VPCI_SLOTS && p->slot[slot]; slot++)
			;
	}
	if (slot >= (int)VPCI_SLOTS) {
		err = -RAY_ENOSPC;
	} else if (p->slot[slot]) {
		err = -RAY_EBUSY;
	} else if (!bars_add(p, d)) {
		err = -RAY_ENOSPC;
	} else {
		d->vm = vm;
		d->slot = (uint8_t)slot;
		p->slot[slot] = d;
	}
	spin_unlock_irqrestore(&p->lock, flags);
	return err;
}

void vpci_unplug(struct vpci_dev *d)
{
	struct vpci *p = d->vm->platform->pci;
	uint64_t flags = spin_lock_irqsave(&p->lock);

	bars_del(p, d);
	p->slot[d->slot] = NULL;
	spin_unlock_irqrestore(&p->lock, flags);
	epoch_synchronize();
	virq_line_set(d->vm, INTX_GSI(d->slot), d->slot, false);
}

void vpci_intx_set(struct vpci_dev *d, bool level)
{
	if (level)
		__atomic_fetch_or(&d->cfg[PCI_STATUS], PCI_STATUS_INTX, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(&d->cfg[PCI_STATUS], (uint8_t)~PCI_STATUS_INTX, __ATOMIC_SEQ_CST);
	intx_update(d);
}

void vpci_dev_save(const struct vpci_dev *d, struct state_buf *b)
{
	state_put(b, d->cfg, sizeof(d->cfg));
}

int vpci_dev_load(struct vpci_dev *d, struct state_buf *b)
{
	uint8_t cfg[VPCI_CONFIG_SIZE];
	uint64_t flags;

	state_get(b, cfg, sizeof(cfg));
	if (b->bad)
		return -RAY_EINVAL;
	/* A different device in this slot shows in what no guest can write. */
	for (unsigned int i = 0; i < sizeof(cfg); i++) {
		uint8_t fixed = (uint8_t)~(d->wmask[i] | (i == PCI_STATUS ? PCI_STATUS_INTX : 0));

		if ((cfg[i] ^ d->cfg[i]) & fixed)
			return -RAY_EINVAL;
	}
	flags = spin_lock_irqsave(&d->vm->platform->pci->lock);
	memcpy(d->cfg, cfg, sizeof(cfg));
	bars_update(d);
	spin_unlock_irqrestore(&d->vm->platform->pci->lock, flags);
	return 0;
}

void vpci_dev_reset(struct vpci_dev *d)
{
	uint64_t flags = spin_lock_irqsave(&d->vm->platform->pci->lock);

	for (unsigned int i = 0; i < VPCI_CONFIG_SIZE; i++)
		d->cfg[i] &= (uint8_t)~d->wmask[i];
	d->cfg[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTX;
	bars_update(d);
	spin_unlock_irqrestore(&d->vm->platform->pci->lock, flags);
	intx_update(d);
}

/* --- what the guest does --- */

static void config_write(struct vpci_dev *d, unsigned int off, unsigned int len, uint32_t value)
{
	for (unsigned int i = 0; i < len; i++) {
		uint8_t mask = d->wmask[off + i], v = (uint8_t)(value >> (8 * i));

		d->cfg[off + i] = (uint8_t)((d->cfg[off + i] & ~mask) | (v & mask));
	}
	if (off < PCI_BAR0 + 4 * VPCI_BARS && off + len > PCI_COMMAND) {
		bars_update(d);
		intx_update(d);
	}
	if (d->config)
		d->config(d, off, len);
}

static struct vpci_dev *addressed(struct vpci *p)
{
	uint32_t a = p->address;

	/* Bus 0, function 0. */
	if (!(a & ADDRESS_ENABLE) || (a & 0x00ff0700))
		return NULL;
	return p->slot[(a >> 11) & 31];
}

static bool data_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vpci *p = container_of(r, struct vpci, port[1]);
	struct vpci_dev *d;
	unsigned int off;
	uint64_t flags;

	(void)vcpu;
	(void)fast;
	flags = spin_lock_irqsave(&p->lock);
	d = addressed(p);
	off = (p->address & 0xfc) + a->offset;
	if (a->write && d)
		config_write(d, off, a->size, (uint32_t)a->data);
	else if (!a->write)
		a->data = d ? cfg_get(d->cfg, off, a->size) : UINT32_MAX;
	spin_unlock_irqrestore(&p->lock, flags);
	return true;
}

static bool address_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a,
			   bool fast)
{
	struct vpci *p = container_of(r, struct vpci, port[0]);
	uint64_t flags;

	(void)fast;
	flags = spin_lock_irqsave(&p->lock);
	/* Only a full dword is the address register; 0xCF9 beneath it is another one. */
	if (a->size == 4 && a->write)
		p->address = (uint32_t)a->data & ADDRESS_VALID;
	else if (a->size == 4)
		a->data = p->address;
	else if (!a->write)
		a->data = a->offset == VIRT_PORT_RESET - PORT_ADDRESS ? 0 : UINT32_MAX;
	spin_unlock_irqrestore(&p->lock, flags);
	if (a->write && a->size == 1 && a->offset == VIRT_PORT_RESET - PORT_ADDRESS &&
	    (a->data & RESET_CPU))
		vm_end(vcpu->vm, VM_END_RESET, "reset by port 0xCF9");
	return true;
}

static void vpci_reset(struct vdev *dev)
{
	struct vpci *p = container_of(dev, struct vpci, dev);

	p->address = 0;
	vpci_dev_reset(&p->bridge);
}

static void vpci_save(struct vdev *dev, struct state_buf *b)
{
	struct vpci *p = container_of(dev, struct vpci, dev);

	state_put_u32(b, p->address);
	vpci_dev_save(&p->bridge, b);
}

static int vpci_load(struct vdev *dev, struct state_buf *b, uint32_t version)
{
	struct vpci *p = container_of(dev, struct vpci, dev);
	uint32_t address = state_get_u32(b);

	if (version != dev->ops->state_version || b->bad || (address & ~ADDRESS_VALID) ||
	    vpci_dev_load(&p->bridge, b))
		return -RAY_EINVAL;
	p->address = address;
	return 0;
}

static void vpci_destroy(struct vdev *dev)
{
	struct vpci *p = container_of(dev, struct vpci, dev);

	gbus_mmio_del(&dev->vm->bus, &p->mmio);
	vdev_ports_del(dev->vm, p->port, ARRAY_SIZE(p->port));
	list_del(&dev->node);
	dev->vm->platform->pci = NULL;
	kfree(p);
}

static const struct vdev_ops vpci_ops = {
	.name = "pci-host",
	.state_version = 1,
	.quiesce = vdev_nop,
	.resume = vdev_nop,
	.save = vpci_save,
	.load = vpci_load,
	.reset = vpci_reset,
	.destroy = vpci_destroy,
};

int vpci_create(struct vm *vm)
{
	struct vpci *p = kzalloc(sizeof(*p), MEM_VDEV);
	int err;

	if (!p)
		return -RAY_ENOMEM;
	spin_lock_init(&p->lock, LOCK_ORDER_VDEV);
	p->port[0] = (struct gbus_range){
		.base = PORT_ADDRESS, .len = 4, .fn = address_access, .name = "pci-address"};
	p->port[1] = (struct gbus_range){
		.base = PORT_DATA, .len = 4, .fn = data_access, .name = "pci-data"};
	p->port[2] = (struct gbus_range){.base = VIRT_PCI_IO, .len = 0x10000 - VIRT_PCI_IO,
					 .fn = io_access, .flags = GBUS_F_FAST, .name = "pci-io"};
	p->mmio = (struct gbus_range){.base = VIRT_PCI_MMIO,
				      .len = VIRT_PCI_MMIO_END - VIRT_PCI_MMIO,
				      .fn = mmio_access, .flags = GBUS_F_FAST,
				      .name = "pci-memory"};
	err = vdev_ports_add(vm, p->port, ARRAY_SIZE(p->port));
	if (err)
		goto free;
	err = gbus_mmio_add(&vm->bus, &p->mmio);
	if (err)
		goto del_ports;
	vpci_dev_init(&p->bridge, BRIDGE_VENDOR, BRIDGE_DEVICE, BRIDGE_CLASS, false);
	p->bridge.vm = vm;
	p->slot[0] = &p->bridge;
	vm->platform->pci = p;
	vdev_register(vm, &p->dev, &vpci_ops, 0);
	return 0;

del_ports:
	vdev_ports_del(vm, p->port, ARRAY_SIZE(p->port));
free:
	kfree(p);
	return err;
}
