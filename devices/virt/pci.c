/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host bridge and bus: configuration mechanism 1 at 0xCF8/0xCFC with the reset control
 * register at 0xCF9 (PCI local bus specification 3.0, 3.2.2.3.2).
 * Locking: vpci->lock (order VDEV); see pci.h.
 */
#include "devices/virt/pci_priv.h"
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

/* --- BARs in the windows --- */

/* The first BAR that holds all of [addr, addr+size), and where it stands. */
static struct vpci_bar *bar_find(struct vpci *p, bool io, uint64_t addr, unsigned int size,
				 uint64_t *where)
{
	for (unsigned int i = 0; i < VPCI_MAPPED_MAX; i++) {
		struct vpci_bar *b = __atomic_load_n(&p->bar[i], __ATOMIC_ACQUIRE);
		uint64_t at;

		if (!b || b->io != io)
			continue;
		at = __atomic_load_n(&b->at, __ATOMIC_ACQUIRE);
		if (at && range_inside(addr, size, at, b->size)) {
			*where = at;
			return b;
		}
	}
	return NULL;
}

/* From the vCPU's thread: the BAR stays until its function has returned, which may sleep. */
static bool window_access(struct vpci *p, bool io, struct vcpu *vcpu, struct gbus_access *a,
			  bool fast)
{
	struct vpci_bar *b;
	uint64_t at;

	if (fast)
		return false; /* the way of an exit handler is window_inner() */
	epoch_enter();
	b = bar_find(p, io, a->addr, a->size, &at);
	if (b)
		gbus_range_get(&b->range);
	epoch_leave();
	if (b) {
		a->offset = (uint32_t)(a->addr - at);
		(void)b->range.fn(&b->range, vcpu, a, false);
		gbus_range_put(&b->range);
	} else if (!a->write) {
		/* Memory: a driver whose card was pulled resets it and waits for a status of 0;
		 * ones would keep Linux 6.1 waiting for ever. It knows from configuration space. */
		a->data = io ? UINT64_MAX : 0;
	}
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

static struct gbus_range *window_inner(struct vpci *p, bool io, uint64_t addr, unsigned int size,
				       uint64_t *base)
{
	struct vpci_bar *b = bar_find(p, io, addr, size, base);

	if (!b)
		return NULL;
	return &b->range;
}

static struct gbus_range *mmio_inner(struct gbus_range *r, uint64_t addr, unsigned int size,
				     uint64_t *base)
{
	return window_inner(container_of(r, struct vpci, mmio), false, addr, size, base);
}

static struct gbus_range *io_inner(struct gbus_range *r, uint64_t addr, unsigned int size,
				   uint64_t *base)
{
	return window_inner(container_of(r, struct vpci, port[2]), true, addr, size, base);
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
				__atomic_store_n(&p->bar[i], NULL, __ATOMIC_RELEASE);
		}
	}
}

/* On return no vCPU is in a function of the device. */
static void bars_drain(const struct vpci_dev *d)
{
	gbus_changed(&d->vm->bus);
	epoch_synchronize();
	for (unsigned int n = 0; n < VPCI_BARS; n++) {
		while (__atomic_load_n(&d->bar[n].range.users, __ATOMIC_ACQUIRE) != 0)
			thread_yield();
	}
}

/* --- plugging --- */

/* The next free slot, round and round; VPCI_SLOTS: there is none. */
static int slot_choose(struct vpci *p)
{
	for (unsigned int i = 1; i < VPCI_SLOTS; i++) {
		unsigned int slot = (p->last + i - 1) % (VPCI_SLOTS - 1) + 1;

		if (!p->slot[slot]) {
			p->last = (uint8_t)slot;
			return (int)slot;
		}
	}
	return VPCI_SLOTS;
}

int vpci_plug(struct vm *vm, struct vpci_dev *d, int slot)
{
	struct vpci *p = vm->platform->pci;
	uint64_t flags = spin_lock_irqsave(&p->lock);
	int err = 0;

	if (slot < 0)
		slot = slot_choose(p);
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
	bars_drain(d);
}

/* --- what the guest does --- */

static struct vpci_dev *addressed(struct vpci *p)
{
	uint32_t a = p->address;

	/* Bus 0, function 0. */
	if (!(a & ADDRESS_ENABLE) || (a & 0x00ff0700))
		return NULL;
	return p->slot[(a >> 11) & 31];
}

/* BAR 0 is pinned as for an access to it: vpci_unplug() waits. */
static void window_pass(struct vpci_dev *d, struct vcpu *vcpu, struct gbus_access *a)
{
	uint32_t value = a->write ? (uint32_t)a->data : 0;

	d->window(d, vcpu, a->write, a->size, &value);
	if (!a->write)
		a->data = value;
	gbus_range_put(&d->bar[0].range);
}

static bool data_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vpci *p = container_of(r, struct vpci, port[1]);
	struct vpci_dev *d;
	unsigned int off;
	uint64_t flags;
	bool window;

	(void)fast;
	flags = spin_lock_irqsave(&p->lock);
	d = addressed(p);
	off = (p->address & 0xfc) + a->offset;
	window = d && d->window && off == d->window_at;
	if (window)
		gbus_range_get(&d->bar[0].range);
	else if (a->write && d)
		vpci_config_write(d, off, a->size, (uint32_t)a->data);
	else if (!a->write)
		a->data = d ? vpci_config_read(d, off, a->size) : UINT32_MAX;
	spin_unlock_irqrestore(&p->lock, flags);
	if (window)
		window_pass(d, vcpu, a);
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

	uint8_t cfg[VPCI_CONFIG_SIZE];

	if (version != dev->ops->state_version || b->bad || (address & ~ADDRESS_VALID) ||
	    vpci_dev_decode(&p->bridge, b, cfg))
		return -RAY_EINVAL;
	vpci_dev_apply(&p->bridge, cfg);
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
					 .fn = io_access, .inner = io_inner, .name = "pci-io"};
	p->mmio = (struct gbus_range){.base = VIRT_PCI_MMIO,
				      .len = VIRT_PCI_MMIO_END - VIRT_PCI_MMIO,
				      .fn = mmio_access, .inner = mmio_inner,
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
