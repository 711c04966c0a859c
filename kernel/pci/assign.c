// SPDX-License-Identifier: Apache-2.0
/*
 * Addresses for functions that came after firmware was done: inside the windows that firmware
 * left to the bridge above them (PCI-to-PCI Bridge Architecture 1.2, 3.2.5.8 to 3.2.5.10).
 * Owns: the order, the largest first, so that nothing is lost to alignment. Pure. Ports are not
 * given: drivers of cards that can be plugged do without.
 */
#include "kernel/pci/pci_priv.h"

#define SIZE_LAST 4u /* the smallest BAR has 16 bytes */

struct window {
	uint64_t next, end; /* free: [next, end) */
};

static uint64_t window_bits(uint16_t reg)
{
	return (uint64_t)(reg & PCI_BRIDGE_WINDOW_MASK) << 16;
}

static struct window window_of(uint64_t base, uint64_t limit)
{
	/* A base above its limit says: closed. */
	return base > limit || base == 0 ? (struct window){.next = 0, .end = 0}
					 : (struct window){.next = base, .end = limit + MIB(1)};
}

static struct window memory(const struct pci_dev *b)
{
	return window_of(window_bits(pci_read16(b, PCI_BRIDGE_MEM)),
			 window_bits(pci_read16(b, PCI_BRIDGE_MEM + 2)));
}

static struct window prefetchable(const struct pci_dev *b)
{
	uint16_t low = pci_read16(b, PCI_BRIDGE_PREF);
	uint64_t base = window_bits(low), limit = window_bits(pci_read16(b, PCI_BRIDGE_PREF + 2));

	if ((low & PCI_BRIDGE_PREF_KIND) == PCI_BRIDGE_PREF_64) {
		base |= (uint64_t)pci_read32(b, PCI_BRIDGE_PREF_BASE_HI) << 32;
		limit |= (uint64_t)pci_read32(b, PCI_BRIDGE_PREF_END_HI) << 32;
	}
	return window_of(base, limit);
}

static bool take(struct window *w, const struct pci_bar *bar, uint64_t *out)
{
	uint64_t at = ALIGN_UP(w->next, bar->size), most = w->end;

	if (!(bar->flags & PCI_BAR_F_64))
		most = MIN(most, GIB(4));
	if (at < w->next || at >= most || bar->size > most - at)
		return false;
	w->next = at + bar->size;
	*out = at;
	return true;
}

static bool assign(struct pci_dev *d, unsigned int index, struct window *mem, struct window *pref)
{
	struct pci_bar *bar = &d->bar[index];
	uint64_t at;

	/* What may not be prefetched must not lie in that window; the other way is only slower. */
	if (!((bar->flags & PCI_BAR_F_PREFETCH) && take(pref, bar, &at)) && !take(mem, bar, &at))
		return false;
	pci_write32(d, PCI_BAR0 + 4 * index, (uint32_t)at);
	if (bar->flags & PCI_BAR_F_64)
		pci_write32(d, PCI_BAR0 + 4 * index + 4, (uint32_t)(at >> 32));
	bar->base = at;
	return true;
}

unsigned int pci_assign(const struct pci_dev *bridge, struct list_head *list)
{
	struct window mem = memory(bridge), pref = prefetchable(bridge);
	unsigned int left = 0;
	struct pci_dev *d;

	list_for_each_entry(d, list, node) {
		for (unsigned int i = 0; i < PCI_BARS_MAX; i++)
			d->bar[i].base = 0;
	}
	for (unsigned int order = 63; order >= SIZE_LAST; order--) {
		list_for_each_entry(d, list, node) {
			for (unsigned int i = 0; i < PCI_BARS_MAX; i++) {
				if (d->bar[i].size == BIT(order) && !(d->bar[i].flags & PCI_BAR_F_IO))
					left += !assign(d, i, &mem, &pref);
			}
		}
	}
	return left;
}
