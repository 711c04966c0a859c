/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI disks behind a virtio host (virtio 1.2, 5.6): the driver.
 * Owns: hosts, which disks they have. Must not know: what SCSI commands mean, who uses the disks.
 * Trust: the configuration and each answer are the device's; what a disk says goes to
 * devices/host/scsi/.
 */
#include "devices/host/virtio/hvio_scsi.h"
#include "kernel/lib/err.h"
#define LOG_TAG "virtio-scsi"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"

#define AROUND       2u /* pieces of a request that are not its data */
#define BYTES_MAX    MIB(1)
#define TARGET_MAX   255u
#define LUNS_MAX     64u
#define SEARCH_NS    30000000000ull

/* --- disks --- */

static int disk_publish(struct vscsi_disk *d)
{
	struct vscsi *s = d->host;
	const struct hvio *v = &s->io.v;
	uint32_t depth = s->io.queue_count * s->io.queue[0].ring.slots;
	uint64_t most = (uint64_t)hvio_config32(v, VSCSI_CFG_MAX_SECTORS) * 512;
	struct block_init init = {
		.prefix = "sd", .letter = true, .ops = &vscsi_ops, .drv = d, .pci = s->io.v.pci,
		.depth = MIN(depth, MAX(hvio_config32(v, VSCSI_CFG_CMD_PER_LUN), 1u)),
		.ident = d->unit.ident,
		.limits = {.bytes_max = (uint32_t)MIN(most ? most : BYTES_MAX, (uint64_t)BYTES_MAX),
			   .dma_max = UINT64_MAX},
	};
	uint32_t segs = s->io.queue[0].ring.segs_max - AROUND;

	init.ident.driver = "virtio-scsi";
	init.limits.segs_max = MIN(segs, MAX(hvio_config32(v, VSCSI_CFG_SEG_MAX), 1u));
	scsi_limits_fill(&d->unit, &init.limits);
	return block_publish(&init, &d->dev);
}

static void disk_add(struct vscsi *s, uint8_t target, uint16_t lun, const struct scsi_unit *unit)
{
	struct vscsi_disk *d = kzalloc(sizeof(*d), MEM_DRIVER);
	int err = -RAY_ENOMEM;

	if (d) {
		*d = (struct vscsi_disk){.host = s, .target = target, .lun = lun, .unit = *unit};
		s->disk[s->disk_count] = d;
		__atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
		err = disk_publish(d);
	}
	if (!err) {
		__atomic_store_n(&s->disk_count, s->disk_count + 1, __ATOMIC_RELEASE);
		return;
	}
	log_warn("disk left out: %s model=\"%s\" target=%u lun=%u", ray_strerror(err),
		 unit->ident.model, target, lun);
	if (d) {
		s->disk[s->disk_count] = NULL;
		__atomic_fetch_sub(&s->refs, 1, __ATOMIC_RELAXED); /* the driver's own is left */
		kfree(d);
	}
}

/* --- the search --- */

static void unit_look(struct vscsi *s, uint8_t target, uint16_t lun)
{
	struct vscsi_place place = {.host = s, .target = target, .lun = lun};
	const struct scsi_port port = {.exec = vscsi_exec, .ctx = &place};
	struct scsi_unit unit;
	int err = scsi_unit_find(&port, &unit);

	if (!err)
		disk_add(s, target, lun, &unit);
	else if (err != -RAY_ENODEV && err != -RAY_ENOSYS)
		log_warn("unit left out: %s target=%u lun=%u", ray_strerror(err), target, lun);
}

/* Returns: an error that ends the search. */
static int target_look(struct vscsi *s, uint8_t target)
{
	struct vscsi_place place = {.host = s, .target = target};
	const struct scsi_port port = {.exec = vscsi_exec, .ctx = &place};
	uint16_t luns[LUNS_MAX];
	int n = scsi_luns_find(&port, luns, LUNS_MAX);

	if (n < 0 && n != -RAY_ENODEV)
		log_warn("target left out: %s target=%u", ray_strerror(n), target);
	for (int i = 0; i < n; i++) {
		if (s->disk_count == VSCSI_DISKS_MAX) {
			log_warn("more disks than %u: the rest is left out", VSCSI_DISKS_MAX);
			return -RAY_ENOSPC;
		}
		unit_look(s, target, luns[i]);
	}
	return n == -RAY_EIO ? n : 0;
}

/* All targets have to be asked. Names go by the order in which disks are found, so that this is
 * done here and now: at the next boot they are the same. */
static void search(struct vscsi *s)
{
	uint32_t last = MIN((uint32_t)hvio_config16(&s->io.v, VSCSI_CFG_MAX_TARGET), TARGET_MAX);
	uint64_t deadline = time_now() + SEARCH_NS;
	int err = 0;

	for (uint32_t target = 0; !err && target <= last; target++) {
		if (time_now() < deadline) {
			err = target_look(s, (uint8_t)target);
			continue;
		}
		log_warn("targets answer too slowly: those from %u on are left out", target);
		return;
	}
}

/* --- life --- */

void vscsi_put(struct vscsi *s)
{
	if (__atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	for (uint32_t i = 0; i < s->disk_count; i++)
		kfree(s->disk[i]);
	dma_free(s->io.v.pci, &s->data);
	dma_free(s->io.v.pci, &s->zeros);
	hvio_io_fini(&s->io);
	hvio_fini(&s->io.v);
	kfree(s);
}

static int bring_up(struct vscsi *s, struct pci_dev *d)
{
	struct hvio_io_init init = {
		.first = VSCSI_QUEUE_FIRST, .around = vscsi_around(), .done = vscsi_done,
		.nonsense = vscsi_nonsense, .name = "virtio-scsi",
	};
	int err = hvio_io_open(&s->io, d, 0);

	if (err)
		return err;
	init.count = (uint16_t)MIN(hvio_config32(&s->io.v, VSCSI_CFG_NUM_QUEUES), UINT16_MAX);
	err = hvio_io_init(&s->io, &init);
	if (!err && s->io.queue[0].ring.segs_max <= AROUND)
		err = -RAY_ENODEV;
	if (!err)
		err = dma_alloc(d, SCSI_BUF_LEN, UINT64_MAX, &s->data);
	if (!err)
		err = dma_alloc(d, SCSI_LOGICAL_MAX, UINT64_MAX, &s->zeros);
	if (err)
		return err;
	pci_master_set(d, true);
	err = hvio_io_enable(&s->io);
	if (!err)
		search(s);
	return err;
}

static int scsi_probe(struct pci_dev *d)
{
	struct vscsi *s = kzalloc(sizeof(*s), MEM_DRIVER);
	int err;

	if (!s)
		return -RAY_ENOMEM;
	s->refs = 1;
	s->exec_slot = -1;
	waitq_init(&s->wait);
	d->priv = s;
	err = bring_up(s, d);
	if (err) {
		if (s->io.v.common.regs)
			hvio_io_stop(&s->io);
		vscsi_put(s);
	}
	return err;
}

static void scsi_remove(struct pci_dev *d)
{
	struct vscsi *s = d->priv;

	hvio_io_stop(&s->io);
	for (uint32_t i = 0; i < s->disk_count; i++)
		block_unpublish(s->disk[i]->dev);
	vscsi_put(s);
}

static int suspend(struct pci_dev *d)
{
	struct vscsi *s = d->priv;

	return hvio_io_suspend(&s->io);
}

static int resume(struct pci_dev *d)
{
	return vscsi_reset(d->priv);
}

static const struct pci_match scsi_match[] = {
	PCI_MATCH_ID(VIRTIO_PCI_VENDOR, VIRTIO_PCI_DEVICE + VIRTIO_ID_SCSI),
	PCI_MATCH_ID(VIRTIO_PCI_VENDOR, VIRTIO_PCI_TRANSITIONAL + 4u),
};

PCI_DRIVER(virtio_scsi,
	   .base = {.id = "virtio-scsi", .bus = "pci", .cls = DEVICE_STORAGE},
	   .match = scsi_match,
	   .match_count = ARRAY_SIZE(scsi_match), .probe = scsi_probe, .remove = scsi_remove,
	   .suspend = suspend, .resume = resume);
