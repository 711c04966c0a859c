/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host driver stands on beside the block layer (fake_disk.h): one PCI function whose BAR is
 * a model's, its interrupts, memory that devices reach. The test has the registers
 * (fake_mmio_read(), fake_mmio_write()). Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_DRIVER_H
#define RAYOS_TESTS_HOST_FAKE_DRIVER_H

#include "kernel/pci/pci.h"
#include "tests/host/fake_disk.h"

#define FAKE_IRQS_MAX 32u

extern const struct pci_driver *const __start_rayos_pci_drivers[];

static struct pci_dev fake_pci = {.refs = 1};
static void *fake_regs; /* what the BAR is mapped to */
static unsigned int fake_irq_count = 1;
static struct {
	irq_fn fn;
	void *arg;
} fake_irqs[FAKE_IRQS_MAX];
static bool fake_master;

static const struct pci_driver *fake_driver(void)
{
	return __start_rayos_pci_drivers[0];
}

static __unused void fake_irq(unsigned int index)
{
	if (fake_irqs[index].fn)
		fake_irqs[index].fn(fake_irqs[index].arg);
}

static __unused void *fake_memory(uint64_t addr)
{
	assert(fake_master);
	return (void *)(uintptr_t)addr;
}

void *pci_bar_map(const struct pci_dev *d, unsigned int bar, enum vmap_cache cache)
{
	(void)cache;
	return d->bar[bar].size ? fake_regs : NULL;
}

void vunmap(void *va)
{
	assert(va == fake_regs);
}

void pci_master_set(const struct pci_dev *d, bool on)
{
	(void)d;
	fake_master = on;
}

unsigned int pci_irq_count(const struct pci_dev *d)
{
	(void)d;
	return fake_irq_count;
}

int pci_irq_request(struct pci_dev *d, unsigned int index, unsigned int cpu, irq_fn fn, void *arg,
		    const char *name)
{
	(void)d;
	(void)cpu;
	(void)name;
	assert(index < FAKE_IRQS_MAX && !fake_irqs[index].fn);
	fake_irqs[index].fn = fn;
	fake_irqs[index].arg = arg;
	return 0;
}

void pci_irq_release_all(struct pci_dev *d)
{
	(void)d;
	memset(fake_irqs, 0, sizeof(fake_irqs));
}

/* Probe with the @n-th allocation failing. Returns: what probe() did; no error leaves anything. */
static __unused int fake_probe_starved(unsigned int n)
{
	long live = fake_heap_live;
	int pages = fake_pages_live, err;

	fake_heap_fail_at = (int)n;
	err = fake_driver()->probe(&fake_pci);
	fake_heap_fail_at = 0;
	assert(!err || (err == -RAY_ENOMEM && fake_heap_live == live && fake_pages_live == pages));
	return err;
}

#endif
