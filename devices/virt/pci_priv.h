/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bus (pci.c) and a function's configuration space (pci_dev.c) share.
 * Locking: vpci->lock (order VDEV); see pci.h.
 */
#ifndef RAYOS_DEVICES_VIRT_PCI_PRIV_H
#define RAYOS_DEVICES_VIRT_PCI_PRIV_H

#include "devices/virt/pci.h"
#include "devices/virt/virt.h"

#define PCI_INTX_GSI(slot) (16u + ((slot) & 7u)) /* as _PRT in dsdt.asl has it */

struct vpci {
	struct vdev dev;
	struct gbus_range port[3]; /* address, data, I/O window */
	struct gbus_range mmio;    /* memory window */
	struct spinlock lock;
	uint32_t address;
	struct vpci_dev *slot[VPCI_SLOTS];
	uint8_t last; /* slot that was chosen last */
	struct vpci_bar *volatile bar[VPCI_MAPPED_MAX]; /* of all devices, holes are NULL */
	struct vpci_dev bridge;
};

/** @off + @len <= VPCI_CONFIG_SIZE, @len <= 8. Context: lock held. */
uint64_t vpci_config_read(const struct vpci_dev *d, unsigned int off, unsigned int len);
/** A guest's write, under the write mask. Trust: @value is the guest's, the range checked. */
void vpci_config_write(struct vpci_dev *d, unsigned int off, unsigned int len, uint32_t value);

#endif
