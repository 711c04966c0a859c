/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/host/virtio/hvio_io.h"

#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

/* --- life --- */

void hvio_io_fini(struct hvio_io *io)
{
	for (unsigned int i = 0; io->queue && i < HVIO_IO_QUEUES_MAX; i++) {
		hvio_ring_fini(&io->queue[i].ring);
		if (io->queue[i].ring.v)
			dma_free(io->v.pci, &io->queue[i].around);
	}
	kfree(io->queue);
}

static int queue_init(struct hvio_io *io, unsigned int i, const struct hvio_io_init *init)
{
	struct hvio_ioq *q = &io->queue[i];
	int err = hvio_ring_init(&q->ring, &io->v, (uint16_t)(init->first + i), HVIO_SEGS_MAX);

	q->ring.owner = q;
	q->ring.done = init->done;
	q->ring.nonsense = init->nonsense;
	if (!err)
		err = dma_alloc(io->v.pci, (size_t)q->ring.slots * init->around, UINT64_MAX,
				&q->around);
	return err;
}

int hvio_io_open(struct hvio_io *io, struct pci_dev *d, uint64_t wanted)
{
	mutex_init(&io->mend, LOCK_ORDER_NONE);
	return hvio_init(&io->v, d, wanted);
}

int hvio_io_init(struct hvio_io *io, const struct hvio_io_init *init)
{
	unsigned int want = MIN(cpu_count(), HVIO_IO_QUEUES_MAX);
	int err = 0;

	want = MIN(want, pci_irq_count(io->v.pci));
	want = MIN(want, (unsigned int)init->count);
	if (want == 0)
		return -RAY_ENODEV;
	io->queue = kcalloc(HVIO_IO_QUEUES_MAX, sizeof(*io->queue), MEM_DRIVER);
	if (!io->queue)
		return -RAY_ENOMEM;
	for (; !err && io->queue_count < want; io->queue_count++)
		err = queue_init(io, io->queue_count, init);
	for (unsigned int i = 0; !err && i < want; i++)
		err = pci_irq_request(io->v.pci, i, i % cpu_count(), hvio_interrupt,
				      &io->queue[i].ring, init->name);
	return err;
}

int hvio_io_enable(struct hvio_io *io)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < io->queue_count; i++)
		err = hvio_ring_enable(&io->queue[i].ring, (uint16_t)i);
	if (!err)
		hvio_begin(&io->v);
	return err;
}

/* No request is handed over, no end taken. */
static void off(struct hvio_io *io)
{
	for (unsigned int i = 0; i < io->queue_count; i++)
		hvio_ring_off(&io->queue[i].ring);
}

/* Everything under way is to be repeated. */
static void abandon(struct hvio_io *io)
{
	for (unsigned int i = 0; i < io->queue_count; i++) {
		struct hvio_ioq *q = &io->queue[i];

		for (uint16_t slot = 0; slot < q->ring.slots; slot++) {
			uint64_t flags = spin_lock_irqsave(&q->ring.lock);
			struct block_cmd *cmd = q->cmd[slot];

			q->cmd[slot] = NULL;
			spin_unlock_irqrestore(&q->ring.lock, flags);
			if (cmd)
				block_cmd_done(cmd, -RAY_EAGAIN);
		}
	}
}

int hvio_io_reset(struct hvio_io *io)
{
	int err = -RAY_ENODEV;

	mutex_lock(&io->mend);
	if (!io->stopped) {
		off(io);
		err = hvio_reset(&io->v);
		if (err) /* it may still write to memory */
			pci_master_set(io->v.pci, false);
		abandon(io);
		if (!err)
			err = hvio_negotiate(&io->v, io->v.features);
		if (!err)
			err = hvio_io_enable(io);
		__atomic_fetch_add(&io->resets, 1, __ATOMIC_RELEASE);
	}
	mutex_unlock(&io->mend);
	return err;
}

int hvio_io_suspend(struct hvio_io *io)
{
	int err;

	mutex_lock(&io->mend);
	off(io);
	err = hvio_reset(&io->v);
	mutex_unlock(&io->mend);
	return err;
}

void hvio_io_stop(struct hvio_io *io)
{
	int err;

	mutex_lock(&io->mend);
	io->stopped = true;
	off(io);
	err = hvio_reset(&io->v);
	(void)err; /* bus mastering goes in any case */
	pci_master_set(io->v.pci, false);
	pci_irq_release_all(io->v.pci);
	abandon(io);
	mutex_unlock(&io->mend);
}

/* --- requests --- */

int hvio_io_submit(struct hvio_io *io, struct block_cmd *cmd, hvio_io_fill_fn fill, void *ctx)
{
	struct hvio_ioq *q = &io->queue[this_cpu()->id % io->queue_count];
	uint64_t flags = spin_lock_irqsave(&q->ring.lock);
	int slot = hvio_slot_take(&q->ring);

	if (likely(slot >= 0)) {
		uint16_t n = fill(q, (uint16_t)slot, cmd, ctx);

		q->cmd[slot] = cmd;
		hvio_submit(&q->ring, (uint16_t)slot, n);
	}
	spin_unlock_irqrestore(&q->ring.lock, flags);
	return slot < 0 ? -RAY_EAGAIN : 0;
}

struct block_cmd *hvio_io_take(struct hvio_ioq *q, uint16_t slot)
{
	uint64_t flags = spin_lock_irqsave(&q->ring.lock);
	struct block_cmd *cmd = q->cmd[slot];

	q->cmd[slot] = NULL;
	hvio_slot_give(&q->ring, slot);
	spin_unlock_irqrestore(&q->ring.lock, flags);
	return cmd;
}

void hvio_desc_fill(struct hvio_desc *d, uint64_t addr, uint32_t len, bool write)
{
	*d = (struct hvio_desc){.addr = addr, .len = len,
				.flags = write ? VIRTIO_DESC_WRITE : 0};
}

void hvio_data_fill(const struct block_cmd *cmd, struct hvio_desc *d, uint16_t *n)
{
	for (uint32_t i = 0; i < cmd->seg_count; i++)
		hvio_desc_fill(&d[(*n)++], cmd->seg[i].addr.v, cmd->seg[i].len,
			       cmd->op == BLOCK_READ);
}
