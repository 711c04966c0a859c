/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space of one function: header, BARs, capabilities (PCI local bus 3.0, 6.1). */
#include <string.h>

#include "devices/virt/pci_priv.h"
#include "kernel/lib/checked.h"
#include "kernel/lib/err.h"

#define RAY_SUBVENDOR  0x5241u
#define RAY_SUBDEVICE  0x0001u
#define BAR_IO         0x1u
#define BAR_WIDE       0x4u
#define CAP_FIRST      0x40u

uint64_t vpci_config_read(const struct vpci_dev *d, unsigned int off, unsigned int len)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < len; i++)
		v |= (uint64_t)d->cfg[off + i] << (8 * i);
	return v;
}

static uint64_t bar_base(const struct vpci_dev *d, unsigned int n)
{
	const struct vpci_bar *b = &d->bar[n];
	uint64_t v = vpci_config_read(d, PCI_BAR0 + 4 * n, b->wide ? 8 : 4);

	return v & ~(b->io ? 0x3ull : 0xfull);
}

/* Lock held. A BAR outside the window answers nowhere, as behind a bridge on a board. */
static void bars_update(struct vpci_dev *d)
{
	uint16_t command = (uint16_t)vpci_config_read(d, PCI_COMMAND, 2);

	for (unsigned int n = 0; n < VPCI_BARS; n++) {
		struct vpci_bar *b = &d->bar[n];
		uint64_t base = bar_base(d, n), on_now;
		bool on = command & (b->io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY);

		if (b->size == 0)
			continue;
		if (b->io)
			on = on && range_inside(base, b->size, VIRT_PCI_IO, 0x10000 - VIRT_PCI_IO);
		else
			on = on && range_inside(base, b->size, VIRT_PCI_MMIO,
						VIRT_PCI_MMIO_END - VIRT_PCI_MMIO);
		on_now = on ? base : 0;
		if (on_now == b->at)
			continue;
		__atomic_store_n(&b->at, on_now, __ATOMIC_RELEASE);
		/* vCPUs remember where it was. */
		gbus_changed(&d->vm->bus);
	}
}

static void intx_update(struct vpci_dev *d)
{
	bool on = (d->cfg[PCI_STATUS] & PCI_STATUS_INTX) &&
		  !(vpci_config_read(d, PCI_COMMAND, 2) & PCI_COMMAND_NO_INTX);

	virq_line_set(d->vm, PCI_INTX_GSI(d->slot), d->slot, on);
}

void vpci_dev_init(struct vpci_dev *d, uint16_t vendor, uint16_t device, uint16_t class, bool intx)
{
	uint16_t command = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			   PCI_COMMAND_NO_INTX;

	memset(d, 0, sizeof(*d));
	vpci_put(d->cfg, PCI_VENDOR, 2, vendor);
	vpci_put(d->cfg, PCI_DEVICE, 2, device);
	vpci_put(d->cfg, PCI_CLASS, 2, class);
	vpci_put(d->cfg, PCI_SUBVENDOR, 2, RAY_SUBVENDOR);
	vpci_put(d->cfg, PCI_SUBDEVICE, 2, RAY_SUBDEVICE);
	vpci_put(d->wmask, PCI_COMMAND, 2, command);
	d->cfg[PCI_INT_PIN] = intx ? 1 : 0;
	d->wmask[PCI_INT_LINE] = 0xff;
	d->cap_end = CAP_FIRST;
}

void vpci_bar_set(struct vpci_dev *d, unsigned int n, const struct vpci_bar *bar)
{
	uint64_t writable = ~(bar->size - 1) & ~(bar->io ? 0x3ull : 0xfull);

	d->bar[n] = *bar;
	d->bar[n].range.len = bar->size;
	vpci_put(d->cfg, PCI_BAR0 + 4 * n, 4, bar->io ? BAR_IO : bar->wide ? BAR_WIDE : 0);
	vpci_put(d->wmask, PCI_BAR0 + 4 * n, bar->wide ? 8 : 4, writable);
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

void vpci_intx_set(struct vpci_dev *d, bool level)
{
	if (level)
		__atomic_fetch_or(&d->cfg[PCI_STATUS], PCI_STATUS_INTX, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(&d->cfg[PCI_STATUS], (uint8_t)~PCI_STATUS_INTX, __ATOMIC_SEQ_CST);
	intx_update(d);
}

void vpci_config_write(struct vpci_dev *d, unsigned int off, unsigned int len, uint32_t value)
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

void vpci_dev_save(const struct vpci_dev *d, struct state_buf *b)
{
	state_put(b, d->cfg, sizeof(d->cfg));
}

int vpci_dev_decode(const struct vpci_dev *d, struct state_buf *b, uint8_t *cfg)
{
	state_get(b, cfg, VPCI_CONFIG_SIZE);
	if (b->bad)
		return -RAY_EINVAL;
	/* A different device in this slot shows in what no guest can write. */
	for (unsigned int i = 0; i < VPCI_CONFIG_SIZE; i++) {
		uint8_t fixed = (uint8_t)~(d->wmask[i] | (i == PCI_STATUS ? PCI_STATUS_INTX : 0));

		if ((cfg[i] ^ d->cfg[i]) & fixed)
			return -RAY_EINVAL;
	}
	return 0;
}

void vpci_dev_apply(struct vpci_dev *d, const uint8_t *cfg)
{
	uint64_t flags = spin_lock_irqsave(&d->vm->platform->pci->lock);

	memcpy(d->cfg, cfg, sizeof(d->cfg));
	bars_update(d);
	spin_unlock_irqrestore(&d->vm->platform->pci->lock, flags);
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
