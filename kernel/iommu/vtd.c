/* SPDX-License-Identifier: Apache-2.0 */
/* Intel's IOMMUs (VT-d 4.1; section numbers are its), in legacy mode: 9.3. */
#include "kernel/iommu/vtd.h"

#include "kernel/acpi/tables.h"
#include "kernel/arch/cpu.h"
#include "kernel/iommu/dmar.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/err.h"
#define LOG_TAG "iommu"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/mm/vmap.h"
#include "kernel/mmio.h"
#include "kernel/time/time.h"

#define REGS_LEN   PAGE_SIZE
#define COMMAND_NS 1000000000ull
#define FAULTS_MAX 256u /* of an interrupt */
#define LINE       64u

static struct dmar_info *info;
static struct vtd *units[DMAR_UNITS_MAX]; /* NULL: that one cannot be used */

/* --- entries --- */

static uint64_t table_entry(uint64_t hpa, unsigned int level)
{
	(void)level;
	return hpa | VTD_SL_READ | VTD_SL_WRITE;
}

static uint64_t leaf_entry(uint64_t hpa, uint64_t perms)
{
	return hpa | (perms & IOPT_READ ? VTD_SL_READ : 0) | (perms & IOPT_WRITE ? VTD_SL_WRITE : 0);
}

/* A unit without coherency reads memory past the caches (ECAP.C). */
static void write_back(const void *p, size_t len)
{
	for (uintptr_t at = (uintptr_t)p & ~(uintptr_t)(LINE - 1u); at < (uintptr_t)p + len;
	     at += LINE)
		cpu_cache_line_flush((const void *)at);
	cpu_store_fence();
}

static const struct iopt_format coherent = {.table = table_entry, .leaf = leaf_entry};
static const struct iopt_format past_caches = {
	.table = table_entry, .leaf = leaf_entry, .sync = write_back};

static void sync(const struct vtd *v, const void *p, size_t len)
{
	if (v->unit.ops->format->sync)
		v->unit.ops->format->sync(p, len);
}

static uint64_t *page_get(const struct vtd *v)
{
	hpa_t page;

	if (page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO, &page))
		return NULL;
	sync(v, hpa_to_va(page), PAGE_SIZE);
	return hpa_to_va(page);
}

static int attach(struct iommu_unit *u, const struct iommu_domain *dom, uint16_t requester)
{
	struct vtd *v = container_of(u, struct vtd, unit);
	unsigned int bus = requester >> 8;
	uint64_t *e;

	if (!v->context[bus]) {
		v->context[bus] = page_get(v);
		if (!v->context[bus])
			return -RAY_ENOMEM;
		__atomic_store_n(&v->root[2u * bus], va_to_hpa(v->context[bus]).v | VTD_PRESENT,
				 __ATOMIC_RELEASE);
		sync(v, &v->root[2u * bus], 2 * sizeof(uint64_t));
	}
	e = &v->context[bus][2u * (requester & 0xffu)];
	e[1] = VTD_CTX_WIDTH(u->levels) | VTD_CTX_DOMAIN(dom->id);
	__atomic_store_n(&e[0], iopt_root(&dom->table) | VTD_PRESENT, __ATOMIC_RELEASE);
	sync(v, e, 2 * sizeof(uint64_t));
	vtd_flush_all(v);
	return 0;
}

static const struct iommu_ops ops_coherent = {
	.name = "vt-d", .format = &coherent, .attach = attach, .flush = vtd_flush};
static const struct iommu_ops ops_past_caches = {
	.name = "vt-d", .format = &past_caches, .attach = attach, .flush = vtd_flush};

/* --- faults --- */

static void fault_take(struct vtd *v, uint32_t off)
{
	uint32_t last = mmio_read32(v->regs, off + 12);

	if (!(last & VTD_FR_F))
		return;
	iommu_fault(&v->unit, &(struct iommu_fault){
				      .requester = (uint16_t)mmio_read32(v->regs, off + 8),
				      .addr = mmio_read64(v->regs, off) & ~(PAGE_SIZE - 1ull),
				      .write = !(last & VTD_FR_READ),
				      .reason = (uint32_t)VTD_FR_REASON(last),
			      });
	mmio_write32(v->regs, off + 12, (uint32_t)VTD_FR_F);
}

static void fault_interrupt(void *arg)
{
	struct vtd *v = arg;
	uint32_t first = VTD_CAP_FRO(v->cap);

	for (unsigned int i = 0; i < VTD_CAP_NFR(v->cap) && i < FAULTS_MAX; i++)
		fault_take(v, first + i * VTD_FR_LEN);
	mmio_write32(v->regs, VTD_FSTS, VTD_FSTS_ERRORS);
}

static int faults_init(struct vtd *v)
{
	struct msi_msg msg;
	int err = irq_msi_request(&v->irq, 0, &msg, fault_interrupt, v, "iommu");

	if (err)
		return err;
	mmio_write32(v->regs, VTD_FEDATA, msg.data);
	mmio_write32(v->regs, VTD_FEADDR, (uint32_t)msg.addr);
	mmio_write32(v->regs, VTD_FEUADDR, (uint32_t)(msg.addr >> 32));
	mmio_write32(v->regs, VTD_FECTL, 0);
	return 0;
}

/* --- units --- */

int vtd_command(struct vtd *v, uint32_t bit)
{
	uint64_t end = time_now() + COMMAND_NS;
	uint32_t now = mmio_read32(v->regs, VTD_GSTS) & VTD_GSTS_KEEP;

	mmio_write32(v->regs, VTD_GCMD, now | bit);
	while (!(mmio_read32(v->regs, VTD_GSTS) & bit)) {
		if (time_now() >= end)
			return -RAY_ETIMEDOUT;
		time_delay_ns(1000);
	}
	return 0;
}

/* Whatever firmware has left on ends. */
static int quiet(struct vtd *v)
{
	uint64_t end = time_now() + COMMAND_NS;

	mmio_write32(v->regs, VTD_GCMD, 0);
	while (mmio_read32(v->regs, VTD_GSTS) & (VTD_GCMD_TE | VTD_GCMD_QIE)) {
		if (time_now() >= end)
			return -RAY_ETIMEDOUT;
		time_delay_ns(1000);
	}
	return 0;
}

static int features_take(struct vtd *v)
{
	v->cap = mmio_read64(v->regs, VTD_CAP);
	v->ecap = mmio_read64(v->regs, VTD_ECAP);
	if (v->cap == UINT64_MAX || !(v->ecap & VTD_ECAP_QI) ||
	    !(v->cap & (VTD_CAP_LEVELS_3 | VTD_CAP_LEVELS_4)) ||
	    VTD_CAP_FRO(v->cap) + VTD_CAP_NFR(v->cap) * VTD_FR_LEN > REGS_LEN)
		return -RAY_ENOSYS;
	v->unit.levels = v->cap & VTD_CAP_LEVELS_4 ? 4 : 3;
	v->unit.domains_max = MIN(VTD_CAP_DOMAINS(v->cap), 1u << 16);
	v->unit.remembers_nothing_too = (v->cap & VTD_CAP_CM) != 0;
	v->unit.ops = v->ecap & VTD_ECAP_C ? &ops_coherent : &ops_past_caches;
	return 0;
}

static int bring_up(struct vtd *v)
{
	int err = features_take(v);

	if (!err)
		err = quiet(v);
	if (err)
		return err;
	v->root = page_get(v);
	if (!v->root)
		return -RAY_ENOMEM;
	err = vtd_queue_init(v);
	if (!err)
		err = faults_init(v);
	if (err)
		return err;
	mmio_write64(v->regs, VTD_RTADDR, va_to_hpa(v->root).v);
	err = vtd_command(v, (uint32_t)VTD_GCMD_SRTP);
	if (!err)
		vtd_flush_all(v);
	return err;
}

/* What a unit that cannot be used has left stays: it is not started, and devices behind it reach
 * what they like, as without one. */
static struct vtd *unit_create(const struct dmar_unit *d)
{
	struct vtd *v = kzalloc(sizeof(*v), MEM_DMA);
	int err = -RAY_ENOMEM;

	if (v) {
		spin_lock_init(&v->lock, LOCK_ORDER_IOMMU);
		v->regs = vmap(HPA(d->base), REGS_LEN, VMAP_UC, true);
		err = v->regs ? bring_up(v) : -RAY_ENOMEM;
	}
	if (!err)
		return v;
	log_warn("IOMMU cannot be used: %s regs=0x%lx", ray_strerror(err), d->base);
	if (v && v->regs)
		vunmap(v->regs);
	kfree(v);
	return NULL;
}

/* --- the table --- */

/* Does a scope name that device? Its way is walked from the device up (8.3.1). */
static bool scope_names(const struct dmar_scope *s, const struct pci_dev *d)
{
	for (; d; d = d->parent) {
		const struct pci_dev *at = d;
		unsigned int hop = s->hops;

		while (at && hop > 0 && (at->bdf & 0xffu) == s->path[hop - 1]) {
			hop--;
			if (hop == 0)
				break;
			at = at->parent;
		}
		if (hop == 0 && at && PCI_BUS(at->bdf) == s->bus)
			return true;
		if (!s->below)
			return false;
	}
	return false;
}

static bool scopes_name(const struct dmar_scopes *s, const struct pci_dev *d)
{
	for (unsigned int i = 0; i < s->count; i++) {
		if (scope_names(&info->scope[s->first + i], d))
			return true;
	}
	return false;
}

static struct iommu_unit *unit_of(const struct pci_dev *d, uint16_t *alias)
{
	struct vtd *all = NULL;

	(void)alias;
	for (unsigned int i = 0; i < info->unit_count; i++) {
		if (scopes_name(&info->unit[i].scopes, d))
			return units[i] ? &units[i]->unit : NULL;
		if (info->unit[i].all)
			all = units[i];
	}
	return all ? &all->unit : NULL;
}

static int regions(const struct pci_dev *d, int (*fn)(void *ctx, uint64_t hpa, uint64_t len),
		   void *ctx)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < info->region_count; i++) {
		const struct dmar_region *r = &info->region[i];

		if (scopes_name(&r->scopes, d))
			err = fn(ctx, r->first, r->last - r->first + 1);
	}
	return err;
}

static int find(void)
{
	size_t len;
	const void *table = acpi_table_find("DMAR", 0, &len);
	unsigned int usable = 0;
	int err;

	if (!table)
		return -RAY_ENODEV;
	info = kzalloc(sizeof(*info), MEM_DMA);
	if (!info)
		return -RAY_ENOMEM;
	err = dmar_parse(table, len, info);
	if (err || info->ignored)
		log_warn("DMAR is damaged: %s ignored=%u", ray_strerror(err), info->ignored);
	for (unsigned int i = 0; i < info->unit_count; i++) {
		units[i] = unit_create(&info->unit[i]);
		if (units[i])
			iommu_unit_add(&units[i]->unit);
		usable += units[i] != NULL;
	}
	return usable ? 0 : -RAY_ENODEV;
}

static int enable(void)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < info->unit_count; i++) {
		if (units[i])
			err = vtd_command(units[i], (uint32_t)VTD_GCMD_TE);
	}
	return err;
}

const struct iommu_platform vtd_platform = {
	.name = "vt-d", .find = find, .unit_of = unit_of, .regions = regions, .enable = enable};
