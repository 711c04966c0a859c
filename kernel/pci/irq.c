// SPDX-License-Identifier: Apache-2.0
/* A device's interrupts: MSI-X (PCI 3.0, 6.8.2), MSI (6.8.1), or its pin. */
#include "kernel/lib/checked.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/pci/pci_priv.h"

#define MSIX_ENTRY_CTRL 12u
#define MSIX_ENTRY_MASK 1u

static void intx_set(const struct pci_dev *d, bool on)
{
	uint16_t cmd = pci_read16(d, PCI_COMMAND);

	cmd = (uint16_t)(on ? cmd & ~PCI_COMMAND_INTX_OFF : cmd | PCI_COMMAND_INTX_OFF);
	pci_write16(d, PCI_COMMAND, cmd);
}

static void ctrl_update(const struct pci_dev *d, unsigned int off, uint16_t clear, uint16_t set)
{
	pci_write16(d, off, (uint16_t)((pci_read16(d, off) & ~clear) | set));
}

/* ---- MSI-X ---- */

static unsigned int msix_size(const struct pci_dev *d, unsigned int cap)
{
	return (pci_read16(d, cap + PCI_MSIX_CTRL) & PCI_MSIX_CTRL_SIZE) + 1u;
}

static volatile uint32_t *msix_entry(const struct pci_dev *d, unsigned int index)
{
	return (volatile uint32_t *)((uintptr_t)d->msix_table + index * PCI_MSIX_ENTRY_LEN);
}

/* Is the table where its BAR is? Returns its address, 0 when not. */
static uint64_t msix_table_hpa(const struct pci_dev *d, unsigned int cap, unsigned int entries)
{
	uint32_t where = pci_read32(d, cap + PCI_MSIX_TABLE);
	uint32_t bir = where & PCI_MSIX_BIR, off = where & ~PCI_MSIX_BIR;
	const struct pci_bar *b;

	if (bir >= PCI_BARS_MAX)
		return 0;
	b = &d->bar[bir];
	if (b->base == 0 || (b->flags & PCI_BAR_F_IO) ||
	    !range_inside(off, (uint64_t)entries * PCI_MSIX_ENTRY_LEN, 0, b->size))
		return 0;
	return b->base + off;
}

static int msix_begin(struct pci_dev *d, unsigned int cap)
{
	unsigned int entries = msix_size(d, cap);
	uint64_t hpa = msix_table_hpa(d, cap, entries);

	d->irq_slots = (uint16_t)MIN(entries, PCI_IRQS_MAX);
	d->msix_table = vmap(HPA(hpa), entries * PCI_MSIX_ENTRY_LEN, VMAP_UC, true);
	if (!d->msix_table)
		return -RAY_ENOMEM;
	/* Enabled but masked as a whole while every entry is masked one by one. */
	ctrl_update(d, cap + PCI_MSIX_CTRL, 0, PCI_MSIX_CTRL_ENABLE | PCI_MSIX_CTRL_MASK);
	for (unsigned int i = 0; i < entries; i++)
		msix_entry(d, i)[MSIX_ENTRY_CTRL / 4] = MSIX_ENTRY_MASK;
	ctrl_update(d, cap + PCI_MSIX_CTRL, PCI_MSIX_CTRL_MASK, 0);
	return 0;
}

static void msix_write(struct pci_dev *d, unsigned int index, const struct msi_msg *msg)
{
	volatile uint32_t *e = msix_entry(d, index);

	e[0] = (uint32_t)msg->addr;
	e[1] = (uint32_t)(msg->addr >> 32);
	e[2] = msg->data;
	e[MSIX_ENTRY_CTRL / 4] = 0;
}

/* ---- MSI ---- */

static void msi_write(const struct pci_dev *d, unsigned int cap, const struct msi_msg *msg)
{
	uint16_t ctrl = pci_read16(d, cap + PCI_MSI_CTRL);
	unsigned int data = cap + PCI_MSI_ADDR + 4;

	pci_write32(d, cap + PCI_MSI_ADDR, (uint32_t)msg->addr);
	if (ctrl & PCI_MSI_CTRL_64) {
		pci_write32(d, data, (uint32_t)(msg->addr >> 32));
		data += 4;
	}
	pci_write16(d, data, (uint16_t)msg->data);
	if (ctrl & PCI_MSI_CTRL_MASK)
		pci_write32(d, data + 4, 0);
	ctrl_update(d, cap + PCI_MSI_CTRL, PCI_MSI_CTRL_MME, PCI_MSI_CTRL_ENABLE);
}

/* ---- all kinds ---- */

unsigned int pci_irq_count(const struct pci_dev *d)
{
	unsigned int cap = pci_cap_find(d, PCI_CAP_ID_MSIX);

	if (cap != 0 && msix_table_hpa(d, cap, msix_size(d, cap)) != 0)
		return MIN(msix_size(d, cap), PCI_IRQS_MAX);
	return pci_cap_find(d, PCI_CAP_ID_MSI) != 0 || d->int_pin != 0 ? 1 : 0;
}

static void mode_end(struct pci_dev *d)
{
	unsigned int cap;

	switch (d->irq_mode) {
	case PCI_IRQ_MSIX:
		cap = pci_cap_find(d, PCI_CAP_ID_MSIX);
		ctrl_update(d, cap + PCI_MSIX_CTRL, PCI_MSIX_CTRL_ENABLE, 0);
		break;
	case PCI_IRQ_MSI:
		cap = pci_cap_find(d, PCI_CAP_ID_MSI);
		ctrl_update(d, cap + PCI_MSI_CTRL, PCI_MSI_CTRL_ENABLE, 0);
		break;
	case PCI_IRQ_INTX:
		intx_set(d, false);
		break;
	case PCI_IRQ_NONE:
		break;
	}
	if (d->msix_table)
		vunmap(d->msix_table);
	kfree(d->irqs);
	d->msix_table = NULL;
	d->irqs = NULL;
	d->irq_slots = 0;
	d->irq_mode = PCI_IRQ_NONE;
}

/* Choose the kind of interrupt and make room for its handles. */
static int mode_begin(struct pci_dev *d)
{
	unsigned int msix = pci_cap_find(d, PCI_CAP_ID_MSIX);
	int err = 0;

	d->irq_slots = 1;
	if (msix != 0 && msix_table_hpa(d, msix, msix_size(d, msix)) != 0)
		d->irq_mode = PCI_IRQ_MSIX;
	else if (pci_cap_find(d, PCI_CAP_ID_MSI) != 0)
		d->irq_mode = PCI_IRQ_MSI;
	else if (d->int_pin != 0)
		d->irq_mode = PCI_IRQ_INTX;
	else
		err = -RAY_ENODEV;
	if (d->irq_mode == PCI_IRQ_MSIX)
		err = msix_begin(d, msix);
	if (!err) {
		d->irqs = kcalloc(d->irq_slots, sizeof(struct irq_handle *), MEM_PCI);
		err = d->irqs ? 0 : -RAY_ENOMEM;
	}
	if (err)
		mode_end(d);
	return err;
}

static int intx_request(struct pci_dev *d, irq_fn fn, void *arg, const char *name)
{
	struct pci_intx r;
	int err = pci_intx_route(d, &r);

	if (err)
		return err;
	err = irq_gsi_request(&d->irqs[0], r.gsi, r.flags, fn, arg, name);
	if (!err)
		intx_set(d, true);
	return err;
}

int pci_irq_request(struct pci_dev *d, unsigned int index, unsigned int cpu, irq_fn fn, void *arg,
		    const char *name)
{
	struct msi_msg msg;
	int err = 0;

	if (d->irq_mode == PCI_IRQ_NONE)
		err = mode_begin(d);
	if (err)
		return err;
	if (index >= d->irq_slots)
		err = -RAY_ERANGE;
	else if (d->irqs[index])
		err = -RAY_EBUSY;
	else if (d->irq_mode == PCI_IRQ_INTX)
		err = intx_request(d, fn, arg, name);
	else
		err = irq_msi_request(&d->irqs[index], cpu, &msg, fn, arg, name);
	if (err) {
		if (d->irq_live == 0)
			mode_end(d);
		return err;
	}
	d->irq_live++;
	if (d->irq_mode == PCI_IRQ_MSIX)
		msix_write(d, index, &msg);
	else if (d->irq_mode == PCI_IRQ_MSI)
		msi_write(d, pci_cap_find(d, PCI_CAP_ID_MSI), &msg);
	return 0;
}

void pci_irq_release(struct pci_dev *d, unsigned int index)
{
	if (index >= d->irq_slots || !d->irqs[index])
		return;
	if (d->irq_mode == PCI_IRQ_MSIX)
		msix_entry(d, index)[MSIX_ENTRY_CTRL / 4] = MSIX_ENTRY_MASK;
	/* A device with one interrupt is silenced before its vector goes. */
	if (d->irq_mode == PCI_IRQ_MSI)
		ctrl_update(d, pci_cap_find(d, PCI_CAP_ID_MSI) + PCI_MSI_CTRL, PCI_MSI_CTRL_ENABLE,
			    0);
	else if (d->irq_mode == PCI_IRQ_INTX)
		intx_set(d, false);
	irq_release(d->irqs[index]);
	d->irqs[index] = NULL;
	if (--d->irq_live == 0)
		mode_end(d);
}

void pci_irq_release_all(struct pci_dev *d)
{
	for (unsigned int i = d->irq_slots; i-- > 0;)
		pci_irq_release(d, i);
}
