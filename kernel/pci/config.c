// SPDX-License-Identifier: Apache-2.0
/* What a driver does with one device's configuration space. */
#include "kernel/pci/pci_priv.h"

uint8_t pci_read8(const struct pci_dev *d, unsigned int off)
{
	return pci_acc_read8(d->acc, d->bdf, off);
}

uint16_t pci_read16(const struct pci_dev *d, unsigned int off)
{
	return pci_acc_read16(d->acc, d->bdf, off);
}

uint32_t pci_read32(const struct pci_dev *d, unsigned int off)
{
	return pci_acc_read32(d->acc, d->bdf, off);
}

void pci_write8(const struct pci_dev *d, unsigned int off, uint8_t v)
{
	d->acc->write(d->acc, d->bdf, off, 1, v);
}

void pci_write16(const struct pci_dev *d, unsigned int off, uint16_t v)
{
	pci_acc_write16(d->acc, d->bdf, off, v);
}

void pci_write32(const struct pci_dev *d, unsigned int off, uint32_t v)
{
	pci_acc_write32(d->acc, d->bdf, off, v);
}

static unsigned int cap_find(const struct pci_dev *d, unsigned int id, bool ext)
{
	for (unsigned int i = 0; i < d->cap_count; i++) {
		if (d->caps[i].id == id && d->caps[i].ext == ext)
			return d->caps[i].off;
	}
	return 0;
}

unsigned int pci_cap_find(const struct pci_dev *d, unsigned int id)
{
	return cap_find(d, id, false);
}

unsigned int pci_ext_cap_find(const struct pci_dev *d, unsigned int id)
{
	return cap_find(d, id, true);
}

unsigned int pci_cap_next(const struct pci_dev *d, unsigned int off)
{
	unsigned int i = 0;

	while (i < d->cap_count && d->caps[i].off != off)
		i++;
	for (unsigned int j = i + 1; j < d->cap_count; j++) {
		if (d->caps[j].id == d->caps[i].id && d->caps[j].ext == d->caps[i].ext)
			return d->caps[j].off;
	}
	return 0;
}

void pci_master_set(const struct pci_dev *d, bool on)
{
	uint16_t cmd = pci_read16(d, PCI_COMMAND);

	cmd = (uint16_t)(on ? cmd | PCI_COMMAND_MASTER : cmd & ~PCI_COMMAND_MASTER);
	pci_write16(d, PCI_COMMAND, cmd);
}
