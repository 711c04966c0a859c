/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks by virtio (virtio 1.2, 5.2): the driver.
 * Owns: devices, their queues' requests. Must not know: who uses the disks.
 * Trust: the status byte and the configuration are the device's; lengths of used entries are not
 * needed, as every request is all or nothing.
 */
#include <string.h>

#include "devices/host/virtio/hvio_io.h"
#include "kernel/lib/err.h"
#define LOG_TAG "virtio-blk"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/panic.h"
#include "kernel/sched/wait.h"
#include "kernel/time/time.h"

#define AROUND       2u /* descriptors of a request that are not its data: header and status */
#define BYTES_MAX    MIB(1)
#define RANGE_MAX    GIB(1)
#define GRANULE_MAX  MIB(64)
#define STATUS_NONE  0xffu
#define SERIAL_NS    5000000000ull

#define FEATURES                                                                                  \
	(VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_RO | VIRTIO_BLK_F_BLK_SIZE |  \
	 VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_MQ | VIRTIO_BLK_F_DISCARD |     \
	 VIRTIO_BLK_F_WRITE_ZEROES)

/* What a request needs beside its data, in memory the device reaches: one for each slot. */
struct around {
	struct vblk_header header;
	struct vblk_range range;
	uint8_t status;
	uint8_t id[VBLK_ID_LEN];
	uint8_t pad[11];
};
BUILD_ASSERT(sizeof(struct around) == 64, "none shares a cache line");

struct vblk_host {
	struct hvio_io io;
	struct block_dev *dev;
	struct waitq wait; /* for the driver's own request */
	bool id_over;
	uint32_t refs; /* atomic: the disk until it is gone, and the driver */
};

/* --- requests --- */

static uint32_t type_of(enum block_op op)
{
	static const uint32_t types[BLOCK_OP_COUNT] = {
		[BLOCK_READ] = VIRTIO_BLK_T_IN, [BLOCK_WRITE] = VIRTIO_BLK_T_OUT,
		[BLOCK_FLUSH] = VIRTIO_BLK_T_FLUSH, [BLOCK_DISCARD] = VIRTIO_BLK_T_DISCARD,
		[BLOCK_ZERO] = VIRTIO_BLK_T_WRITE_ZEROES,
	};

	return types[op];
}

/* The request's descriptors. Returns: how many. Pre: the ring's lock. */
static uint16_t request_fill(struct hvio_ioq *q, uint16_t slot, const struct block_cmd *cmd,
			     void *ctx)
{
	struct around *a = (struct around *)q->around.va + slot;
	uint64_t at = q->around.addr.v + slot * sizeof(*a);
	struct hvio_desc *d = hvio_slot_descs(&q->ring, slot);
	uint16_t n = 0;

	(void)ctx;
	a->status = STATUS_NONE;
	a->header = (struct vblk_header){.type = type_of(cmd->op)};
	hvio_desc_fill(&d[n++], at + offsetof(struct around, header), sizeof(a->header), false);
	if (cmd->op == BLOCK_READ || cmd->op == BLOCK_WRITE) {
		a->header.sector = cmd->off / VBLK_SECTOR;
		hvio_data_fill(cmd, d, &n);
	} else if (cmd->op != BLOCK_FLUSH) {
		a->range = (struct vblk_range){
			.sector = cmd->off / VBLK_SECTOR,
			.sectors = (uint32_t)(cmd->len / VBLK_SECTOR),
			.flags = cmd->op == BLOCK_ZERO && (cmd->flags & BLOCK_F_UNMAP) ?
					 VBLK_RANGE_UNMAP : 0,
		};
		hvio_desc_fill(&d[n++], at + offsetof(struct around, range), sizeof(a->range), false);
	}
	hvio_desc_fill(&d[n++], at + offsetof(struct around, status), 1, true);
	return n;
}

static int blk_submit(void *drv, struct block_cmd *cmd)
{
	struct vblk_host *b = drv;

	return hvio_io_submit(&b->io, cmd, request_fill, NULL);
}

static int result_of(uint8_t status)
{
	return status == VIRTIO_BLK_S_OK ? 0 : -RAY_EIO;
}

static void request_done(struct hvio_ring *r, uint16_t slot, uint32_t len)
{
	struct vblk_host *b = container_of(r->v, struct vblk_host, io.v);
	struct hvio_ioq *q = r->owner;
	uint8_t status = *(volatile uint8_t *)&((struct around *)q->around.va)[slot].status;
	struct block_cmd *cmd = hvio_io_take(q, slot);

	(void)len;
	if (likely(cmd)) {
		block_cmd_done(cmd, result_of(status));
		return;
	}
	__atomic_store_n(&b->id_over, true, __ATOMIC_RELEASE);
	waitq_wake_all(&b->wait);
}

static void nonsense(struct hvio_ring *r)
{
	struct vblk_host *b = container_of(r->v, struct vblk_host, io.v);

	if (b->dev)
		block_trouble(b->dev);
}

/* The serial number (5.2.6.1), before anybody else asks for anything; a device need not have one. */
static void serial_read(struct vblk_host *b, struct block_ident *ident)
{
	struct hvio_ioq *q = &b->io.queue[0];
	struct around *a = q->around.va;
	struct hvio_desc *d;
	uint64_t flags = spin_lock_irqsave(&q->ring.lock), at;
	int slot = hvio_slot_take(&q->ring);

	ASSERT(slot >= 0);
	a += slot;
	at = q->around.addr.v + (uint64_t)slot * sizeof(*a);
	d = hvio_slot_descs(&q->ring, (uint16_t)slot);
	a->status = STATUS_NONE;
	a->header = (struct vblk_header){.type = VIRTIO_BLK_T_GET_ID};
	hvio_desc_fill(&d[0], at + offsetof(struct around, header), sizeof(a->header), false);
	hvio_desc_fill(&d[1], at + offsetof(struct around, id), VBLK_ID_LEN, true);
	hvio_desc_fill(&d[2], at + offsetof(struct around, status), 1, true);
	hvio_submit(&q->ring, (uint16_t)slot, 3);
	spin_unlock_irqrestore(&q->ring.lock, flags);
	/* A device that does not answer keeps the slot: it may still write there. */
	if (wait_event(&b->wait, __atomic_load_n(&b->id_over, __ATOMIC_ACQUIRE),
		       time_now() + SERIAL_NS) && a->status == VIRTIO_BLK_S_OK)
		block_text_take(ident->serial, sizeof(ident->serial), a->id, VBLK_ID_LEN);
}

/* --- life --- */

static int blk_recover(void *drv)
{
	struct vblk_host *b = drv;
	int err = hvio_io_reset(&b->io);

	log_warn("device was reset: %s", ray_strerror(err));
	return err;
}

static void blk_put(struct vblk_host *b)
{
	if (__atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	hvio_io_fini(&b->io);
	hvio_fini(&b->io.v);
	kfree(b);
}

static void blk_gone(void *drv)
{
	blk_put(drv);
}

static const struct block_ops blk_ops = {
	.submit = blk_submit,
	.recover = blk_recover,
	.gone = blk_gone,
};

/* Bytes of one command, of sectors the device says: whole blocks, not endless. */
static uint64_t range_max(const struct hvio *v, uint32_t off, uint32_t block)
{
	uint64_t max = (uint64_t)hvio_config32(v, off) * VBLK_SECTOR;

	return ALIGN_DOWN(MIN(max, (uint64_t)RANGE_MAX), (uint64_t)block);
}

static uint32_t granule(const struct hvio *v, uint32_t block)
{
	uint64_t bytes = (uint64_t)hvio_config32(v, VBLK_CFG_DISCARD_ALIGN) * VBLK_SECTOR;

	return bytes && bytes % block == 0 && bytes <= GRANULE_MAX ? (uint32_t)bytes : block;
}

/* A disk's limits, from what the device says, whatever that is. */
static int limits_take(const struct vblk_host *b, struct block_limits *l)
{
	const struct hvio *v = &b->io.v;
	uint32_t block = hvio_has(v, VIRTIO_BLK_F_BLK_SIZE) ? hvio_config32(v, VBLK_CFG_BLK_SIZE) :
							      VBLK_SECTOR;
	uint8_t physical = hvio_has(v, VIRTIO_BLK_F_TOPOLOGY) ?
				   hvio_config8(v, VBLK_CFG_TOPOLOGY) & 0xfu : 0;
	uint32_t segs = b->io.queue[0].ring.segs_max - AROUND;

	if (block < VBLK_SECTOR || (block & (block - 1)))
		return -RAY_EINVAL;
	if (hvio_has(v, VIRTIO_BLK_F_SEG_MAX))
		segs = MIN(segs, MAX(hvio_config32(v, VBLK_CFG_SEG_MAX), 1u));
	*l = (struct block_limits){
		.logical = block, .physical = block << physical, .bytes_max = BYTES_MAX,
		.segs_max = segs, .dma_max = UINT64_MAX,
		.cache = hvio_has(v, VIRTIO_BLK_F_FLUSH),
		.read_only = hvio_has(v, VIRTIO_BLK_F_RO),
	};
	if (hvio_has(v, VIRTIO_BLK_F_SIZE_MAX))
		l->seg_len_max = hvio_config32(v, VBLK_CFG_SIZE_MAX);
	if (hvio_has(v, VIRTIO_BLK_F_DISCARD)) {
		l->discard_granule = granule(v, block);
		l->discard_max = range_max(v, VBLK_CFG_MAX_DISCARD, block);
	}
	if (hvio_has(v, VIRTIO_BLK_F_WRITE_ZEROES))
		l->zero_max = range_max(v, VBLK_CFG_MAX_ZEROES, block);
	return 0;
}

static int publish(struct vblk_host *b)
{
	struct block_init init = {.prefix = "vd", .letter = true, .ops = &blk_ops, .drv = b, .pci = b->io.v.pci,
				  .depth = b->io.queue_count * b->io.queue[0].ring.slots,
				  .ident = {.driver = "virtio-blk", .model = "virtio disk"}};
	uint64_t sectors = hvio_config64(&b->io.v, VBLK_CFG_CAPACITY);
	int err = sectors > UINT64_MAX / VBLK_SECTOR ? -RAY_EINVAL : limits_take(b, &init.limits);

	if (err)
		return err;
	init.ident.size = ALIGN_DOWN(sectors * VBLK_SECTOR, (uint64_t)init.limits.logical);
	serial_read(b, &init.ident);
	__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
	err = block_publish(&init, &b->dev);
	if (err) /* the driver's own reference is left */
		__atomic_fetch_sub(&b->refs, 1, __ATOMIC_RELAXED);
	return err;
}

/* One queue unless the device has several. */
static int queues_init(struct vblk_host *b)
{
	const struct hvio *v = &b->io.v;
	const struct hvio_io_init init = {
		.count = hvio_has(v, VIRTIO_BLK_F_MQ) ? hvio_config16(v, VBLK_CFG_NUM_QUEUES) : 1,
		.around = sizeof(struct around), .done = request_done, .nonsense = nonsense,
		.name = "virtio-blk",
	};

	return hvio_io_init(&b->io, &init);
}

static int blk_probe(struct pci_dev *d)
{
	struct vblk_host *b = kzalloc(sizeof(*b), MEM_DRIVER);
	int err;

	if (!b)
		return -RAY_ENOMEM;
	b->refs = 1;
	waitq_init(&b->wait);
	d->priv = b;
	err = hvio_io_open(&b->io, d, FEATURES);
	if (!err)
		err = queues_init(b);
	if (!err) {
		pci_master_set(d, true);
		err = hvio_io_enable(&b->io);
	}
	if (!err)
		err = publish(b);
	if (err) {
		if (b->io.v.common.regs)
			hvio_io_stop(&b->io);
		blk_put(b);
	}
	return err;
}

static void blk_remove(struct pci_dev *d)
{
	struct vblk_host *b = d->priv;

	hvio_io_stop(&b->io);
	block_unpublish(b->dev);
	blk_put(b);
}

/* Modern devices, and those that have the old interface too. */
static int suspend(struct pci_dev *d)
{
	struct vblk_host *b = d->priv;

	return hvio_io_suspend(&b->io);
}

static int resume(struct pci_dev *d)
{
	struct vblk_host *b = d->priv;

	return hvio_io_reset(&b->io);
}

static const struct pci_match blk_match[] = {
	PCI_MATCH_ID(VIRTIO_PCI_VENDOR, VIRTIO_PCI_DEVICE + VIRTIO_ID_BLOCK),
	PCI_MATCH_ID(VIRTIO_PCI_VENDOR, VIRTIO_PCI_TRANSITIONAL + 1u),
};

PCI_DRIVER(virtio_blk,
	   .base = {.id = "virtio-blk", .bus = "pci", .cls = DEVICE_STORAGE},
	   .match = blk_match,
	   .match_count = ARRAY_SIZE(blk_match), .probe = blk_probe, .remove = blk_remove,
	   .suspend = suspend, .resume = resume);
