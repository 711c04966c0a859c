/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "iommu"
#include "kernel/iommu/iommu.h"

#include "kernel/conf.h"
#include "kernel/dma/dma.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"

#define FAULTS_SAID     8u /* then only every time their number has doubled */

struct list_head iommu_units = LIST_HEAD_INIT(iommu_units);
static struct list_head domains = LIST_HEAD_INIT(domains);
static const struct iommu_platform *platform;
static unsigned int unit_count;

unsigned int iommu_order(uint64_t hpa, uint64_t len)
{
	uint64_t first = hpa / PAGE_SIZE, last = (hpa + len - 1) / PAGE_SIZE;
	unsigned int order = 0;

	while (first >> order != last >> order)
		order++;
	return order;
}

void iommu_unit_add(struct iommu_unit *u)
{
	u->number = unit_count++;
	u->domains = 1; /* number 0 is none's */
	list_add_tail(&u->node, &iommu_units);
}

/* --- who asks --- */

/* A port of PCI Express passes on who asked; other bridges ask in their own name. */
static bool hides_requester(const struct pci_dev *bridge)
{
	unsigned int cap = pci_cap_find(bridge, PCI_CAP_ID_EXP), type;

	if (cap == 0)
		return true;
	type = PCI_EXP_FLAGS_TYPE(pci_read16(bridge, cap + PCI_EXP_FLAGS));
	return type != PCI_EXP_TYPE_ROOT && type != PCI_EXP_TYPE_UPSTREAM &&
	       type != PCI_EXP_TYPE_DOWN;
}

/* The bridge nearest to the root that hides who is behind it. NULL: none does. */
static const struct pci_dev *hiding_bridge(const struct pci_dev *d)
{
	const struct pci_dev *found = NULL;

	for (const struct pci_dev *up = d->parent; up; up = up->parent) {
		if (hides_requester(up))
			found = up;
	}
	return found;
}

/* All in whose name a device's requests may come (VT-d 4.1, 3.4.1). */
static unsigned int requesters_of(const struct pci_dev *d, uint16_t alias,
				  uint16_t out[IOMMU_REQUESTERS_MAX])
{
	const struct pci_dev *b = hiding_bridge(d);
	unsigned int n = 0;

	if (!b) {
		out[n++] = d->bdf;
		if (alias != d->bdf)
			out[n++] = alias;
		return n;
	}
	out[n++] = b->bdf;
	out[n++] = PCI_BDF(b->secondary, 0, 0);
	if (alias != out[0] && alias != out[1])
		out[n++] = alias;
	return n;
}

/* --- domains --- */

static struct iommu_domain *domain_find(const struct iommu_unit *u, pci_bdf_t group)
{
	struct iommu_domain *dom;

	list_for_each_entry (dom, &domains, node) {
		if (dom->unit == u && dom->group == group)
			return dom;
	}
	return NULL;
}

static int region_map(void *ctx, uint64_t hpa, uint64_t len)
{
	struct iommu_domain *dom = ctx;

	log_info("firmware reserves memory for a device: hpa=0x%lx bytes=0x%lx dev=" PCI_BDF_FMT,
		 hpa, len, PCI_BDF_ARGS(dom->group));
	return iopt_map(&dom->table, hpa, len, IOPT_READ | IOPT_WRITE);
}

static int domain_enter(struct iommu_domain *dom, const struct pci_dev *d, uint16_t alias)
{
	uint16_t ids[IOMMU_REQUESTERS_MAX];
	unsigned int n = requesters_of(d, alias, ids);
	int err = platform->regions(d, region_map, dom);

	for (unsigned int i = 0; !err && i < n; i++)
		err = dom->unit->ops->attach(dom->unit, dom, ids[i]);
	return err;
}

static struct iommu_domain *domain_create(struct iommu_unit *u, pci_bdf_t group)
{
	struct iommu_domain *dom;

	if (u->domains == u->domains_max)
		return NULL;
	dom = kzalloc(sizeof(*dom), MEM_DMA);
	if (!dom)
		return NULL;
	dom->unit = u;
	dom->group = group;
	spin_lock_init(&dom->lock, LOCK_ORDER_DMA);
	if (iopt_init(&dom->table, u->ops->format, u->levels)) {
		kfree(dom);
		return NULL;
	}
	dom->id = (uint16_t)u->domains++;
	list_add_tail(&dom->node, &domains);
	return dom;
}

/* A device keeps its domain for good, whoever drives it. */
static int attach(struct pci_dev *d)
{
	const struct pci_dev *bridge = hiding_bridge(d);
	pci_bdf_t group = bridge ? bridge->bdf : d->bdf;
	uint16_t alias = d->bdf;
	struct iommu_unit *u = platform->unit_of(d, &alias);
	struct iommu_domain *dom;
	int err;

	if (!u || d->dma)
		return 0;
	if (!bridge)
		group = alias;
	dom = domain_find(u, group);
	if (!dom)
		dom = domain_create(u, group);
	if (!dom)
		return -RAY_ENOMEM;
	err = domain_enter(dom, d, alias);
	if (!err)
		d->dma = dom;
	return err;
}

/* --- struct dma_ops --- */

static int map(void *domain, uint64_t hpa, uint64_t len, enum dma_dir dir)
{
	struct iommu_domain *dom = domain;
	uint64_t perms = (dir != DMA_FROM_DEVICE ? IOPT_READ : 0) |
			 (dir != DMA_TO_DEVICE ? IOPT_WRITE : 0);
	uint64_t flags = spin_lock_irqsave(&dom->lock);
	int err = iopt_map(&dom->table, hpa, len, perms);

	dom->maps++;
	/* What was mapped for a moment and taken back is forgotten, too. */
	if (unlikely(err || dom->unit->remembers_nothing_too))
		dom->unit->ops->flush(dom->unit, dom, hpa, len);
	spin_unlock_irqrestore(&dom->lock, flags);
	return err;
}

static void unmap(void *domain, uint64_t hpa, uint64_t len)
{
	struct iommu_domain *dom = domain;
	uint64_t flags = spin_lock_irqsave(&dom->lock);

	if (iopt_unmap(&dom->table, hpa, len)) {
		dom->flushes++;
		dom->unit->ops->flush(dom->unit, dom, hpa, len);
	}
	spin_unlock_irqrestore(&dom->lock, flags);
}

static const struct dma_ops ops = {.attach = attach, .map = map, .unmap = unmap};

/* --- what was refused --- */

void iommu_fault(struct iommu_unit *u, const struct iommu_fault *f)
{
	uint64_t n = __atomic_add_fetch(&u->faults, 1, __ATOMIC_RELAXED);

	u->last = *f;
	if (n > FAULTS_SAID && (n & (n - 1)))
		return;
	log_warn("a device was kept off memory: dev=" PCI_BDF_FMT " addr=0x%lx %s reason=%u faults=%lu",
		 PCI_BDF_ARGS(f->requester), f->addr, f->write ? "write" : "read", f->reason, n);
	marker_print(MARKER_IOMMU_FAULT, "device=" PCI_BDF_FMT " addr=0x%lx",
		     PCI_BDF_ARGS(f->requester), f->addr);
}

/* --- start --- */

static int none(void *ctx, uint64_t hpa, uint64_t len)
{
	(void)ctx;
	(void)hpa;
	(void)len;
	return 1;
}

/* Some go on reaching what firmware gave them though nobody drives them: a screen its picture. */
static void reserved_attach(void)
{
	struct pci_dev *d;

	pci_for_each (d) {
		int err = platform->regions(d, none, NULL) ? attach(d) : 0;

		if (err)
			log_warn("memory that firmware reserves is not mapped: %s dev=" PCI_BDF_FMT,
				 ray_strerror(err), PCI_BDF_ARGS(d->bdf));
	}
}

static int start(const struct iommu_platform *p)
{
	int err = p->find();

	if (err)
		return err;
	platform = p;
	reserved_attach();
	err = p->enable();
	if (err)
		return err;
	dma_ops_set(&ops);
	marker_print(MARKER_IOMMU_ON, "kind=%s units=%u", p->name, unit_count);
	return 0;
}

int iommu_init(void)
{
	int err;

	if (!conf()->iommu)
		return 0;
	err = start(&vtd_platform);
	if (err == -RAY_ENODEV)
		err = start(&amdvi_platform);
	return err == -RAY_ENODEV ? 0 : err;
}
