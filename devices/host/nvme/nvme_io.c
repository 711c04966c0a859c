/* SPDX-License-Identifier: Apache-2.0 */
/* NVMe: block commands as NVM commands, and a namespace's health. */
#include <string.h>

#include "devices/host/nvme/nvme.h"
#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"
#include "kernel/mm/page.h"
#include "kernel/pci/pci.h"

#define SMART_LEN 512u

/*
 * Where the data lies: the first page's part in PRP1, the second in PRP2, or all further pages
 * in the slot's list (4.1.1). The block layer has seen to it that pieces meet at pages' edges.
 */
static void prps_fill(const struct nvme_queue *q, uint16_t cid, const struct block_cmd *cmd,
		     struct nvme_sqe *e)
{
	uint64_t *list = (uint64_t *)(void *)((char *)q->prp.va + cid * NVME_PRP_LIST);
	unsigned int n = 0;

	for (uint32_t i = 0; i < cmd->seg_count; i++) {
		uint64_t at = cmd->seg[i].addr.v, left = cmd->seg[i].len;

		while (left > 0) {
			uint64_t here = MIN(left, PAGE_SIZE - at % PAGE_SIZE);

			if (n == 0)
				e->prp1 = at;
			else
				list[n - 1] = at;
			n++;
			at += here;
			left -= here;
		}
	}
	if (n == 2)
		e->prp2 = list[0];
	else if (n > 2)
		e->prp2 = q->prp.addr.v + cid * NVME_PRP_LIST;
}

static void range_fill(const struct nvme_queue *q, uint16_t cid, const struct block_cmd *cmd,
		       uint8_t shift, struct nvme_sqe *e)
{
	struct nvme_dsm_range *r =
		(struct nvme_dsm_range *)(void *)((char *)q->prp.va + cid * NVME_PRP_LIST);

	*r = (struct nvme_dsm_range){.blocks = (uint32_t)(cmd->len >> shift),
				     .lba = cmd->off >> shift};
	e->prp1 = q->prp.addr.v + cid * NVME_PRP_LIST;
	e->cdw10 = 0; /* one range */
	e->cdw11 = NVME_DSM_DISCARD;
}

static void blocks_fill(const struct block_cmd *cmd, uint8_t shift, struct nvme_sqe *e)
{
	uint64_t lba = cmd->off >> shift;

	e->cdw10 = (uint32_t)lba;
	e->cdw11 = (uint32_t)(lba >> 32);
	e->cdw12 = (uint32_t)(cmd->len >> shift) - 1u;
}

static void entry_fill(const struct nvme_queue *q, const struct nvme_ns *ns, uint16_t cid,
		      const struct block_cmd *cmd, struct nvme_sqe *e)
{
	*e = (struct nvme_sqe){.cid = cid, .nsid = ns->nsid};
	switch (cmd->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		e->opcode = cmd->op == BLOCK_READ ? NVME_READ : NVME_WRITE;
		blocks_fill(cmd, ns->shift, e);
		if (cmd->flags & BLOCK_F_FUA)
			e->cdw12 |= NVME_FUA;
		prps_fill(q, cid, cmd, e);
		break;
	case BLOCK_ZERO:
		e->opcode = NVME_WRITE_ZEROES;
		blocks_fill(cmd, ns->shift, e);
		if (cmd->flags & BLOCK_F_UNMAP)
			e->cdw12 |= NVME_DEAC;
		break;
	case BLOCK_DISCARD:
		e->opcode = NVME_DSM;
		range_fill(q, cid, cmd, ns->shift, e);
		break;
	default:
		e->opcode = NVME_FLUSH;
		break;
	}
}

static int nvme_cmd_submit(void *drv, struct block_cmd *cmd)
{
	const struct nvme_ns *ns = drv;
	struct nvme_queue *q = &ns->c->io[this_cpu()->id % ns->c->io_count];
	uint64_t flags = spin_lock_irqsave(&q->lock);
	int cid = nvme_slot_take(q);
	struct nvme_sqe e;

	if (likely(cid >= 0)) {
		entry_fill(q, ns, (uint16_t)cid, cmd, &e);
		q->slot[cid].cmd = cmd;
		nvme_submit(q, &e);
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return cid < 0 ? -RAY_EAGAIN : 0;
}

/* A 128-bit counter, as far as 64 bits go. */
static uint64_t wide(const uint8_t *p)
{
	return load64(p + 8) ? UINT64_MAX : load64(p);
}

static int nvme_health(void *drv, struct block_health *out)
{
	const struct nvme_ns *ns = drv;
	struct nvme_sqe e = {.opcode = NVME_ADMIN_GET_LOG, .nsid = UINT32_MAX,
			     .cdw10 = (SMART_LEN / 4 - 1) << 16 | NVME_LOG_SMART};
	uint8_t log[SMART_LEN];
	int err = nvme_admin_read(ns->c, &e, log, sizeof(log));
	uint16_t kelvin;

	if (err)
		return err;
	kelvin = load16(log + NVME_SMART_KELVIN);
	*out = (struct block_health){
		.failing = log[NVME_SMART_WARNING] != 0,
		.wear_percent = log[NVME_SMART_USED],
		.celsius = kelvin >= 200 && kelvin < 500 ? (int16_t)(kelvin - 273) : INT16_MIN,
		.power_on_hours = wide(log + NVME_SMART_HOURS),
		.media_errors = wide(log + NVME_SMART_ERRORS),
		.unsafe_shutdowns = wide(log + NVME_SMART_UNSAFE),
		.bytes_read = wide(log + NVME_SMART_READ) * 512000u,
		.bytes_written = wide(log + NVME_SMART_WRITTEN) * 512000u,
	};
	return 0;
}

static void nvme_gone(void *drv)
{
	struct nvme_ns *ns = drv;

	nvme_put(ns->c);
}

const struct block_ops nvme_block_ops = {
	.submit = nvme_cmd_submit,
	.recover = nvme_recover,
	.health = nvme_health,
	.gone = nvme_gone,
};
