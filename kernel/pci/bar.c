// SPDX-License-Identifier: Apache-2.0
#include "kernel/pci/pci_priv.h"

/* Write all ones, read what sticks, put the old value back. */
static uint32_t probe32(const struct pci_access *a, pci_bdf_t bdf, unsigned int off, uint32_t ones,
			uint32_t *old)
{
	uint32_t mask;

	*old = pci_acc_read32(a, bdf, off);
	pci_acc_write32(a, bdf, off, ones);
	mask = pci_acc_read32(a, bdf, off);
	pci_acc_write32(a, bdf, off, *old);
	return mask;
}

/* The lowest writable bit is the size, whatever holes a device has above it. */
static void bar_set(struct pci_bar *b, uint64_t base, uint64_t mask, uint8_t flags)
{
	uint64_t size = mask & (~mask + 1);

	if (size == 0)
		return;
	b->size = size;
	b->flags = flags;
	/* Firmware left it unassigned, or assigned it nonsense: nobody may use the address. */
	if ((base & (size - 1)) == 0 && base <= UINT64_MAX - (size - 1))
		b->base = base;
}

/* Returns how many registers the BAR takes. */
static unsigned int bar_read(const struct pci_access *a, pci_bdf_t bdf, unsigned int index,
			     unsigned int count, struct pci_bar *b)
{
	unsigned int off = PCI_BAR0 + 4 * index;
	uint32_t old, old_hi, mask, mask_hi;
	uint8_t flags = 0;

	mask = probe32(a, bdf, off, UINT32_MAX, &old);
	/* Not there; or a bit that is read-only by definition is not. */
	if (mask == 0 || mask == UINT32_MAX || ((mask ^ old) & PCI_BAR_IO_SPACE))
		return 1;
	if (mask & PCI_BAR_IO_SPACE) {
		uint32_t m = mask & PCI_BAR_IO_MASK;

		/* The upper half may be hard-wired to 0 (PCI 3.0, 6.2.5.1). */
		bar_set(b, old & PCI_BAR_IO_MASK & 0xffff, m & 0xffff, PCI_BAR_F_IO);
		return 1;
	}
	if ((mask ^ old) & (PCI_BAR_TYPE | PCI_BAR_PREFETCH))
		return 1;
	if (mask & PCI_BAR_PREFETCH)
		flags |= PCI_BAR_F_PREFETCH;
	if ((mask & PCI_BAR_TYPE) != PCI_BAR_TYPE_64) {
		bar_set(b, old & PCI_BAR_MEM_MASK, mask & PCI_BAR_MEM_MASK, flags);
		return 1;
	}
	if (index + 1 >= count)
		return 1;
	mask_hi = probe32(a, bdf, off + 4, UINT32_MAX, &old_hi);
	bar_set(b, ((uint64_t)old_hi << 32) | (old & PCI_BAR_MEM_MASK),
		((uint64_t)mask_hi << 32) | (mask & PCI_BAR_MEM_MASK), flags | PCI_BAR_F_64);
	return 2;
}

void pci_bars_read(const struct pci_access *a, pci_bdf_t bdf, unsigned int count,
		   unsigned int rom_off, struct pci_bar *bars, struct pci_bar *rom)
{
	uint16_t command = pci_acc_read16(a, bdf, PCI_COMMAND);
	uint32_t old, mask;

	/* A half-written BAR must not decode: it could cover another device for a moment. */
	pci_acc_write16(a, bdf, PCI_COMMAND,
			(uint16_t)(command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEM)));
	for (unsigned int i = 0; i < count;)
		i += bar_read(a, bdf, i, count, &bars[i]);
	if (rom_off != 0) {
		mask = probe32(a, bdf, rom_off, PCI_ROM_MASK, &old);
		if (mask != UINT32_MAX)
			bar_set(rom, old & PCI_ROM_MASK, mask & PCI_ROM_MASK, 0);
	}
	pci_acc_write16(a, bdf, PCI_COMMAND, command);
}
