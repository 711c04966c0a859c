// SPDX-License-Identifier: Apache-2.0
/* Configuration mechanism 1 (PCI 3.0, 3.2.2.3.2). */
#include "kernel/arch/cpu.h"
#include "kernel/pci/access.h"
#include "kernel/pci/pci_regs.h"
#include "kernel/sched/spinlock.h"

#define CONFIG_ADDRESS 0xcf8u
#define CONFIG_DATA    0xcfcu
#define CONFIG_ENABLE  0x80000000u

/* Address and data are two accesses. */
static struct spinlock lock = SPINLOCK_INIT(LOCK_ORDER_PCI);

static uint32_t address(pci_bdf_t bdf, unsigned int off)
{
	return CONFIG_ENABLE | ((uint32_t)bdf << 8) | (off & 0xfcu);
}

static uint32_t ports_read(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
			   unsigned int width)
{
	uint16_t port = (uint16_t)(CONFIG_DATA + (off & 3));
	uint64_t flags;
	uint32_t v;

	if (off >= a->cfg_size)
		return UINT32_MAX;
	flags = spin_lock_irqsave(&lock);
	out32(CONFIG_ADDRESS, address(bdf, off));
	v = width == 1 ? in8(port) : width == 2 ? in16(port) : in32(port);
	spin_unlock_irqrestore(&lock, flags);
	return v;
}

static void ports_write(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
			unsigned int width, uint32_t v)
{
	uint16_t port = (uint16_t)(CONFIG_DATA + (off & 3));
	uint64_t flags;

	if (off >= a->cfg_size)
		return;
	flags = spin_lock_irqsave(&lock);
	out32(CONFIG_ADDRESS, address(bdf, off));
	if (width == 1)
		out8(port, (uint8_t)v);
	else if (width == 2)
		out16(port, (uint16_t)v);
	else
		out32(port, v);
	spin_unlock_irqrestore(&lock, flags);
}

const struct pci_access pci_access_ports = {
	.name = "ports",
	.read = ports_read,
	.write = ports_write,
	.cfg_size = PCI_CFG_SIZE_PCI,
};
