/* SPDX-License-Identifier: Apache-2.0 */
/* NVMe: the controller's life: off, on, and off and on again when it has gone wrong. */
#include "devices/host/nvme/nvme.h"
#include "kernel/lib/err.h"
#define LOG_TAG "nvme"
#include "kernel/log.h"
#include "kernel/mmio.h"
#include "kernel/pci/pci.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define POLL_NS 1000000ull
#define ABORT_NS 1000000000ull /* for what was aborted to end */
#define READY_EXTRA_MS 500u /* CAP.TO of 0 is no time at all */

/* Wait for bits of CSTS to be @want (3.5.1, 3.6.1): the controller has no interrupt for that. */
static int status_wait(struct nvme *c, uint32_t mask, uint32_t want)
{
	uint64_t end = time_now() + (NVME_CAP_TO_MS(c->cap) + READY_EXTRA_MS) * 1000000ull;

	for (;;) {
		uint32_t status = mmio_read32(c->regs, NVME_CSTS);

		if (status == NVME_GONE) {
			c->gone = true;
			return -RAY_ENODEV;
		}
		if ((status & mask) == want)
			return 0;
		if (want && (status & NVME_CSTS_CFS))
			return -RAY_EIO;
		if (time_now() >= end)
			return -RAY_ETIMEDOUT;
		thread_sleep_until(time_now() + POLL_NS);
	}
}

int nvme_ctrl_off(struct nvme *c)
{
	mmio_write32(c->regs, NVME_CC, 0);
	return status_wait(c, NVME_CSTS_RDY, 0);
}

int nvme_ctrl_on(struct nvme *c)
{
	struct nvme_queue *q = &c->admin;
	int err;

	nvme_queue_reset(q);
	mmio_write32(c->regs, NVME_AQA, (uint32_t)(q->depth - 1u) << 16 | (q->depth - 1u));
	mmio_write64(c->regs, NVME_ASQ, q->sq.addr.v);
	mmio_write64(c->regs, NVME_ACQ, q->cq.addr.v);
	mmio_write32(c->regs, NVME_CC, NVME_CC_QUEUE_SIZES | NVME_CC_EN);
	err = status_wait(c, NVME_CSTS_RDY, NVME_CSTS_RDY);
	if (!err)
		q->on = true;
	return err;
}

void nvme_queues_off(struct nvme *c)
{
	c->admin.on = false;
	for (unsigned int i = 0; i < c->io_count; i++) {
		uint64_t flags = spin_lock_irqsave(&c->io[i].lock);

		c->io[i].on = false;
		spin_unlock_irqrestore(&c->io[i].lock, flags);
	}
}

static int mend(struct nvme *c)
{
	int err;

	nvme_queues_off(c);
	err = nvme_ctrl_off(c);
	if (err && !c->gone) /* it may still write to memory: nothing of it is given back */
		pci_master_set(c->pci, false);
	for (unsigned int i = 0; i < c->io_count; i++) {
		nvme_queue_abandon(&c->io[i]);
		nvme_queue_reset(&c->io[i]);
	}
	if (!err)
		err = nvme_ctrl_on(c);
	if (!err)
		err = nvme_io_queues_create(c);
	return err;
}

/* --- commands that are late --- */

static bool is_late(struct nvme_queue *q, uint16_t cid)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);
	const struct block_cmd *cmd = q->slot[cid].used ? q->slot[cid].cmd : NULL;
	bool late = cmd && block_cmd_late(cmd);

	spin_unlock_irqrestore(&q->lock, flags);
	return late;
}

/* Ask for the end of one (5.1). True: it has ended, or will. */
static bool abort_one(struct nvme_queue *q, uint16_t cid)
{
	const struct nvme_sqe e = {.opcode = NVME_ADMIN_ABORT, .cdw10 = (uint32_t)cid << 16 | q->id};
	uint32_t result = NVME_ABORT_NOT;

	return nvme_admin(q->c, &e, &result) == 0 && !(result & NVME_ABORT_NOT);
}

static bool ends(struct nvme_queue *q, uint16_t cid)
{
	uint64_t end = time_now() + ABORT_NS;

	while (is_late(q, cid)) {
		if (time_now() >= end)
			return false;
		thread_sleep_until(time_now() + POLL_NS);
	}
	return true;
}

/*
 * The gentle way: others' commands are left alone. False: the controller does not answer or does
 * not abort, or none is late and what it said was nonsense.
 */
static bool late_aborted(struct nvme *c)
{
	uint32_t status = mmio_read32(c->regs, NVME_CSTS);
	unsigned int n = 0;

	if (status == NVME_GONE || (status & NVME_CSTS_CFS) || !(status & NVME_CSTS_RDY))
		return false;
	for (unsigned int i = 0; i < c->io_count; i++) {
		struct nvme_queue *q = &c->io[i];

		for (uint16_t cid = 0; cid < q->depth - 1u; cid++) {
			if (!is_late(q, cid))
				continue;
			if (!abort_one(q, cid) || !ends(q, cid))
				return false;
			n++;
		}
	}
	if (n > 0)
		log_warn("commands were aborted: count=%u model=\"%s\"", n, c->ident.model);
	return n > 0;
}

int nvme_recover(void *drv)
{
	struct nvme_ns *ns = drv;
	struct nvme *c = ns->c;
	int err;

	mutex_lock(&c->mend);
	if (!c->gone && late_aborted(c)) {
		mutex_unlock(&c->mend);
		return 0;
	}
	c->resets++;
	err = c->gone ? -RAY_ENODEV : mend(c);
	log_warn("controller was reset: %s model=\"%s\" resets=%u", ray_strerror(err),
		 c->ident.model, c->resets);
	mutex_unlock(&c->mend);
	return err;
}

int nvme_suspend(struct nvme *c)
{
	int err;

	mutex_lock(&c->mend);
	nvme_queues_off(c);
	mmio_write32(c->regs, NVME_CC, mmio_read32(c->regs, NVME_CC) | (uint32_t)NVME_CC_SHN_NORMAL);
	err = status_wait(c, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
	if (!err)
		err = nvme_ctrl_off(c);
	mutex_unlock(&c->mend);
	return err;
}

int nvme_resume(struct nvme *c)
{
	int err;

	mutex_lock(&c->mend);
	err = mend(c);
	mutex_unlock(&c->mend);
	return err;
}
