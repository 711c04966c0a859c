// SPDX-License-Identifier: Apache-2.0
/*
 * Enumeration. Buses wait in a queue instead of on the stack: a hostile machine can nest 255.
 */
#define LOG_TAG "pci"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/pci/pci_priv.h"

#define BUSES 256u

struct scan {
	const struct pci_access *acc;
	struct list_head *list;
	struct pci_scan_stats *st;
	uint8_t queue[BUSES];
	unsigned int head, tail;
	bool seen[BUSES];
	struct pci_dev *bridge[BUSES]; /* the one leading there */
};

static void bus_add(struct scan *s, unsigned int bus, struct pci_dev *bridge)
{
	s->seen[bus] = true;
	s->bridge[bus] = bridge;
	s->queue[s->tail++] = (uint8_t)bus; /* each bus once: never more than BUSES */
}

static void bridge_read(struct scan *s, struct pci_dev *d)
{
	uint32_t buses = pci_acc_read32(s->acc, d->bdf, PCI_BRIDGE_BUSES);
	unsigned int last = d->parent ? d->parent->subordinate : BUSES - 1;

	d->secondary = (uint8_t)(buses >> 8);
	d->subordinate = (uint8_t)(buses >> 16);
	/* Firmware numbers downwards; anything else is a loop or an unused bridge. */
	if (d->secondary <= PCI_BUS(d->bdf) || d->subordinate < d->secondary ||
	    d->subordinate > last || s->seen[d->secondary]) {
		if (d->secondary != 0)
			s->st->broken++;
		return;
	}
	bus_add(s, d->secondary, d);
}

static void ids_read(const struct pci_access *a, struct pci_dev *d)
{
	uint32_t class_rev = pci_acc_read32(a, d->bdf, PCI_CLASS_REVISION);

	d->class_code = class_rev >> 8;
	d->revision = (uint8_t)class_rev;
	d->int_line = pci_acc_read8(a, d->bdf, PCI_INT_LINE);
	d->int_pin = pci_acc_read8(a, d->bdf, PCI_INT_PIN);
	if (d->int_pin > 4)
		d->int_pin = 0;
	if (d->header == PCI_HEADER_NORMAL) {
		uint32_t sub = pci_acc_read32(a, d->bdf, PCI_SUBSYSTEM_ID);

		d->sub_vendor = (uint16_t)sub;
		d->sub_device = (uint16_t)(sub >> 16);
	}
}

static void bars_of(const struct pci_access *a, struct pci_dev *d)
{
	/* A host bridge's BARs may be the path to memory: not to be played with, nor needed. */
	if (d->class_code >> 8 == PCI_CLASS_HOST_BRIDGE)
		return;
	if (d->header == PCI_HEADER_NORMAL)
		pci_bars_read(a, d->bdf, 6, PCI_ROM, d->bar, &d->rom);
	else if (d->header == PCI_HEADER_BRIDGE)
		pci_bars_read(a, d->bdf, 2, PCI_BRIDGE_ROM, d->bar, &d->rom);
}

static void msi_off(const struct pci_access *a, const struct pci_dev *d, unsigned int id,
		    unsigned int ctrl, uint16_t enable)
{
	unsigned int cap = pci_cap_find(d, id);

	if (cap != 0)
		pci_acc_write16(a, d->bdf, cap + ctrl,
				(uint16_t)(pci_acc_read16(a, d->bdf, cap + ctrl) & ~enable));
}

/* Nobody drives the device yet: it may neither reach memory nor interrupt. */
static void quiet(const struct pci_access *a, const struct pci_dev *d)
{
	uint16_t cmd = pci_acc_read16(a, d->bdf, PCI_COMMAND);

	if (d->header == PCI_HEADER_NORMAL && d->class_code >> 8 != PCI_CLASS_HOST_BRIDGE)
		cmd = (uint16_t)(cmd & ~PCI_COMMAND_MASTER);
	pci_acc_write16(a, d->bdf, PCI_COMMAND, (uint16_t)(cmd | PCI_COMMAND_INTX_OFF));
	msi_off(a, d, PCI_CAP_ID_MSI, PCI_MSI_CTRL, PCI_MSI_CTRL_ENABLE);
	msi_off(a, d, PCI_CAP_ID_MSIX, PCI_MSIX_CTRL, PCI_MSIX_CTRL_ENABLE);
}

static int function_scan(struct scan *s, pci_bdf_t bdf, struct pci_dev *parent, bool *multi)
{
	uint32_t id = pci_acc_read32(s->acc, bdf, PCI_VENDOR_ID);
	struct pci_dev *d;
	uint8_t header;
	bool cut;

	*multi = false;
	if ((uint16_t)id == 0xffff || (uint16_t)id == 0)
		return 0;
	header = pci_acc_read8(s->acc, bdf, PCI_HEADER_TYPE);
	*multi = (header & PCI_HEADER_MULTI) != 0;
	header &= PCI_HEADER_MASK;
	if (header > PCI_HEADER_CARDBUS || s->st->devices == PCI_DEVICES_MAX) {
		s->st->broken++;
		return 0;
	}
	d = kzalloc(sizeof(*d), MEM_PCI);
	if (!d)
		return -RAY_ENOMEM;
	d->refs = 1;
	d->acc = s->acc;
	d->parent = parent;
	d->bdf = bdf;
	d->vendor = (uint16_t)id;
	d->device = (uint16_t)(id >> 16);
	d->header = header;
	ids_read(s->acc, d);
	d->cap_count = (uint8_t)pci_caps_read(s->acc, bdf, d->caps, &cut);
	quiet(s->acc, d);
	bars_of(s->acc, d);
	if (cut) {
		s->st->broken++;
		log_warn("capability list damaged: dev=" PCI_BDF_FMT, PCI_BDF_ARGS(bdf));
	}
	list_add_tail(&d->node, s->list);
	s->st->devices++;
	if (header == PCI_HEADER_BRIDGE)
		bridge_read(s, d);
	return 0;
}

static int bus_scan(struct scan *s, unsigned int bus)
{
	s->st->buses++;
	for (unsigned int dev = 0; dev < 32; dev++) {
		bool multi, ignored;
		int err = function_scan(s, PCI_BDF(bus, dev, 0), s->bridge[bus], &multi);

		for (unsigned int fn = 1; !err && multi && fn < 8; fn++)
			err = function_scan(s, PCI_BDF(bus, dev, fn), s->bridge[bus], &ignored);
		if (err)
			return err;
	}
	return 0;
}

/* Is there a first function anywhere on a bus that no bridge leads to? */
static bool bus_populated(const struct pci_access *a, unsigned int bus)
{
	for (unsigned int dev = 0; dev < 32; dev++) {
		uint16_t vendor = pci_acc_read16(a, PCI_BDF(bus, dev, 0), PCI_VENDOR_ID);

		if (vendor != 0xffff && vendor != 0)
			return true;
	}
	return false;
}

static int queue_run(struct scan *s)
{
	while (s->head != s->tail) {
		int err = bus_scan(s, s->queue[s->head++]);

		if (err)
			return err;
	}
	return 0;
}

static struct scan *scan_create(const struct pci_access *a, struct list_head *list,
				struct pci_scan_stats *st)
{
	struct scan *s = kzalloc(sizeof(*s), MEM_PCI);

	*st = (struct pci_scan_stats){.devices = 0};
	if (!s)
		return NULL;
	s->acc = a;
	s->list = list;
	s->st = st;
	return s;
}

int pci_scan(const struct pci_access *a, unsigned int bus_last, struct list_head *list,
	     struct pci_scan_stats *st)
{
	struct scan *s = scan_create(a, list, st);
	int err;

	if (!s)
		return -RAY_ENOMEM;
	bus_add(s, 0, NULL);
	err = queue_run(s);
	for (unsigned int bus = 1; !err && bus <= bus_last && bus < BUSES; bus++) {
		if (s->seen[bus] || !bus_populated(a, bus))
			continue;
		bus_add(s, bus, NULL);
		err = queue_run(s);
	}
	kfree(s);
	return err;
}

int pci_scan_below(struct pci_dev *port, struct list_head *list, struct pci_scan_stats *st)
{
	struct scan *s = scan_create(port->acc, list, st);
	int err;

	if (!s)
		return -RAY_ENOMEM;
	bus_add(s, port->secondary, port);
	err = queue_run(s);
	kfree(s);
	return err;
}

void pci_scan_free(struct list_head *list)
{
	struct pci_dev *d, *tmp;

	list_for_each_entry_safe(d, tmp, list, node) {
		list_del(&d->node);
		pci_put(d);
	}
}
