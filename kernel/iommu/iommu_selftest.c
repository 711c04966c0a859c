/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device reaches what is mapped for it and nothing else. The device is QEMU's "edu", whose DMA
 * goes wherever it is told (docs/specs/edu.rst of QEMU); where there is none, or no IOMMU, there
 * is nothing to be seen.
 */
#include <string.h>

#include "kernel/dma/dma.h"
#include "kernel/iommu/iommu.h"
#include "kernel/mm/page.h"
#include "kernel/mmio.h"
#include "kernel/sched/thread.h"
#include "kernel/selftest.h"
#include "kernel/time/time.h"

#define EDU_VENDOR 0x1234u
#define EDU_DEVICE 0x11e8u
#define EDU_SOURCE 0x80u
#define EDU_TARGET 0x88u
#define EDU_COUNT  0x90u
#define EDU_CMD    0x98u
#define EDU_RUN    BIT(0)
#define EDU_TO_RAM BIT(1)
#define EDU_BUFFER 0x40000u
#define EDU_LEN    2048u
#define EDU_NS     5000000000ull
#define FAULT_NS   1000000000ull

struct edu {
	struct pci_dev *pci;
	void *regs;
	uint8_t *page;
	hpa_t hpa;
	bool silent; /* the IOMMU does not say what it refuses (QEMU's of AMD's kind) */
};

static bool dma(const struct edu *e, bool to_ram)
{
	uint64_t end = time_now() + EDU_NS;

	mmio_write64(e->regs, EDU_SOURCE, to_ram ? EDU_BUFFER : e->hpa.v);
	mmio_write64(e->regs, EDU_TARGET, to_ram ? e->hpa.v : EDU_BUFFER);
	mmio_write64(e->regs, EDU_COUNT, EDU_LEN);
	mmio_write64(e->regs, EDU_CMD, EDU_RUN | (to_ram ? EDU_TO_RAM : 0));
	while (mmio_read64(e->regs, EDU_CMD) & EDU_RUN) {
		if (time_now() >= end)
			return false;
		thread_sleep_until(time_now() + 10000000);
	}
	return true;
}

static uint64_t faults_of(const struct edu *e)
{
	const struct iommu_domain *dom = e->pci->dma;

	return __atomic_load_n(&dom->unit->faults, __ATOMIC_ACQUIRE);
}

/* A fault comes by interrupt: a moment later. */
static bool faults_beyond(const struct edu *e, uint64_t before)
{
	uint64_t end = time_now() + FAULT_NS;

	while (faults_of(e) == before) {
		if (time_now() >= end)
			return false;
		thread_sleep_until(time_now() + 1000000);
	}
	return true;
}

static bool is_all(const struct edu *e, uint8_t v)
{
	for (unsigned int i = 0; i < EDU_LEN; i++) {
		if (__atomic_load_n(&e->page[i], __ATOMIC_RELAXED) != v)
			return false;
	}
	return true;
}

/* What is not mapped stays as it is, and that somebody tried is known. */
static void refused(struct selftest *t, struct edu *e, uint8_t inside)
{
	uint64_t before = faults_of(e);
	const struct iommu_domain *dom = e->pci->dma;

	memset(e->page, inside, EDU_LEN);
	SELFTEST_CHECK(t, dma(e, true));
	SELFTEST_CHECK(t, is_all(e, inside));
	if (e->silent)
		return;
	if (!faults_beyond(e, before)) {
		e->silent = true;
		sink_printf(t->out, "  this IOMMU does not say what it refuses\n");
		return;
	}
	SELFTEST_CHECK(t, dom->unit->last.requester == e->pci->bdf);
	SELFTEST_CHECK(t, dom->unit->last.addr / PAGE_SIZE == e->hpa.v / PAGE_SIZE);
	SELFTEST_CHECK(t, dom->unit->last.write);
}

/* The device takes the page's bytes and gives them back into it. */
static void granted(struct selftest *t, const struct edu *e, uint8_t v)
{
	uint64_t before = faults_of(e);
	dma_addr_t at;

	memset(e->page, v, EDU_LEN);
	if (dma_map(e->pci, e->hpa, EDU_LEN, DMA_BOTH, UINT64_MAX, &at)) {
		selftest_fail(t, "dma_map()", __FILE__, __LINE__);
		return;
	}
	SELFTEST_CHECK(t, dma(e, false));
	memset(e->page, 0, EDU_LEN);
	SELFTEST_CHECK(t, dma(e, true));
	SELFTEST_CHECK(t, is_all(e, v));
	SELFTEST_CHECK(t, faults_of(e) == before);
	dma_unmap(e->pci, e->hpa, EDU_LEN);
}

/* Mapped to be read: it may not be written. */
static void read_only(struct selftest *t, struct edu *e)
{
	dma_addr_t at;

	if (dma_map(e->pci, e->hpa, EDU_LEN, DMA_TO_DEVICE, UINT64_MAX, &at)) {
		selftest_fail(t, "dma_map()", __FILE__, __LINE__);
		return;
	}
	refused(t, e, 0x3c);
	dma_unmap(e->pci, e->hpa, EDU_LEN);
}

static void run(struct selftest *t, struct edu *e)
{
	pci_master_set(e->pci, true);
	refused(t, e, 0x11);
	granted(t, e, 0x22);
	refused(t, e, 0x33); /* it is forgotten, too */
	read_only(t, e);
	granted(t, e, 0x44);
	pci_master_set(e->pci, false);
}

static struct pci_dev *edu_find(void)
{
	struct pci_dev *d;

	pci_for_each (d) {
		if (d->vendor == EDU_VENDOR && d->device == EDU_DEVICE)
			return d;
	}
	return NULL;
}

static void test_confined(struct selftest *t)
{
	struct edu e = {.pci = edu_find()};

	if (!e.pci || dma_attach(e.pci) || !e.pci->dma) {
		sink_printf(t->out, "  no device to try it with, or no IOMMU\n");
		return;
	}
	pci_write16(e.pci, PCI_COMMAND, pci_read16(e.pci, PCI_COMMAND) | PCI_COMMAND_MEM);
	e.regs = pci_bar_map(e.pci, 0, VMAP_UC);
	if (!e.regs || page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO, &e.hpa)) {
		selftest_fail(t, "memory", __FILE__, __LINE__);
		return;
	}
	e.page = hpa_to_va(e.hpa);
	run(t, &e);
	page_free(e.hpa, PAGE_ORDER_4K);
	vunmap(e.regs);
}
SELFTEST(iommu_confined, test_confined);
