// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "kernel/pci/pci_priv.h"

/* Every capability has a place of its own in these many bytes: more steps are a loop. */
#define CAP_STEPS_MAX     ((PCI_CFG_SIZE_PCI - 0x40u) / 4u)
#define EXT_CAP_STEPS_MAX ((PCI_CFG_SIZE_PCIE - PCI_EXT_CAP_START) / 8u)

struct cap_list {
	struct pci_cap *caps;
	unsigned int n;
};

static bool cap_add(struct cap_list *l, unsigned int off, unsigned int id, bool ext)
{
	if (l->n == PCI_CAPS_MAX)
		return false;
	for (unsigned int i = 0; i < l->n; i++) {
		if (l->caps[i].off == off)
			return false;
	}
	l->caps[l->n++] = (struct pci_cap){.off = (uint16_t)off, .id = (uint16_t)id, .ext = ext};
	return true;
}

/* Returns false when the list was cut. */
static bool std_list(const struct pci_access *a, pci_bdf_t bdf, struct cap_list *l)
{
	unsigned int off = pci_acc_read8(a, bdf, PCI_CAP_PTR) & 0xfcu;

	for (unsigned int i = 0; off != 0; i++) {
		uint16_t head;

		if (off < 0x40 || i == CAP_STEPS_MAX)
			return false;
		head = pci_acc_read16(a, bdf, off);
		if ((head & 0xff) == 0xff || !cap_add(l, off, head & 0xffu, false))
			return false;
		off = (head >> 8) & 0xfcu;
	}
	return true;
}

static bool ext_list(const struct pci_access *a, pci_bdf_t bdf, struct cap_list *l)
{
	unsigned int off = PCI_EXT_CAP_START;

	for (unsigned int i = 0; off != 0; i++) {
		uint32_t head;

		if (off < PCI_EXT_CAP_START || i == EXT_CAP_STEPS_MAX)
			return false;
		head = pci_acc_read32(a, bdf, off);
		/* All zeros or ones at the start: no extended capabilities. */
		if (head == 0 || head == UINT32_MAX)
			return i == 0;
		if (!cap_add(l, off, head & 0xffffu, true))
			return false;
		off = (head >> 20) & 0xffcu;
	}
	return true;
}

unsigned int pci_caps_read(const struct pci_access *a, pci_bdf_t bdf, struct pci_cap *caps,
			   bool *bad)
{
	struct cap_list l = {.caps = caps, .n = 0};
	bool express = false;

	*bad = false;
	if (!(pci_acc_read16(a, bdf, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;
	if (!std_list(a, bdf, &l))
		*bad = true;
	for (unsigned int i = 0; i < l.n; i++)
		express = express || caps[i].id == PCI_CAP_ID_EXP;
	/* Only PCI Express functions have the upper space; elsewhere it may mirror the lower. */
	if (express && a->cfg_size > PCI_EXT_CAP_START && !ext_list(a, bdf, &l))
		*bad = true;
	return l.n;
}
