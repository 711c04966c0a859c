/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one way into configuration space: a mechanism (ports, ECAM, a test's fake) behind two
 * calls. Offsets are naturally aligned and inside @cfg_size; absent functions read all ones.
 */
#ifndef RAYOS_KERNEL_PCI_ACCESS_H
#define RAYOS_KERNEL_PCI_ACCESS_H

#include "kernel/lib/types.h"

/* Bus, device, function as one number, as requester IDs have it. */
typedef uint16_t pci_bdf_t;
#define PCI_BDF(bus, dev, fn) ((pci_bdf_t)(((bus) << 8) | ((dev) << 3) | (fn)))
#define PCI_BUS(bdf)          ((unsigned int)(bdf) >> 8)
#define PCI_DEV(bdf)          (((unsigned int)(bdf) >> 3) & 0x1fu)
#define PCI_FN(bdf)           ((unsigned int)(bdf) & 7u)
/* For people: "00:1f.2". */
#define PCI_BDF_FMT           "%02x:%02x.%x"
#define PCI_BDF_ARGS(bdf)     PCI_BUS(bdf), PCI_DEV(bdf), PCI_FN(bdf)

struct pci_access {
	const char *name;
	/** @width is 1, 2 or 4. Context: any but NMI. */
	uint32_t (*read)(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
			 unsigned int width);
	void (*write)(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
		      unsigned int width, uint32_t v);
	unsigned int cfg_size; /* bytes: 256 or 4096 */
};

static inline uint8_t pci_acc_read8(const struct pci_access *a, pci_bdf_t bdf, unsigned int off)
{
	return (uint8_t)a->read(a, bdf, off, 1);
}

static inline uint16_t pci_acc_read16(const struct pci_access *a, pci_bdf_t bdf, unsigned int off)
{
	return (uint16_t)a->read(a, bdf, off, 2);
}

static inline uint32_t pci_acc_read32(const struct pci_access *a, pci_bdf_t bdf, unsigned int off)
{
	return a->read(a, bdf, off, 4);
}

static inline void pci_acc_write16(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
				   uint16_t v)
{
	a->write(a, bdf, off, 2, v);
}

static inline void pci_acc_write32(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
				   uint32_t v)
{
	a->write(a, bdf, off, 4, v);
}

/** Configuration mechanism 1, ports 0xCF8 and 0xCFC: always there. */
extern const struct pci_access pci_access_ports;

/**
 * Memory-mapped configuration space of segment 0 as the MCFG table has it, checked against
 * the ports. A bus is mapped when it is first touched.
 * Returns: NULL when there is no MCFG or it does not hold. Context: init.
 */
const struct pci_access *pci_ecam_init(void);

/** Last bus number the ECAM covers. */
unsigned int pci_ecam_bus_last(void);

#endif
