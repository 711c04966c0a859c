/* SPDX-License-Identifier: Apache-2.0 */
/* NVMe: the admin queue's commands, one at a time, for who may wait. */
#include <string.h>

#include "devices/host/nvme/nvme.h"
#include "kernel/lib/err.h"
#include "kernel/time/time.h"

#define TIMEOUT_NS 10000000000ull

static bool answered(struct nvme_queue *q, int cid)
{
	return !*(volatile bool *)&q->slot[cid].waiting;
}

/* Give up waiting; false: the answer has come in the last moment. */
static bool leave(struct nvme_queue *q, int cid)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);
	bool waiting = q->slot[cid].waiting;

	q->slot[cid].waiting = false;
	spin_unlock_irqrestore(&q->lock, flags);
	return waiting;
}

static int take_and_submit(struct nvme_queue *q, const struct nvme_sqe *e)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);
	int cid = nvme_slot_take(q);

	if (cid >= 0) {
		struct nvme_sqe mine = *e;

		q->slot[cid].cmd = NULL;
		q->slot[cid].waiting = true;
		mine.cid = (uint16_t)cid;
		nvme_submit(q, &mine);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return cid;
}

static int admin_locked(struct nvme *c, const struct nvme_sqe *e, uint32_t *result)
{
	struct nvme_queue *q = &c->admin;
	int cid = take_and_submit(q, e), err;
	uint64_t flags;

	if (cid < 0)
		return -RAY_EIO;
	if (!wait_event(&c->wait, answered(q, cid), time_now() + TIMEOUT_NS) && leave(q, cid))
		return -RAY_ETIMEDOUT;
	flags = spin_lock_irqsave(&q->lock);
	err = q->slot[cid].status & ~NVME_STATUS_PHASE ? -RAY_EIO : 0;
	if (result)
		*result = q->slot[cid].result;
	nvme_slot_give(q, (uint16_t)cid);
	spin_unlock_irqrestore(&q->lock, flags);
	return err;
}

int nvme_admin(struct nvme *c, const struct nvme_sqe *e, uint32_t *result)
{
	int err;

	mutex_lock(&c->admin_lock);
	err = admin_locked(c, e, result);
	mutex_unlock(&c->admin_lock);
	return err;
}

int nvme_admin_read(struct nvme *c, struct nvme_sqe *e, void *data, size_t len)
{
	int err;

	mutex_lock(&c->admin_lock);
	e->prp1 = c->data.addr.v;
	err = admin_locked(c, e, NULL);
	if (!err)
		memcpy(data, c->data.va, len);
	mutex_unlock(&c->admin_lock);
	if (err == -RAY_ETIMEDOUT) /* it may write there late, into what somebody else reads */
		nvme_trouble(c);
	return err;
}

int nvme_identify(struct nvme *c, uint32_t cns, uint32_t nsid, void *data)
{
	struct nvme_sqe e = {.opcode = NVME_ADMIN_IDENTIFY, .nsid = nsid, .cdw10 = cns};

	return nvme_admin_read(c, &e, data, NVME_DATA_LEN);
}

static int queue_create(struct nvme *c, struct nvme_queue *q)
{
	struct nvme_sqe cq = {
		.opcode = NVME_ADMIN_CREATE_CQ, .prp1 = q->cq.addr.v,
		.cdw10 = (uint32_t)(q->depth - 1u) << 16 | q->id,
		.cdw11 = (uint32_t)q->id << 16 | NVME_QUEUE_INTERRUPTS | NVME_QUEUE_CONTIGUOUS,
	};
	struct nvme_sqe sq = {
		.opcode = NVME_ADMIN_CREATE_SQ, .prp1 = q->sq.addr.v,
		.cdw10 = (uint32_t)(q->depth - 1u) << 16 | q->id,
		.cdw11 = (uint32_t)q->id << 16 | NVME_QUEUE_CONTIGUOUS,
	};
	int err = nvme_admin(c, &cq, NULL);

	if (!err)
		err = nvme_admin(c, &sq, NULL);
	if (!err)
		q->on = true;
	return err;
}

/* As many as the controller grants (5.27.1.5); what it does not is not used. */
int nvme_io_queues_create(struct nvme *c)
{
	struct nvme_sqe e = {.opcode = NVME_ADMIN_SET_FEATURES, .cdw10 = NVME_FEATURE_QUEUES,
			     .cdw11 = (c->io_count - 1u) << 16 | (c->io_count - 1u)};
	uint32_t granted;
	int err = nvme_admin(c, &e, &granted);

	if (err)
		return err;
	c->io_count = MIN(c->io_count, MIN((granted & 0xffffu), granted >> 16) + 1u);
	for (unsigned int i = 0; i < c->io_count; i++) {
		err = queue_create(c, &c->io[i]);
		if (err)
			return err;
	}
	return 0;
}
