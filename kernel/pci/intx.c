// SPDX-License-Identifier: Apache-2.0
/* Where interrupt pins go: ACPI's _PRT, else the PIIX's PIRQ registers. */
#include "kernel/lib/err.h"
#include "kernel/pci/pci_priv.h"

#define VENDOR_INTEL  0x8086u
#define DEVICE_PIIX3  0x7000u
#define DEVICE_PIIX4  0x7110u
#define PIIX_PIRQRC   0x60u /* one byte for each of PIRQA..D: bit 7 off, bits 3..0 ISA IRQ */
#define PIRQRC_OFF    0x80u
#define PIRQRC_IRQ    0x0fu

static pci_intx_router router;

void pci_intx_router_set(pci_intx_router fn)
{
	__atomic_store_n(&router, fn, __ATOMIC_RELEASE);
}

unsigned int pci_intx_swizzle(const struct pci_dev *d, unsigned int pin)
{
	return (pin - 1 + PCI_DEV(d->bdf)) % 4 + 1;
}

static const struct pci_dev *piix_find(void)
{
	const struct pci_dev *d;

	pci_for_each (d) {
		if (d->vendor == VENDOR_INTEL &&
		    (d->device == DEVICE_PIIX3 || d->device == DEVICE_PIIX4))
			return d;
	}
	return NULL;
}

static int piix_route(const struct pci_dev *d, unsigned int pin, struct pci_intx *out)
{
	const struct pci_dev *piix = piix_find();
	unsigned int pirq;
	uint8_t rc;

	if (!piix)
		return -RAY_ENODEV;
	for (; d->parent; d = d->parent)
		pin = pci_intx_swizzle(d, pin);
	/* 440FX boards wire slot 1's INTA to PIRQA and turn by one a slot. */
	pirq = (PCI_DEV(d->bdf) + pin - 2) & 3;
	rc = pci_read8(piix, PIIX_PIRQRC + pirq);
	if ((rc & PIRQRC_OFF) || (rc & PIRQRC_IRQ) < 3)
		return -RAY_ENODEV;
	/* The PIIX inverts the pin: high-active behind it. */
	*out = (struct pci_intx){.gsi = rc & PIRQRC_IRQ, .flags = IRQ_F_LEVEL | IRQ_F_SHARED};
	return 0;
}

int pci_intx_route(const struct pci_dev *d, struct pci_intx *out)
{
	pci_intx_router fn = __atomic_load_n(&router, __ATOMIC_ACQUIRE);

	if (d->int_pin == 0)
		return -RAY_ENODEV;
	if (fn && fn(d, d->int_pin, out) == 0)
		return 0;
	return piix_route(d, d->int_pin, out);
}
