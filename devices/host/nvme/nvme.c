/* SPDX-License-Identifier: Apache-2.0 */
/* NVMe: finding controllers, what they and their namespaces are, publishing them. */
#include "devices/host/nvme/nvme.h"

#include <string.h>

#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/unaligned.h"
#define LOG_TAG "nvme"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/mmio.h"
#include "kernel/pci/pci.h"

#define SHIFT_MIN  9u
#define SHIFT_MAX  12u
#define MDTS_MAX   16u

/* --- identification --- */

static void controller_take(struct nvme *c, const uint8_t *id)
{
	uint8_t mdts = id[NVME_ID_MDTS];

	block_text_take(c->ident.serial, sizeof(c->ident.serial), id + NVME_ID_SERIAL, 20);
	block_text_take(c->ident.model, sizeof(c->ident.model), id + NVME_ID_MODEL, 40);
	block_text_take(c->ident.firmware, sizeof(c->ident.firmware), id + NVME_ID_FIRMWARE, 8);
	c->ident.driver = "nvme";
	c->dsm = (load16(id + NVME_ID_ONCS) & NVME_ONCS_DSM) != 0;
	c->zeroes = (load16(id + NVME_ID_ONCS) & NVME_ONCS_ZEROES) != 0;
	c->cache = (id[NVME_ID_VWC] & NVME_VWC_PRESENT) != 0;
	c->bytes_max = NVME_BYTES_MAX;
	/* In units of CAP.MPSMIN, as a power of two; 0: no limit (5.17.2.1). */
	if (mdts != 0 && mdts < MDTS_MAX)
		c->bytes_max = MIN(c->bytes_max, (uint64_t)NVME_CAP_MPSMIN(c->cap) << mdts);
}

static struct block_limits limits_of(const struct nvme *c, uint8_t shift, bool read_only)
{
	uint32_t block = 1u << shift;
	uint64_t most = MIN(c->bytes_max, (uint64_t)block << 16); /* 16 bits of blocks */

	return (struct block_limits){
		.logical = block,
		.physical = MAX(block, 4096u),
		.bytes_max = (uint32_t)most,
		.segs_max = (uint32_t)(most / PAGE_SIZE),
		.seg_align = 3,
		.page = PAGE_SIZE,
		.dma_max = UINT64_MAX,
		.discard_granule = c->dsm ? block : 0,
		.discard_max = c->dsm ? GIB(1) : 0,
		.zero_max = c->zeroes ? (uint64_t)block << 16 : 0,
		.fua = true,
		.cache = c->cache,
		.read_only = read_only,
	};
}

/* Size and blocks of a namespace; false: not one we can use. */
static bool ns_take(struct nvme_ns *ns, const uint8_t *id, uint64_t *size, bool *read_only)
{
	uint64_t blocks = load64(id + NVME_NS_NSZE);
	uint8_t format = id[NVME_NS_FLBAS] & 0xfu;
	uint32_t lbaf = load32(id + NVME_NS_LBAF0 + 4u * format);

	ns->shift = (lbaf >> 16) & 0xffu;
	*read_only = (id[NVME_NS_NSATTR] & NVME_NSATTR_WP) != 0;
	if (format > id[NVME_NS_NLBAF] || (lbaf & 0xffffu) != 0 || ns->shift < SHIFT_MIN ||
	    ns->shift > SHIFT_MAX || blocks == 0 || blocks > (UINT64_MAX >> ns->shift))
		return false;
	*size = blocks << ns->shift;
	return true;
}

static void ns_publish(struct nvme *c, uint32_t nsid, uint8_t *data)
{
	struct nvme_ns *ns = &c->ns[c->ns_count];
	char prefix[BLOCK_NAME_LEN];
	struct block_init init = {.prefix = prefix, .ident = c->ident, .ops = &nvme_block_ops,
				  .drv = ns, .pci = c->pci, .depth = c->io_count * (c->io[0].depth - 1u)};
	bool read_only;
	int err = nvme_identify(c, NVME_IDENTIFY_NS, nsid, data);

	ray_snprintf(prefix, sizeof(prefix), "nvme%un", c->number);
	*ns = (struct nvme_ns){.c = c, .nsid = nsid};
	if (!err && !ns_take(ns, data, &init.ident.size, &read_only))
		err = -RAY_ENOSYS;
	if (!err) {
		init.limits = limits_of(c, ns->shift, read_only);
		__atomic_fetch_add(&c->refs, 1, __ATOMIC_RELAXED);
		c->ns_count++;
		err = block_publish(&init, &ns->dev);
		if (err) {
			c->ns_count--;
			/* The driver's own reference is left, so nothing is freed. */
			__atomic_fetch_sub(&c->refs, 1, __ATOMIC_RELAXED);
		}
	}
	if (err)
		log_warn("namespace left out: %s model=\"%s\" nsid=%u", ray_strerror(err),
			 c->ident.model, nsid);
}

/* The active ones, in ascending order; 0 ends the list (5.17.2.2). */
static int namespaces_find(struct nvme *c)
{
	uint8_t *list = kmalloc(2 * NVME_DATA_LEN, MEM_DRIVER);
	int err = list ? nvme_identify(c, NVME_IDENTIFY_ACTIVE, 0, list) : -RAY_ENOMEM;
	uint32_t last = 0;

	for (unsigned int i = 0; !err && i < NVME_DATA_LEN / 4 && c->ns_count < NVME_NS_MAX; i++) {
		uint32_t nsid = load32(list + 4 * i);

		if (nsid <= last)
			break;
		ns_publish(c, nsid, list + NVME_DATA_LEN);
		last = nsid;
	}
	kfree(list);
	return err;
}

/* --- life --- */

static void queues_fini(struct nvme *c)
{
	nvme_queue_fini(&c->admin);
	for (unsigned int i = 0; c->io && i < NVME_QUEUES_MAX; i++)
		nvme_queue_fini(&c->io[i]);
	kfree(c->io);
	dma_free(c->pci, &c->data);
}

/* Numbers of controllers, a bit each; whoever has none of its own shares the last one: the block
 * layer tells their disks apart by the number behind it. */
static uint64_t numbers; /* atomic */

static unsigned int number_take(void)
{
	uint64_t taken = __atomic_load_n(&numbers, __ATOMIC_RELAXED);
	unsigned int n;

	do {
		n = ~taken ? (unsigned int)__builtin_ctzll(~taken) : 63;
	} while (!__atomic_compare_exchange_n(&numbers, &taken, taken | BIT(n), false,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return n;
}

void nvme_put(struct nvme *c)
{
	if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	__atomic_fetch_and(&numbers, ~BIT(c->number), __ATOMIC_RELAXED);
	queues_fini(c);
	if (c->regs)
		vunmap(c->regs);
	kfree(c);
}

static int queues_init(struct nvme *c)
{
	unsigned int want = MIN(cpu_count(), NVME_QUEUES_MAX);
	uint64_t need = NVME_DOORBELLS + 2ull * (want + 1u) * c->stride;
	int err = nvme_queue_init(&c->admin, c, 0);

	if (!err)
		err = dma_alloc(c->pci, NVME_DATA_LEN, UINT64_MAX, &c->data);
	if (!err && need > c->regs_size)
		err = -RAY_ENOSYS;
	if (!err)
		c->io = kcalloc(NVME_QUEUES_MAX, sizeof(*c->io), MEM_DRIVER);
	if (!err && !c->io)
		err = -RAY_ENOMEM;
	for (; !err && c->io_count < want; c->io_count++)
		err = nvme_queue_init(&c->io[c->io_count], c, (uint16_t)(c->io_count + 1u));
	return err;
}

/* One for the admin queue, one for each I/O queue as far as there are; each on its CPU. A
 * queue's vector is its number. */
static int interrupts_init(struct nvme *c)
{
	unsigned int have = pci_irq_count(c->pci);
	int err;

	if (have < 2)
		return -RAY_ENOSYS; /* without MSI-X there is none of these in the field */
	err = pci_irq_request(c->pci, 0, 0, nvme_interrupt, &c->admin, "nvme");
	c->io_count = MIN(c->io_count, have - 1u);
	for (unsigned int i = 0; !err && i < c->io_count; i++)
		err = pci_irq_request(c->pci, i + 1u, i % cpu_count(), nvme_interrupt, &c->io[i],
				      "nvme");
	return err;
}

static int bring_up(struct nvme *c)
{
	uint8_t *id = kmalloc(NVME_DATA_LEN, MEM_DRIVER);
	int err = id ? nvme_ctrl_off(c) : -RAY_ENOMEM;

	if (!err)
		err = queues_init(c);
	if (!err) {
		pci_master_set(c->pci, true);
		err = interrupts_init(c);
	}
	if (!err)
		err = nvme_ctrl_on(c);
	if (!err)
		err = nvme_identify(c, NVME_IDENTIFY_CONTROLLER, 0, id);
	if (!err) {
		controller_take(c, id);
		err = nvme_io_queues_create(c);
	}
	if (!err)
		err = namespaces_find(c);
	kfree(id);
	return err;
}

static void nvme_stop(struct nvme *c)
{
	int err;

	nvme_queues_off(c);
	err = nvme_ctrl_off(c);
	(void)err; /* bus mastering goes in any case */
	pci_master_set(c->pci, false);
	pci_irq_release_all(c->pci);
}

static int nvme_probe(struct pci_dev *d)
{
	struct nvme *c = kzalloc(sizeof(*c), MEM_DRIVER);
	int err;

	if (!c)
		return -RAY_ENOMEM;
	c->pci = d;
	c->refs = 1;
	c->number = number_take();
	waitq_init(&c->wait);
	mutex_init(&c->admin_lock, LOCK_ORDER_NONE);
	mutex_init(&c->mend, LOCK_ORDER_NONE);
	c->regs_size = d->bar[0].size;
	c->regs = pci_bar_map(d, 0, VMAP_UC);
	if (!c->regs || c->regs_size < NVME_DOORBELLS) {
		nvme_put(c);
		return -RAY_ENODEV;
	}
	c->cap = mmio_read64(c->regs, NVME_CAP);
	c->stride = NVME_CAP_DSTRD(c->cap);
	d->priv = c;
	err = NVME_CAP_NVM(c->cap) && NVME_CAP_MPSMIN(c->cap) <= PAGE_SIZE ? bring_up(c) :
									     -RAY_ENOSYS;
	if (err && c->ns_count == 0) {
		nvme_stop(c);
		nvme_put(c);
		return err;
	}
	return 0;
}

static void nvme_remove(struct pci_dev *d)
{
	struct nvme *c = d->priv;

	nvme_stop(c);
	for (unsigned int i = 0; i < c->io_count; i++)
		nvme_queue_abandon(&c->io[i]);
	for (unsigned int i = 0; i < c->ns_count; i++)
		block_unpublish(c->ns[i].dev);
	nvme_put(c);
}

static int suspend(struct pci_dev *d)
{
	return nvme_suspend(d->priv);
}

static int resume(struct pci_dev *d)
{
	return nvme_resume(d->priv);
}

static const struct pci_match nvme_match[] = {PCI_MATCH_CLASS(0x010802, 0xffffff)};

PCI_DRIVER(nvme,
	   .base = {.id = "nvme", .bus = "pci", .cls = DEVICE_STORAGE},
	   .match = nvme_match, .match_count = ARRAY_SIZE(nvme_match),
	   .probe = nvme_probe, .remove = nvme_remove,
	   .suspend = suspend, .resume = resume);
