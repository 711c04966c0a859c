/* SPDX-License-Identifier: Apache-2.0 */
/* AMD's IOMMUs (AMD 48882, 3.10; section numbers are its). */
#include <string.h>

#include "kernel/acpi/tables.h"
#include "kernel/iommu/amdvi_regs.h"
#include "kernel/iommu/iommu.h"
#include "kernel/iommu/ivrs.h"
#include "kernel/lib/err.h"
#define LOG_TAG "iommu"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/mm/vmap.h"
#include "kernel/mmio.h"
#include "kernel/panic.h"
#include "kernel/time/time.h"

#define LEVELS       4u
#define DOMAINS_MAX  0x10000u
#define TABLE_ORDER  PAGE_ORDER_2M /* an entry for each of 65,536 requesters */
#define REQUESTERS   0x10000u
#define RING_BYTES   PAGE_SIZE
#define ENTRY_BYTES  16u
#define WAIT_NS      1000000000ull
#define EVENTS_MAX   256u

struct amdvi {
	struct iommu_unit unit;
	void *regs;
	uint16_t id;
	struct spinlock lock; /* commands and the word they end with */
	uint64_t *table;
	uint32_t *commands;
	const uint32_t *events;
	uint64_t *done;
	uint32_t tail; /* bytes */
	uint64_t turn;
};

static struct ivrs_info *info;
static struct amdvi *units[IVRS_UNITS_MAX];

/* --- entries --- */

static uint64_t perm_bits(uint64_t perms)
{
	return (perms & IOPT_READ ? AMDVI_PTE_READ : 0) | (perms & IOPT_WRITE ? AMDVI_PTE_WRITE : 0);
}

static uint64_t table_entry(uint64_t hpa, unsigned int level)
{
	return hpa | AMDVI_PTE_PRESENT | AMDVI_PTE_NEXT(level - 1) |
	       perm_bits(IOPT_READ | IOPT_WRITE);
}

static uint64_t leaf_entry(uint64_t hpa, uint64_t perms)
{
	return hpa | AMDVI_PTE_PRESENT | perm_bits(perms);
}

static const struct iopt_format format = {.table = table_entry, .leaf = leaf_entry};

/* --- commands --- */

static void put(struct amdvi *a, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3)
{
	uint32_t *c = a->commands + a->tail / sizeof(uint32_t);

	c[0] = w0;
	c[1] = w1;
	c[2] = w2;
	c[3] = w3;
	a->tail = (a->tail + ENTRY_BYTES) % RING_BYTES;
}

/* What was put is done. A unit that does not get there could let a device reach anything. */
static void run(struct amdvi *a)
{
	uint64_t end = time_now() + WAIT_NS, turn = ++a->turn, at = va_to_hpa(a->done).v;

	put(a, (uint32_t)(at | AMDVI_WAIT_STORE), (uint32_t)(at >> 32) | AMDVI_CMD(AMDVI_CMD_WAIT),
	    (uint32_t)turn, (uint32_t)(turn >> 32));
	mmio_write64(a->regs, AMDVI_COMMAND_TAIL, a->tail);
	while (__atomic_load_n(a->done, __ATOMIC_ACQUIRE) != turn) {
		if (time_now() >= end)
			panic("IOMMU %u does not answer: status 0x%lx", a->unit.number,
			      mmio_read64(a->regs, AMDVI_STATUS));
		__builtin_ia32_pause();
	}
}

/* Bit 12 and those above it up to the first 0 say how many pages it is about (2.4.3). */
static uint64_t pages_operand(uint64_t hpa, uint64_t len)
{
	unsigned int order = iommu_order(hpa, len);
	uint64_t first = hpa / PAGE_SIZE;

	if (order == 0)
		return first * PAGE_SIZE;
	first = first >> order << order;
	first |= (1ull << (order - 1)) - 1;
	return first * PAGE_SIZE | AMDVI_PAGES_MANY;
}

static void flush(struct iommu_unit *u, const struct iommu_domain *dom, uint64_t hpa, uint64_t len)
{
	struct amdvi *a = container_of(u, struct amdvi, unit);
	uint64_t what = pages_operand(hpa, len), flags = spin_lock_irqsave(&a->lock);

	put(a, 0, dom->id | AMDVI_CMD(AMDVI_CMD_PAGES), (uint32_t)what, (uint32_t)(what >> 32));
	run(a);
	spin_unlock_irqrestore(&a->lock, flags);
}

static int attach(struct iommu_unit *u, const struct iommu_domain *dom, uint16_t requester)
{
	struct amdvi *a = container_of(u, struct amdvi, unit);
	uint64_t *e = a->table + (size_t)requester * AMDVI_DTE_WORDS;
	uint64_t flags = spin_lock_irqsave(&a->lock);
	uint64_t all = AMDVI_PAGES_ALL | AMDVI_PAGES_MANY | AMDVI_PAGES_TABLES;

	/* It reaches nothing while the words do not belong together. */
	e[0] = AMDVI_DTE_VALID | AMDVI_DTE_TRANSLATES;
	e[1] = dom->id;
	__atomic_store_n(&e[0],
			 iopt_root(&dom->table) | AMDVI_DTE_LEVELS(LEVELS) | AMDVI_DTE_VALID |
				 AMDVI_DTE_TRANSLATES | AMDVI_DTE_READ | AMDVI_DTE_WRITE,
			 __ATOMIC_RELEASE);
	put(a, requester, AMDVI_CMD(AMDVI_CMD_DEVICE), 0, 0);
	put(a, 0, dom->id | AMDVI_CMD(AMDVI_CMD_PAGES), (uint32_t)all, (uint32_t)(all >> 32));
	run(a);
	spin_unlock_irqrestore(&a->lock, flags);
	return 0;
}

static const struct iommu_ops ops = {
	.name = "amd-vi", .format = &format, .attach = attach, .flush = flush};

/* --- faults --- */

static void event_take(struct amdvi *a, const uint32_t *e)
{
	uint32_t second = e[1];

	if (AMDVI_EVENT_CODE(second) != AMDVI_EVENT_PAGE_FAULT) {
		log_warn("IOMMU event: code=%u words=%08x %08x %08x %08x",
			 AMDVI_EVENT_CODE(second), e[0], second, e[2], e[3]);
		return;
	}
	iommu_fault(&a->unit, &(struct iommu_fault){
				      .requester = (uint16_t)e[0],
				      .addr = (uint64_t)e[3] << 32 | e[2],
				      .write = (second & AMDVI_EVENT_WRITE) != 0,
				      .reason = AMDVI_EVENT_CODE(second),
			      });
}

static void event_interrupt(void *arg)
{
	struct amdvi *a = arg;
	uint32_t head = (uint32_t)mmio_read64(a->regs, AMDVI_EVENT_HEAD) % RING_BYTES;

	mmio_write64(a->regs, AMDVI_STATUS, AMDVI_STS_EVENT_IRQ | AMDVI_STS_EVENT_OVERFLOW);
	for (unsigned int i = 0; i < EVENTS_MAX; i++) {
		uint32_t tail = (uint32_t)mmio_read64(a->regs, AMDVI_EVENT_TAIL) % RING_BYTES;

		if (head == tail)
			return;
		event_take(a, a->events + head / sizeof(uint32_t));
		head = (head + ENTRY_BYTES) % RING_BYTES;
		mmio_write64(a->regs, AMDVI_EVENT_HEAD, head);
	}
}

/* A unit is a PCI function too; its interrupt is that function's. */
static int faults_init(struct amdvi *a)
{
	struct pci_dev *d = pci_find(a->id);

	if (!d)
		return -RAY_ENODEV;
	pci_master_set(d, true);
	return pci_irq_request(d, 0, 0, event_interrupt, a, "iommu");
}

/* --- units --- */

static void *page_get(void)
{
	hpa_t page;

	return page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO, &page) ? NULL : hpa_to_va(page);
}

static int memory_init(struct amdvi *a)
{
	hpa_t table;
	int err = page_alloc(TABLE_ORDER, PAGE_F_ZERO, &table);

	if (err)
		return err;
	a->table = hpa_to_va(table);
	a->commands = page_get();
	a->events = page_get();
	a->done = page_get();
	if (!a->commands || !a->events || !a->done)
		return -RAY_ENOMEM;
	/* Everybody is known, and reaches nothing. */
	for (size_t i = 0; i < REQUESTERS; i++)
		a->table[i * AMDVI_DTE_WORDS] = AMDVI_DTE_VALID | AMDVI_DTE_TRANSLATES;
	return 0;
}

static int bring_up(struct amdvi *a)
{
	int err = memory_init(a);

	if (err)
		return err;
	mmio_write64(a->regs, AMDVI_CONTROL, 0);
	mmio_write64(a->regs, AMDVI_DEVICE_TABLE,
		     va_to_hpa(a->table).v | ((PAGE_SIZE << TABLE_ORDER) / PAGE_SIZE - 1));
	mmio_write64(a->regs, AMDVI_COMMAND_BASE, va_to_hpa(a->commands).v | AMDVI_BASE_256);
	mmio_write64(a->regs, AMDVI_EVENT_BASE, va_to_hpa(a->events).v | AMDVI_BASE_256);
	mmio_write64(a->regs, AMDVI_COMMAND_HEAD, 0);
	mmio_write64(a->regs, AMDVI_COMMAND_TAIL, 0);
	mmio_write64(a->regs, AMDVI_EVENT_HEAD, 0);
	mmio_write64(a->regs, AMDVI_EVENT_TAIL, 0);
	err = faults_init(a);
	if (err)
		log_warn("no interrupt for what an IOMMU refuses: %s", ray_strerror(err));
	/* From here on commands are taken: devices are attached before it translates. */
	mmio_write64(a->regs, AMDVI_CONTROL,
		     AMDVI_CTL_ON | AMDVI_CTL_EVENTS | AMDVI_CTL_EVENT_IRQ | AMDVI_CTL_COHERENT |
			     AMDVI_CTL_COMMANDS);
	return 0;
}

/* What a unit that cannot be used has left stays: it is not started. */
static struct amdvi *unit_create(const struct ivrs_unit *u)
{
	struct amdvi *a = kzalloc(sizeof(*a), MEM_DMA);
	int err = -RAY_ENOMEM;

	if (a) {
		spin_lock_init(&a->lock, LOCK_ORDER_IOMMU);
		a->unit.ops = &ops;
		a->unit.levels = LEVELS;
		a->unit.domains_max = DOMAINS_MAX;
		a->id = u->id;
		a->regs = vmap(HPA(u->base), AMDVI_REGS_LEN, VMAP_UC, true);
		err = a->regs ? bring_up(a) : -RAY_ENOMEM;
	}
	if (!err)
		return a;
	log_warn("IOMMU cannot be used: %s regs=0x%lx", ray_strerror(err), u->base);
	if (a && a->regs)
		vunmap(a->regs);
	kfree(a);
	return NULL;
}

/* --- the table --- */

static struct iommu_unit *unit_of(const struct pci_dev *d, uint16_t *alias)
{
	const struct ivrs_range *r = ivrs_range_of(info, d->bdf);

	if (!r || !units[r->unit] || units[r->unit]->id == d->bdf)
		return NULL;
	*alias = r->aliased ? r->alias : d->bdf;
	return &units[r->unit]->unit;
}

static int regions(const struct pci_dev *d, int (*fn)(void *ctx, uint64_t hpa, uint64_t len),
		   void *ctx)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < info->region_count; i++) {
		const struct ivrs_region *r = &info->region[i];

		if (d->bdf >= r->id_first && d->bdf <= r->id_last)
			err = fn(ctx, r->first, r->last - r->first + 1);
	}
	return err;
}

static int find(void)
{
	size_t len;
	const void *table = acpi_table_find("IVRS", 0, &len);
	unsigned int usable = 0;
	int err;

	if (!table)
		return -RAY_ENODEV;
	info = kzalloc(sizeof(*info), MEM_DMA);
	if (!info)
		return -RAY_ENOMEM;
	err = ivrs_parse(table, len, info);
	if (err || info->ignored)
		log_warn("IVRS is damaged: %s ignored=%u", ray_strerror(err), info->ignored);
	for (unsigned int i = 0; i < info->unit_count; i++) {
		units[i] = unit_create(&info->unit[i]);
		if (units[i])
			iommu_unit_add(&units[i]->unit);
		usable += units[i] != NULL;
	}
	return usable ? 0 : -RAY_ENODEV;
}

/* Its units translate since bring_up(): commands and that go together. */
static int enable(void)
{
	return 0;
}

const struct iommu_platform amdvi_platform = {
	.name = "amd-vi", .find = find, .unit_of = unit_of, .regions = regions, .enable = enable};
