/* SPDX-License-Identifier: Apache-2.0 */
/* AHCI: finding controllers, what hangs on their ports, publishing the disks. */
#include "devices/host/ahci/ahci.h"

#include "kernel/lib/err.h"
#define LOG_TAG "ahci"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mmio.h"
#include "kernel/pci/pci.h"

#define BAR        5u
#define RESET_MS   1000u /* 10.4.3 */
#define HANDOFF_MS 2000u /* 10.6.3 */
#define ROUNDS     8u    /* of an interrupt */
#define BYTES_MAX  MIB(1)

/* --- the controller --- */

static uint32_t hba_read(const struct ahci *h, uint32_t off)
{
	return mmio_read32(h->regs, off);
}

/* Firmware that still uses it lets go when it is asked (10.6.3). */
static void firmware_off(const struct ahci *h)
{
	if (!(hba_read(h, AHCI_CAP2) & AHCI_CAP2_BOH))
		return;
	mmio_write32(h->regs, AHCI_BOHC, hba_read(h, AHCI_BOHC) | AHCI_BOHC_OOS);
	if (ahci_clear_wait(h, AHCI_BOHC, AHCI_BOHC_BOS | AHCI_BOHC_BB, HANDOFF_MS))
		log_warn("firmware does not let go of the controller; it is taken");
}

static int hba_reset(struct ahci *h)
{
	int err;

	mmio_write32(h->regs, AHCI_GHC, AHCI_GHC_AE);
	mmio_write32(h->regs, AHCI_GHC, AHCI_GHC_AE | AHCI_GHC_HR);
	err = ahci_clear_wait(h, AHCI_GHC, AHCI_GHC_HR, RESET_MS);
	mmio_write32(h->regs, AHCI_GHC, AHCI_GHC_AE);
	return err;
}

/* The controller says which ports have something; more may come while they are looked at. */
static void ahci_interrupt(void *arg)
{
	struct ahci *h = arg;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint32_t is = hba_read(h, AHCI_IS);

		if (is == 0 || is == AHCI_GONE)
			return;
		for (uint32_t left = is; left; left &= left - 1u) {
			struct ahci_port *p = h->port[__builtin_ctz(left)];

			if (p)
				ahci_port_interrupt(p);
		}
		mmio_write32(h->regs, AHCI_IS, is);
	}
}

/* --- ports --- */

static int identify(struct ahci_port *p)
{
	static const struct ata_taskfile t = {.command = ATA_IDENTIFY};
	uint8_t data[ATA_DATA_LEN];
	int err = ahci_exec(p, &t, data, NULL);

	if (!err)
		err = ata_id_take(data, &p->id);
	if (err)
		return err;
	p->id.ident.driver = "ahci";
	p->id.depth = p->hba->cap & AHCI_CAP_NCQ ?
			      (uint8_t)MIN(p->id.depth, AHCI_CAP_SLOTS(p->hba->cap)) : 0;
	return 0;
}

static int port_publish(struct ahci_port *p)
{
	struct block_init init = {.prefix = "sd", .letter = true, .ident = p->id.ident,
				  .ops = &ahci_block_ops, .drv = p, .pci = p->hba->pci,
				  .depth = MAX(p->id.depth, 1u)};
	int err;

	ata_limits_fill(&p->id, &init.limits);
	init.limits.bytes_max = BYTES_MAX;
	init.limits.segs_max = AHCI_PRDS;
	init.limits.seg_len_max = AHCI_PRD_MAX;
	init.limits.seg_align = 1;
	init.limits.dma_max = p->hba->dma_max;
	__atomic_fetch_add(&p->hba->refs, 1, __ATOMIC_RELAXED);
	err = block_publish(&init, &p->dev);
	if (err) /* the driver's own reference is left */
		__atomic_fetch_sub(&p->hba->refs, 1, __ATOMIC_RELAXED);
	return err;
}

static void port_attach(struct ahci_port *p)
{
	int err = ahci_port_start(p);
	uint32_t sig;

	if (err == -RAY_ENODEV)
		return;
	sig = ahci_px_read(p, AHCI_PX_SIG);
	if (!err && sig != AHCI_SIG_ATA) {
		log_info("device is no disk port=%u signature=0x%08x", p->number, sig);
		return;
	}
	if (!err)
		err = ahci_port_tables(p);
	if (!err)
		err = identify(p);
	if (!err)
		err = port_publish(p);
	if (err)
		log_warn("disk left out: %s model=\"%s\" port=%u", ray_strerror(err),
			 p->id.ident.model, p->number);
}

static int ports_create(struct ahci *h, size_t regs_size)
{
	uint32_t there = hba_read(h, AHCI_PI);

	for (unsigned int n = 0; n < AHCI_PORTS_MAX; n++) {
		int err;

		if (!(there & (1u << n)) || AHCI_PORT(n) + AHCI_PORT_LEN > regs_size)
			continue;
		h->port[n] = ahci_port_create(h, n);
		if (!h->port[n])
			return -RAY_ENOMEM;
		err = ahci_port_stop(h->port[n]);
		if (err)
			return err;
	}
	return 0;
}

/* All links come up and all disks spin up side by side. */
static void ports_start(struct ahci *h)
{
	for (unsigned int n = 0; n < AHCI_PORTS_MAX; n++) {
		if (h->port[n])
			ahci_port_link(h->port[n]);
	}
	for (unsigned int n = 0; n < AHCI_PORTS_MAX; n++) {
		if (h->port[n])
			port_attach(h->port[n]);
	}
}

/* --- life --- */

void ahci_put(struct ahci *h)
{
	if (__atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	for (unsigned int n = 0; n < AHCI_PORTS_MAX; n++) {
		if (h->port[n])
			ahci_port_destroy(h->port[n]);
	}
	if (h->regs)
		vunmap(h->regs);
	kfree(h);
}

/* No port does anything any more, whatever becomes of them. */
static void hba_stop(struct ahci *h)
{
	int err = hba_reset(h);

	(void)err; /* bus mastering goes in any case */
	pci_master_set(h->pci, false);
	pci_irq_release_all(h->pci);
}

static int bring_up(struct ahci *h)
{
	int err;

	firmware_off(h);
	err = hba_reset(h);
	if (!err)
		err = ports_create(h, h->pci->bar[BAR].size);
	if (!err)
		err = pci_irq_request(h->pci, 0, 0, ahci_interrupt, h, "ahci");
	if (err)
		return err;
	pci_master_set(h->pci, true);
	mmio_write32(h->regs, AHCI_GHC, AHCI_GHC_AE | AHCI_GHC_IE);
	ports_start(h);
	return 0;
}

static int ahci_probe(struct pci_dev *d)
{
	struct ahci *h = kzalloc(sizeof(*h), MEM_DRIVER);
	int err = -RAY_ENODEV;

	if (!h)
		return -RAY_ENOMEM;
	h->pci = d;
	h->refs = 1;
	h->regs = pci_bar_map(d, BAR, VMAP_UC);
	if (h->regs && d->bar[BAR].size >= AHCI_PORT(1)) {
		h->cap = hba_read(h, AHCI_CAP);
		h->dma_max = h->cap & AHCI_CAP_64 ? UINT64_MAX : UINT32_MAX;
		d->priv = h;
		err = bring_up(h);
		if (err)
			hba_stop(h);
	}
	if (err)
		ahci_put(h);
	return err;
}

static void ahci_remove(struct pci_dev *d)
{
	struct ahci *h = d->priv;

	for (unsigned int n = 0; n < AHCI_PORTS_MAX; n++) {
		if (h->port[n])
			(void)ahci_port_off(h->port[n]);
	}
	hba_stop(h);
	for (unsigned int n = 0; n < AHCI_PORTS_MAX; n++) {
		struct ahci_port *p = h->port[n];

		if (!p || !p->dev)
			continue;
		ahci_port_abandon(p, 0, -RAY_EAGAIN);
		block_unpublish(p->dev);
	}
	ahci_put(h);
}

/* Nothing is under way any more. */
static int ahci_suspend(struct pci_dev *d)
{
	const struct ahci *h = d->priv;
	int err = 0;

	for (unsigned int n = 0; !err && n < AHCI_PORTS_MAX; n++) {
		if (!h->port[n] || !h->port[n]->dev)
			continue;
		(void)ahci_port_off(h->port[n]);
		err = ahci_port_stop(h->port[n]);
	}
	return err;
}

static int ahci_resume(struct pci_dev *d)
{
	const struct ahci *h = d->priv;
	int err = 0;

	for (unsigned int n = 0; n < AHCI_PORTS_MAX; n++) {
		int e = h->port[n] && h->port[n]->dev ? ahci_port_recover(h->port[n]) : 0;

		err = err ? err : e;
	}
	return err;
}

static const struct pci_match ahci_match[] = {PCI_MATCH_CLASS(0x010601, 0xffffff)};

PCI_DRIVER(ahci,
	   .base = {.id = "ahci", .bus = "pci", .cls = DEVICE_STORAGE},
	   .match = ahci_match, .match_count = ARRAY_SIZE(ahci_match),
	   .probe = ahci_probe, .remove = ahci_remove,
	   .suspend = ahci_suspend, .resume = ahci_resume);
