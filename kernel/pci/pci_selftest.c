// SPDX-License-Identifier: Apache-2.0
#include "kernel/pci/pci_priv.h"
#include "kernel/selftest.h"

/* The hardware still says what enumeration has written down. */
static void test_devices(struct selftest *t)
{
	const struct pci_dev *d;

	SELFTEST_CHECK(t, !list_empty(&pci_devices));
	pci_list_lock();
	pci_for_each (d) {
		SELFTEST_CHECK(t, pci_read16(d, PCI_VENDOR_ID) == d->vendor);
		SELFTEST_CHECK(t, pci_find(d->bdf) == d);
		SELFTEST_CHECK(t, !d->parent || (d->parent->secondary == PCI_BUS(d->bdf) &&
						 d->parent->header == PCI_HEADER_BRIDGE));
	}
	pci_list_unlock();
}
SELFTEST(pci_devices, test_devices);

/* What nobody drives cannot reach memory nor interrupt. */
static void test_quiet(struct selftest *t)
{
	const struct pci_dev *d;

	pci_list_lock();
	pci_for_each (d) {
		uint16_t cmd = pci_read16(d, PCI_COMMAND);

		if (d->driver || d->header != PCI_HEADER_NORMAL ||
		    d->class_code >> 8 == PCI_CLASS_HOST_BRIDGE)
			continue;
		/* Some functions of a chipset have the bit wired to 1 (the PIIX's ISA bridge). */
		if (d->class_code >> 16 != 0x06)
			SELFTEST_CHECK(t, !(cmd & PCI_COMMAND_MASTER));
		SELFTEST_CHECK(t, d->irq_mode == PCI_IRQ_NONE);
	}
	pci_list_unlock();
}
SELFTEST(pci_quiet, test_quiet);

/* Both ways into configuration space lead to the same registers. */
static void test_access(struct selftest *t)
{
	const struct pci_dev *d;

	pci_list_lock();
	pci_for_each (d) {
		for (unsigned int off = PCI_CLASS_REVISION; off < PCI_BAR0; off += 4)
			SELFTEST_CHECK(t, pci_acc_read32(&pci_access_ports, d->bdf, off) ==
						  pci_read32(d, off));
	}
	pci_list_unlock();
}
SELFTEST(pci_access, test_access);
