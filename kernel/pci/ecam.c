// SPDX-License-Identifier: Apache-2.0
/*
 * PCIe enhanced configuration access (PCIe 5.0, 7.2.2). The ports reach the same first 256
 * bytes, so a bus is mapped (1 MiB of uncached address space) only once something asks for
 * more than those.
 */
#define LOG_TAG "pci"
#include "kernel/acpi/tables.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/mm/vmap.h"
#include "kernel/pci/pci_priv.h"

#define BUS_BYTES 0x100000u

static struct pci_ecam_range range;
/* Filled at init while one CPU runs; a bus without devices is never asked for later. */
static volatile uint8_t *bus_map[256];

static volatile uint8_t *bus_get(unsigned int bus)
{
	if (!bus_map[bus] && bus <= range.bus_last)
		bus_map[bus] = vmap(HPA(range.base + (uint64_t)bus * BUS_BYTES), BUS_BYTES, VMAP_UC,
				    true);
	return bus_map[bus];
}

static volatile uint8_t *reg_get(pci_bdf_t bdf, unsigned int off)
{
	volatile uint8_t *bus;

	bus = off < PCI_CFG_SIZE_PCI ? bus_map[PCI_BUS(bdf)] : bus_get(PCI_BUS(bdf));
	return bus ? bus + ((bdf & 0xffu) << 12) + off : NULL;
}

static uint32_t ecam_read(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
			  unsigned int width)
{
	volatile uint8_t *reg;

	if (off >= a->cfg_size)
		return UINT32_MAX;
	reg = reg_get(bdf, off);
	if (!reg)
		return pci_access_ports.read(&pci_access_ports, bdf, off, width);
	if (width == 1)
		return *reg;
	if (width == 2)
		return *(volatile uint16_t *)reg;
	return *(volatile uint32_t *)reg;
}

static void ecam_write(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
		       unsigned int width, uint32_t v)
{
	volatile uint8_t *reg;

	if (off >= a->cfg_size)
		return;
	reg = reg_get(bdf, off);
	if (!reg)
		pci_access_ports.write(&pci_access_ports, bdf, off, width, v);
	else if (width == 1)
		*reg = (uint8_t)v;
	else if (width == 2)
		*(volatile uint16_t *)reg = (uint16_t)v;
	else
		*(volatile uint32_t *)reg = v;
}

static const struct pci_access access_ecam = {
	.name = "ecam",
	.read = ecam_read,
	.write = ecam_write,
	.cfg_size = PCI_CFG_SIZE_PCIE,
};

const struct pci_access *pci_ecam_init(void)
{
	size_t len;
	const void *mcfg = acpi_table_find("MCFG", 0, &len);
	int err;

	if (!mcfg)
		return NULL;
	err = pci_mcfg_parse(mcfg, len, &range);
	if (err) {
		log_warn("MCFG unusable: %s", ray_strerror(err));
		return NULL;
	}
	/* Both ways must lead to the same host bridge, or the table is wrong. */
	if (!bus_get(0) || *(volatile uint32_t *)bus_map[0] !=
				   pci_acc_read32(&pci_access_ports, PCI_BDF(0, 0, 0), 0)) {
		log_warn("MCFG does not hold: base=0x%llx", (unsigned long long)range.base);
		if (bus_map[0])
			vunmap((void *)(uintptr_t)bus_map[0]);
		bus_map[0] = NULL;
		return NULL;
	}
	return &access_ecam;
}

unsigned int pci_ecam_bus_last(void)
{
	return range.bus_last;
}
