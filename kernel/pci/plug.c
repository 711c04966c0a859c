// SPDX-License-Identifier: Apache-2.0
/* Functions that come and go with a card: found, given addresses and drivers; and taken away. */
#define LOG_TAG "pci"
#include "kernel/log.h"
#include "kernel/pci/pci_priv.h"

static uint16_t payload(const struct pci_dev *d, unsigned int cap)
{
	return pci_read16(d, cap + PCI_EXP_DEVCTL) & PCI_EXP_DEVCTL_MPS;
}

static void payload_set(const struct pci_dev *d, unsigned int cap, uint16_t mps)
{
	uint16_t ctl = pci_read16(d, cap + PCI_EXP_DEVCTL);

	pci_write16(d, cap + PCI_EXP_DEVCTL, (uint16_t)((ctl & ~PCI_EXP_DEVCTL_MPS) | mps));
}

/*
 * A card comes up with the smallest payload, and must take what the port above sends (PCIe 5.0,
 * 7.5.3.4): it gets the port's, or the port gets what the card is able to.
 */
static void payload_match(const struct pci_dev *d)
{
	unsigned int up = pci_cap_find(d->parent, PCI_CAP_ID_EXP);
	unsigned int cap = pci_cap_find(d, PCI_CAP_ID_EXP);
	uint16_t able;

	if (up == 0 || cap == 0)
		return;
	able = (uint16_t)((pci_read32(d, cap + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_MPS)
			  << PCI_EXP_DEVCTL_MPS_AT);
	if (able < payload(d->parent, up))
		payload_set(d->parent, up, able);
	payload_set(d, cap, payload(d->parent, up));
}

static bool is_below(const struct pci_dev *d, const struct pci_dev *port)
{
	for (d = d->parent; d; d = d->parent) {
		if (d == port)
			return true;
	}
	return false;
}

unsigned int pci_plug(struct pci_dev *port)
{
	struct list_head found = LIST_HEAD_INIT(found);
	struct pci_scan_stats st;
	struct pci_dev *d;
	int err = pci_scan_below(port, &found, &st);
	unsigned int left = pci_assign(port, &found);

	if (err || left || st.broken)
		log_warn("not all of a card can be used: port=" PCI_BDF_FMT " functions=%u broken=%u "
			 "addresses_missing=%u", PCI_BDF_ARGS(port->bdf), st.devices, st.broken, left);
	pci_write16(port, PCI_COMMAND, pci_read16(port, PCI_COMMAND) | PCI_COMMAND_MEM |
					       PCI_COMMAND_MASTER);
	device_change_begin();
	list_for_each_entry(d, &found, node) {
		payload_match(d);
		pci_tree_enter(d);
	}
	pci_list_lock();
	list_splice_tail(&found, &pci_devices);
	pci_list_unlock();
	pci_for_each (d) {
		if (is_below(d, port))
			(void)pci_driver_bind(d);
	}
	device_change_end();
	return st.devices;
}

/* The last one: what is behind a bridge comes after it. */
static struct pci_dev *last_below(const struct pci_dev *port)
{
	struct pci_dev *d, *last = NULL;

	pci_for_each (d) {
		if (is_below(d, port))
			last = d;
	}
	return last;
}

void pci_unplug(const struct pci_dev *port)
{
	struct pci_dev *d;

	device_change_begin();
	while ((d = last_below(port)) != NULL) {
		if (d->driver)
			pci_driver_unbind(d);
		device_remove(&d->dev);
		pci_list_lock();
		list_del(&d->node);
		pci_list_unlock();
		pci_put(d);
	}
	device_change_end();
}
