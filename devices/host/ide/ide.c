/* SPDX-License-Identifier: Apache-2.0 */
/* IDE: finding controllers, their channels and drives, publishing the disks. */
#include "devices/host/ide/ide.h"

#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#define LOG_TAG "ide"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/pci/pci.h"

#define BM_BAR    4u
#define BYTES_MAX KIB(512)
/* The programming interface (PCI IDE Controller 1.0, 2.2): a channel of PCI's own, and whether it
 * masters the bus. */
#define NATIVE(n)  BIT(2u * (n))
#define BUS_MASTER BIT(7)

/* Where a channel lies while it stands in for that of a PC/AT. */
static const struct {
	uint16_t cmd, ctl;
	unsigned int irq;
} legacy[2] = {{0x1f0, 0x3f6, 14}, {0x170, 0x376, 15}};

/* --- channels --- */

static bool bar_ports(const struct pci_dev *d, unsigned int bar, uint16_t need, uint16_t *out)
{
	const struct pci_bar *b = &d->bar[bar];

	if (!(b->flags & PCI_BAR_F_IO) || b->base == 0 || b->base > UINT16_MAX - 16u ||
	    b->size < need)
		return false;
	*out = (uint16_t)b->base;
	return true;
}

/* Its ports. False: firmware has given it none. */
static bool ports_find(struct ide_channel *ch, bool native)
{
	const struct pci_dev *d = ch->ide->pci;
	unsigned int n = ch->number;

	if (!bar_ports(d, BM_BAR, 16, &ch->bm))
		return false;
	ch->bm = (uint16_t)(ch->bm + 8u * n);
	ch->cmd = legacy[n].cmd;
	ch->ctl = legacy[n].ctl;
	if (!native)
		return true;
	if (!bar_ports(d, 2 * n, 8, &ch->cmd) || !bar_ports(d, 2 * n + 1, 4, &ch->ctl))
		return false;
	ch->ctl = (uint16_t)(ch->ctl + 2u); /* of four ports the third */
	return true;
}

/* The one pin of both. */
static void pin_interrupt(void *arg)
{
	struct ide *ide = arg;

	for (unsigned int n = 0; n < 2; n++)
		ide_interrupt(&ide->channel[n]);
}

static int interrupt_request(struct ide_channel *ch, bool native)
{
	struct ide *ide = ch->ide;
	int err = 0;

	if (native) {
		if (!ide->pin)
			err = pci_irq_request(ide->pci, 0, 0, pin_interrupt, ide, "ide");
		ide->pin = !err;
		return err;
	}
	return irq_isa_request(&ch->irq, legacy[ch->number].irq, ide_interrupt, ch, "ide");
}

static int drive_publish(struct ide_drive *d)
{
	struct ide *ide = d->ch->ide;
	struct block_init init = {.prefix = "hd", .letter = true, .ident = d->id.ident,
				  .ops = &ide_block_ops, .drv = d, .pci = d->ch->ide->pci,
				  .depth = 1};
	int err;

	ata_limits_fill(&d->id, &init.limits);
	init.limits.bytes_max = BYTES_MAX;
	init.limits.segs_max = IDE_SEGS;
	init.limits.seg_len_max = KIB(64);
	init.limits.seg_align = 1;
	init.limits.dma_max = UINT32_MAX;
	__atomic_fetch_add(&ide->refs, 1, __ATOMIC_RELAXED);
	err = block_publish(&init, &d->dev);
	if (err) /* the driver's own reference is left */
		__atomic_fetch_sub(&ide->refs, 1, __ATOMIC_RELAXED);
	return err;
}

/* The drives that are there; *found: how many are disks. */
static void drives_find(struct ide_channel *ch, unsigned int *found)
{
	for (unsigned int unit = 0; unit < 2; unit++) {
		struct ide_drive *d = &ch->drive[unit];
		uint8_t data[ATA_DATA_LEN];
		int err;

		d->ch = ch;
		d->unit = unit;
		err = ide_identify(ch, unit, data);
		if (err == -RAY_ENODEV)
			continue;
		if (!err)
			err = ata_id_take(data, &d->id);
		d->id.ident.driver = "ide";
		if (err) {
			log_warn("disk left out: %s model=\"%s\" channel=%u unit=%u",
				 ray_strerror(err), d->id.ident.model, ch->number, unit);
			d->id.logical = 0;
		} else {
			(*found)++;
		}
	}
}

static void drives_publish(struct ide_channel *ch)
{
	for (unsigned int unit = 0; unit < 2; unit++) {
		struct ide_drive *d = &ch->drive[unit];
		int err = d->id.logical ? drive_publish(d) : 0;

		if (err)
			log_warn("disk left out: %s model=\"%s\" channel=%u unit=%u",
				 ray_strerror(err), d->id.ident.model, ch->number, unit);
	}
}

static int channel_bring_up(struct ide_channel *ch, bool native)
{
	unsigned int found = 0;
	int err;

	if (!ports_find(ch, native) || in8(ch->cmd + IDE_STATUS) == IDE_GONE)
		return 0; /* no channel */
	err = ide_channel_reset(ch);
	if (err)
		return err == -RAY_ENODEV ? 0 : err;
	drives_find(ch, &found);
	if (found == 0)
		return 0;
	err = dma_alloc(ch->ide->pci, sizeof(struct ide_shared), UINT32_MAX, &ch->shared);
	if (!err)
		err = interrupt_request(ch, native);
	if (err)
		return err;
	pci_master_set(ch->ide->pci, true);
	out8(ch->ctl, 0);
	ch->on = true;
	drives_publish(ch);
	return 0;
}

/* --- life --- */

void ide_put(struct ide *ide)
{
	if (__atomic_sub_fetch(&ide->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	for (unsigned int n = 0; n < 2; n++)
		dma_free(ide->pci, &ide->channel[n].shared);
	kfree(ide);
}

static void ide_stop(struct ide *ide)
{
	for (unsigned int n = 0; n < 2; n++) {
		struct ide_channel *ch = &ide->channel[n];
		uint64_t flags = spin_lock_irqsave(&ch->lock);
		bool was_on = ch->on;

		ch->on = false;
		spin_unlock_irqrestore(&ch->lock, flags);
		if (was_on)
			out8(ch->bm + IDE_BM_COMMAND, 0);
		if (ch->irq)
			irq_release(ch->irq);
		ch->irq = NULL;
	}
	pci_master_set(ide->pci, false);
	pci_irq_release_all(ide->pci);
}

static int ide_probe(struct pci_dev *d)
{
	struct ide *ide = kzalloc(sizeof(*ide), MEM_DRIVER);
	unsigned int disks = 0;
	int err = 0;

	if (!ide)
		return -RAY_ENOMEM;
	ide->pci = d;
	ide->refs = 1;
	d->priv = ide;
	for (unsigned int n = 0; n < 2; n++) {
		struct ide_channel *ch = &ide->channel[n];

		ch->ide = ide;
		ch->number = n;
		spin_lock_init(&ch->lock, LOCK_ORDER_DRIVER);
		if (!err)
			err = channel_bring_up(ch, (d->class_code & NATIVE(n)) != 0);
		for (unsigned int unit = 0; unit < 2; unit++)
			disks += ch->drive[unit].dev != NULL;
	}
	if (disks > 0) {
		if (err)
			log_warn("channel left out: %s", ray_strerror(err));
		return 0;
	}
	ide_stop(ide);
	ide_put(ide);
	return err ? err : -RAY_ENODEV;
}

static void ide_remove(struct pci_dev *d)
{
	struct ide *ide = d->priv;

	ide_stop(ide);
	for (unsigned int n = 0; n < 2; n++) {
		struct ide_channel *ch = &ide->channel[n];

		ide_channel_abandon(ch);
		for (unsigned int unit = 0; unit < 2; unit++) {
			if (ch->drive[unit].dev)
				block_unpublish(ch->drive[unit].dev);
		}
	}
	ide_put(ide);
}

static bool in_use(const struct ide_channel *ch)
{
	return ch->drive[0].dev || ch->drive[1].dev;
}

static int ide_suspend(struct pci_dev *d)
{
	struct ide *ide = d->priv;

	for (unsigned int n = 0; n < 2; n++) {
		if (in_use(&ide->channel[n]))
			ide_channel_off(&ide->channel[n]);
	}
	return 0;
}

static int ide_resume(struct pci_dev *d)
{
	struct ide *ide = d->priv;
	int err = 0;

	for (unsigned int n = 0; n < 2; n++) {
		int e = in_use(&ide->channel[n]) ? ide_channel_renew(&ide->channel[n]) : 0;

		err = err ? err : e;
	}
	return err;
}

static const struct pci_match ide_match[] = {
	PCI_MATCH_CLASS(0x010100 | BUS_MASTER, 0xffff00 | BUS_MASTER)};

PCI_DRIVER(ide,
	   .base = {.id = "ide", .bus = "pci", .cls = DEVICE_STORAGE},
	   .match = ide_match, .match_count = ARRAY_SIZE(ide_match),
	   .probe = ide_probe, .remove = ide_remove,
	   .suspend = ide_suspend, .resume = ide_resume);
