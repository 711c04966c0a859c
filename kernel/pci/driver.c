// SPDX-License-Identifier: Apache-2.0
#define LOG_TAG "pci"
#include "kernel/dma/dma.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/pci/pci_priv.h"

extern const struct pci_driver *const __start_rayos_pci_drivers[];
extern const struct pci_driver *const __stop_rayos_pci_drivers[];

bool pci_match_one(const struct pci_match *m, const struct pci_dev *d)
{
	return (m->vendor == PCI_ANY || m->vendor == d->vendor) &&
	       (m->device == PCI_ANY || m->device == d->device) &&
	       (d->class_code & m->class_mask) == m->class_code;
}

static bool driver_matches(const struct pci_driver *drv, const struct pci_dev *d)
{
	for (size_t i = 0; i < drv->match_count; i++) {
		if (pci_match_one(&drv->match[i], d))
			return true;
	}
	return false;
}

/* Turn on the decoders of what firmware has assigned. */
static uint16_t decode_bits(const struct pci_dev *d)
{
	unsigned int bits = 0;

	for (unsigned int i = 0; i < PCI_BARS_MAX; i++) {
		if (d->bar[i].base != 0)
			bits |= d->bar[i].flags & PCI_BAR_F_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEM;
	}
	return (uint16_t)bits;
}

/* Whatever it has left behind, the device keeps off memory and does not interrupt. */
static void driver_gone(struct pci_dev *d)
{
	pci_irq_release_all(d);
	pci_master_set(d, false);
	d->driver = NULL;
	d->priv = NULL;
}

static bool driver_try(const struct pci_driver *drv, struct pci_dev *d)
{
	uint16_t cmd = pci_read16(d, PCI_COMMAND);
	int err;

	pci_write16(d, PCI_COMMAND, cmd | decode_bits(d));
	d->driver = drv;
	err = dma_attach(d);
	if (!err)
		err = drv->probe(d);
	if (err == 0) {
		d->dev.cls = drv->base.cls;
		device_driver_set(&d->dev, &drv->base);
		return true;
	}
	log_warn("%s refused a device: %s dev=" PCI_BDF_FMT " id=%04x:%04x", drv->base.id,
		 ray_strerror(err), PCI_BDF_ARGS(d->bdf), d->vendor, d->device);
	driver_gone(d);
	pci_write16(d, PCI_COMMAND, (uint16_t)(cmd & ~PCI_COMMAND_MASTER));
	return false;
}

/* The best that matches and was not tried; those of one priority stand as they were linked. */
static const struct pci_driver *const *candidate(const struct pci_dev *d,
						 const struct pci_driver *const *last)
{
	const struct pci_driver *const *best = NULL;

	for (const struct pci_driver *const *p = __start_rayos_pci_drivers;
	     p < __stop_rayos_pci_drivers; p++) {
		uint8_t prio = (*p)->base.priority;

		if (!driver_matches(*p, d) ||
		    (last && (prio > (*last)->base.priority ||
			      (prio == (*last)->base.priority && p <= last))))
			continue;
		if (!best || prio > (*best)->base.priority)
			best = p;
	}
	return best;
}

int pci_driver_bind(struct pci_dev *d)
{
	const struct pci_driver *const *p = NULL;

	while ((p = candidate(d, p)) != NULL) {
		if (driver_try(*p, d))
			return 0;
	}
	return -RAY_ENODEV;
}

void pci_driver_unbind(struct pci_dev *d)
{
	d->driver->remove(d);
	driver_gone(d);
	device_driver_set(&d->dev, NULL);
}

unsigned int pci_drivers_bind(struct list_head *devices)
{
	unsigned int bound = 0;
	struct pci_dev *d;

	list_for_each_entry(d, devices, node) {
		if (!d->driver && pci_driver_bind(d) == 0)
			bound++;
	}
	return bound;
}

void *pci_bar_map(const struct pci_dev *d, unsigned int bar, enum vmap_cache cache)
{
	const struct pci_bar *b;

	if (bar >= PCI_BARS_MAX)
		return NULL;
	b = &d->bar[bar];
	if (b->size == 0 || b->base == 0 || (b->flags & PCI_BAR_F_IO))
		return NULL;
	return vmap(HPA(b->base), b->size, cache, true);
}
