/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration space in memory: functions with contents and a mask of writable bits, behind
 * a struct pci_access that checks its callers.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_PCI_H
#define RAYOS_TESTS_HOST_FAKE_PCI_H

#include <stdlib.h>
#include <string.h>

#include "kernel/pci/pci_priv.h"

#define FAKE_PCI_FNS 600u

struct fake_fn {
	pci_bdf_t bdf;
	uint8_t cfg[PCI_CFG_SIZE_PCIE];
	uint8_t wmask[PCI_CFG_SIZE_PCIE];
};

static struct fake_fn *fake_fns[FAKE_PCI_FNS];
static struct fake_fn *fake_by_bdf[65536]; /* the first at an address answers */
static unsigned int fake_fn_count;
static unsigned long fake_reads, fake_writes;

static struct fake_fn *fake_fn_find(pci_bdf_t bdf)
{
	return fake_by_bdf[bdf];
}

static void fake_check(const struct pci_access *a, unsigned int off, unsigned int width)
{
	if ((width != 1 && width != 2 && width != 4) || off % width != 0 || off >= a->cfg_size)
		abort();
}

static uint32_t fake_read(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
			  unsigned int width)
{
	struct fake_fn *f = fake_fn_find(bdf);
	uint32_t v = UINT32_MAX;

	fake_check(a, off, width);
	fake_reads++;
	if (f)
		memcpy(&v, f->cfg + off, width);
	return v;
}

static void fake_write(const struct pci_access *a, pci_bdf_t bdf, unsigned int off,
		       unsigned int width, uint32_t v)
{
	struct fake_fn *f = fake_fn_find(bdf);

	fake_check(a, off, width);
	fake_writes++;
	for (unsigned int i = 0; f && i < width; i++) {
		uint8_t m = f->wmask[off + i], b = (uint8_t)(v >> (8 * i));

		f->cfg[off + i] = (uint8_t)((f->cfg[off + i] & ~m) | (b & m));
	}
}

static const struct pci_access fake_pci = {
	.name = "fake", .read = fake_read, .write = fake_write, .cfg_size = PCI_CFG_SIZE_PCIE};

static __unused void fake_put(struct fake_fn *f, unsigned int off, uint64_t v, unsigned int width)
{
	memcpy(f->cfg + off, &v, width);
}

static __unused struct fake_fn *fake_fn_add(pci_bdf_t bdf, uint16_t vendor, uint16_t device,
					    uint32_t class_code)
{
	struct fake_fn *f = calloc(1, sizeof(*f));

	if (!f || fake_fn_count == FAKE_PCI_FNS)
		abort();
	f->bdf = bdf;
	fake_put(f, PCI_VENDOR_ID, vendor, 2);
	fake_put(f, PCI_VENDOR_ID + 2, device, 2);
	fake_put(f, PCI_CLASS_REVISION, (uint64_t)class_code << 8 | 1, 4);
	f->wmask[PCI_COMMAND] = 0x07;
	f->wmask[PCI_COMMAND + 1] = 0x04;
	fake_fns[fake_fn_count++] = f;
	if (!fake_by_bdf[bdf])
		fake_by_bdf[bdf] = f;
	return f;
}

/* A 32-bit or port BAR of @size bytes, its low bits as given. */
static __unused void fake_bar(struct fake_fn *f, unsigned int off, uint32_t value, uint32_t size)
{
	uint32_t mask = ~(size - 1);

	fake_put(f, off, value, 4);
	memcpy(f->wmask + off, &mask, 4);
}

static __unused void fake_bar64(struct fake_fn *f, unsigned int off, uint64_t value, uint64_t size)
{
	uint64_t mask = ~(size - 1);

	fake_put(f, off, value, 8);
	memcpy(f->wmask + off, &mask, 8);
}

static __unused void fake_cap(struct fake_fn *f, unsigned int off, uint8_t id, uint8_t next)
{
	f->cfg[off] = id;
	f->cfg[off + 1] = next;
}

/* Of the devices that were found. */
static __unused struct pci_dev *at(pci_bdf_t bdf)
{
	struct pci_dev *d;

	pci_for_each (d) {
		if (d->bdf == bdf)
			return d;
	}
	return NULL;
}

static __unused void fake_pci_reset(void)
{
	while (fake_fn_count > 0) {
		fake_by_bdf[fake_fns[--fake_fn_count]->bdf] = NULL;
		free(fake_fns[fake_fn_count]);
	}
	fake_reads = 0;
	fake_writes = 0;
}

#endif
