/* SPDX-License-Identifier: Apache-2.0 */
/* NVMe queues: rings, command identifiers, completions. */
#include <string.h>

#include "devices/host/nvme/nvme.h"
#include "kernel/lib/err.h"
#include "kernel/mmio.h"
#include "kernel/panic.h"

/* Doorbells stand in pairs: a queue's tail, then its completions' head. */
static uint32_t doorbell(const struct nvme_queue *q, bool head)
{
	return NVME_DOORBELLS + (2u * q->id + head) * q->c->stride;
}

void nvme_queue_reset(struct nvme_queue *q)
{
	memset(q->cq.va, 0, q->cq.size);
	q->sq_tail = q->cq_head = 0;
	q->phase = 1;
	q->on = false;
	/* One entry stays empty: a full ring would look like an empty one (3.3.1.2.1). */
	q->free_count = 0;
	for (uint16_t i = 0; i < q->depth - 1u; i++) {
		q->slot[i] = (struct nvme_slot){.used = false};
		q->free[q->free_count++] = i;
	}
}

void nvme_queue_fini(struct nvme_queue *q)
{
	if (!q->c) /* it never was */
		return;
	dma_free(q->c->pci, &q->sq);
	dma_free(q->c->pci, &q->cq);
	dma_free(q->c->pci, &q->prp);
}

int nvme_queue_init(struct nvme_queue *q, struct nvme *c, uint16_t id)
{
	uint32_t depth = MIN(NVME_DEPTH, NVME_CAP_MQES(c->cap));
	int err;

	q->c = c;
	q->id = id;
	q->depth = (uint16_t)depth;
	spin_lock_init(&q->lock, LOCK_ORDER_DRIVER);
	err = dma_alloc(c->pci, depth * sizeof(struct nvme_sqe), UINT64_MAX, &q->sq);
	if (!err)
		err = dma_alloc(c->pci, depth * sizeof(struct nvme_cqe), UINT64_MAX, &q->cq);
	if (!err)
		err = dma_alloc(c->pci, depth * NVME_PRP_LIST, UINT64_MAX, &q->prp);
	if (err)
		nvme_queue_fini(q);
	else
		nvme_queue_reset(q);
	return err;
}

int nvme_slot_take(struct nvme_queue *q)
{
	uint16_t cid;

	if (q->free_count == 0 || !q->on)
		return -RAY_EAGAIN;
	cid = q->free[--q->free_count];
	q->slot[cid].used = true;
	return cid;
}

void nvme_slot_give(struct nvme_queue *q, uint16_t cid)
{
	q->slot[cid].used = false;
	q->slot[cid].cmd = NULL;
	q->free[q->free_count++] = cid;
}

void nvme_submit(struct nvme_queue *q, const struct nvme_sqe *e)
{
	struct nvme_sqe *ring = q->sq.va;

	ring[q->sq_tail] = *e;
	q->sq_tail = (uint16_t)(q->sq_tail + 1u == q->depth ? 0 : q->sq_tail + 1u);
	mmio_write32(q->c->regs, doorbell(q, false), q->sq_tail);
}

/* --- completions --- */

/* What the block layer makes of a status (3.3.3.2.1). */
static int result_of(uint16_t status)
{
	if ((status & ~NVME_STATUS_PHASE) == 0)
		return 0;
	if ((status & NVME_STATUS_DNR) || NVME_STATUS_TYPE(status) == NVME_TYPE_MEDIA)
		return -RAY_EIO;
	return -RAY_EAGAIN;
}

void nvme_trouble(struct nvme *c)
{
	for (unsigned int i = 0; i < c->ns_count; i++) {
		if (c->ns[i].dev)
			block_trouble(c->ns[i].dev);
	}
}

static bool entry_good(const struct nvme_queue *q, const struct nvme_cqe *e)
{
	return e->sq_id == q->id && e->cid < q->depth - 1u && q->slot[e->cid].used;
}

/* One completion. Context: the queue's interrupt. */
static void complete(struct nvme_queue *q, const struct nvme_cqe *e)
{
	struct block_cmd *cmd = NULL;
	bool good, admin = false;
	uint64_t flags = spin_lock_irqsave(&q->lock);

	good = entry_good(q, e);
	if (good) {
		struct nvme_slot *s = &q->slot[e->cid];

		cmd = s->cmd;
		if (cmd) {
			nvme_slot_give(q, e->cid);
		} else {
			s->status = e->status;
			s->result = e->result;
			admin = true;
			/* Who waits no more has left the slot to us. */
			if (s->waiting)
				s->waiting = false;
			else
				nvme_slot_give(q, e->cid);
		}
	}
	spin_unlock_irqrestore(&q->lock, flags);
	if (!good)
		nvme_trouble(q->c);
	else if (cmd)
		block_cmd_done(cmd, result_of(e->status));
	else if (admin)
		waitq_wake_all(&q->c->wait);
}

/* The next entry, copied once; false: there is none. */
static bool entry_next(struct nvme_queue *q, struct nvme_cqe *out)
{
	const struct nvme_cqe *e = (const struct nvme_cqe *)q->cq.va + q->cq_head;
	uint16_t status = *(const volatile uint16_t *)&e->status;

	if ((status & NVME_STATUS_PHASE) != q->phase)
		return false;
	/* The phase is written last (3.3.3.2.2): what is read after it is whole. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	*out = *e;
	out->status = status;
	if (++q->cq_head == q->depth) {
		q->cq_head = 0;
		q->phase ^= 1;
	}
	return true;
}

void nvme_interrupt(void *arg)
{
	struct nvme_queue *q = arg;
	unsigned int n = 0;
	struct nvme_cqe e;

	/* A controller that never stops gets one round, and another interrupt for the next. */
	while (n < q->depth && q->on && entry_next(q, &e)) {
		complete(q, &e);
		n++;
	}
	if (n > 0)
		mmio_write32(q->c->regs, doorbell(q, true), q->cq_head);
}

void nvme_queue_abandon(struct nvme_queue *q)
{
	for (uint16_t i = 0; i < q->depth - 1u; i++) {
		struct block_cmd *cmd;
		uint64_t flags = spin_lock_irqsave(&q->lock);

		cmd = q->slot[i].used ? q->slot[i].cmd : NULL;
		if (cmd)
			nvme_slot_give(q, i);
		spin_unlock_irqrestore(&q->lock, flags);
		if (cmd)
			block_cmd_done(cmd, -RAY_EAGAIN);
	}
}
