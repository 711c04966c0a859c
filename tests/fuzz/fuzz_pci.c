/* UNIT: kernel/pci/bar.c kernel/pci/caps.c kernel/pci/scan.c kernel/pci/config.c
 * kernel/pci/mcfg.c
 */
/* PARSER: kernel/pci/bar.c kernel/pci/caps.c kernel/pci/scan.c kernel/pci/config.c
 * kernel/pci/mcfg.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * Enumeration, BAR sizing and capability walks over hostile hardware. The input is a list of
 * functions: 2 bytes of address, 1 byte of length n / 4, n bytes of configuration space from 0
 * on and as many of write mask; the last bytes also go to the MCFG reader.
 */
#include <stddef.h>
#include <stdint.h>

#include "tests/host/fake_heap.h"
#include "tests/host/fake_log.h"
#include "tests/host/fake_pci.h"

static size_t function_take(const uint8_t *p, size_t size)
{
	struct fake_fn *f;
	size_t n;

	if (size < 3)
		return size;
	n = p[2] * 4u;
	if (n > (size - 3) / 2)
		n = (size - 3) / 2;
	f = fake_fn_add((pci_bdf_t)(p[0] << 8 | p[1]), 1, 1, 0);
	memcpy(f->cfg, p + 3, n);
	memcpy(f->wmask, p + 3 + n, n);
	return 3 + 2 * n;
}

static void device_check(const struct pci_dev *d)
{
	if (d->cap_count > PCI_CAPS_MAX || d->int_pin > 4)
		abort();
	for (unsigned int i = 0; i < d->cap_count; i++) {
		if (d->caps[i].off < 0x40 || d->caps[i].off >= PCI_CFG_SIZE_PCIE)
			abort();
	}
	for (unsigned int i = 0; i < PCI_BARS_MAX; i++) {
		uint64_t size = d->bar[i].size;

		if ((size & (size - 1)) != 0 || (size == 0 && d->bar[i].base != 0) ||
		    (size != 0 && (d->bar[i].base & (size - 1)) != 0))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct list_head list = LIST_HEAD_INIT(list);
	struct pci_ecam_range range;
	struct pci_scan_stats st;
	struct pci_dev *d;
	uint8_t *copy;
	size_t pos = 0;

	while (pos < size && fake_fn_count < 64)
		pos += function_take(data + pos, size - pos);
	if (pci_scan(&fake_pci, 15, &list, &st) != 0)
		abort();
	list_for_each_entry(d, &list, node)
		device_check(d);
	pci_scan_free(&list);
	fake_pci_reset();
	if (fake_heap_live != 0)
		abort();

	copy = malloc(size + 1);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	if (pci_mcfg_parse(copy, size, &range) == 0 && (range.base == 0 || range.base % 0x100000))
		abort();
	free(copy);
	return 0;
}
