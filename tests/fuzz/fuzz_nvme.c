/* UNIT: devices/host/nvme/nvme.c devices/host/nvme/nvme_queue.c
 * devices/host/nvme/nvme_admin.c devices/host/nvme/nvme_ctrl.c devices/host/nvme/nvme_io.c
 * kernel/dma/dma.c kernel/block/dev.c kernel/block/queue.c kernel/block/merge.c
 * kernel/block/fit.c kernel/block/worker.c kernel/block/sync.c kernel/block/fault.c
 * kernel/block/part.c kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/block/gpt_write.c kernel/lib/utf8.c
 */
/* PARSER: devices/host/nvme/nvme.c devices/host/nvme/nvme_queue.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * A controller that says what the input says: its capabilities, what it is and what its
 * namespaces are, whether, when and how it answers. The driver comes up or gives up, requests
 * end, nothing is left behind, and no memory is touched that is not the driver's.
 */
#include <stdint.h>
#include <stdlib.h>

#include "devices/host/nvme/nvme.h"
#include "kernel/lib/unaligned.h"
#include "tests/host/fuzz_disk.h"

#define QUEUES 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct ring {
	uint64_t sq, cq;
	uint32_t depth, sq_head, sq_tail, cq_tail;
	uint16_t phase;
};

static struct {
	uint64_t cap, asq, acq;
	uint32_t csts, aqa;
	struct ring ring[QUEUES];
} hw;

/* --- registers --- */

uint64_t fake_mmio_read(const void *base, uint32_t off, unsigned int size)
{
	(void)base;
	(void)size;
	if (off == NVME_CAP)
		return hw.cap;
	/* Now and then what a device that was pulled reads as, or anything. */
	if (off == NVME_CSTS)
		return byte(&in) == 0xff ? word(&in) : hw.csts;
	return 0;
}

void fake_mmio_write(void *base, uint32_t off, unsigned int size, uint64_t v)
{
	uint32_t stride = NVME_CAP_DSTRD(hw.cap), n = (off - NVME_DOORBELLS) / stride;

	(void)base;
	(void)size;
	if (off >= NVME_DOORBELLS) {
		if (n / 2 < QUEUES && n % 2 == 0)
			hw.ring[n / 2].sq_tail = (uint32_t)v;
	} else if (off == NVME_CC) {
		memset(hw.ring, 0, sizeof(hw.ring));
		hw.csts = v & NVME_CC_EN ? NVME_CSTS_RDY : 0;
		if (v & NVME_CC_EN)
			hw.ring[0] = (struct ring){hw.asq, hw.acq, (hw.aqa & 0xfff) + 1, 0, 0, 0, 1};
	} else if (off == NVME_AQA) {
		hw.aqa = (uint32_t)v;
	} else if (off == NVME_ASQ) {
		hw.asq = v;
	} else if (off == NVME_ACQ) {
		hw.acq = v;
	}
}

/* --- what it says --- */

/* A sound answer, of which the input changes some bytes. */
static void identify(const struct nvme_sqe *e)
{
	uint8_t *p = fake_memory(e->prp1);

	memset(p, 0, NVME_DATA_LEN);
	if (e->cdw10 == NVME_IDENTIFY_CONTROLLER) {
		memset(p + NVME_ID_SERIAL, ' ', 60);
		p[NVME_ID_ONCS] = NVME_ONCS_DSM | NVME_ONCS_ZEROES;
		p[NVME_ID_VWC] = 1;
	} else if (e->cdw10 == NVME_IDENTIFY_ACTIVE) {
		store32(p, 1);
		store32(p + 4, 2);
	} else {
		store64(p + NVME_NS_NSZE, 2048);
		p[NVME_NS_LBAF0 + 2] = 9;
	}
	for (unsigned int n = byte(&in) % 16; n > 0; n--) {
		uint32_t at = byte(&in) % 2 ? word(&in) % NVME_DATA_LEN : byte(&in);

		p[at] = byte(&in);
	}
}

static void admin(const struct nvme_sqe *e)
{
	uint32_t id = e->cdw10 & 0xffff;

	if (e->opcode == NVME_ADMIN_IDENTIFY)
		identify(e);
	else if (e->opcode == NVME_ADMIN_CREATE_CQ && id < QUEUES)
		hw.ring[id].cq = e->prp1;
	else if (e->opcode == NVME_ADMIN_CREATE_SQ && id < QUEUES)
		hw.ring[id] = (struct ring){e->prp1, hw.ring[id].cq, (e->cdw10 >> 16) + 1, 0, 0,
					    0, 1};
}

/* A completion, right or not. */
static void answer(unsigned int id, const struct nvme_sqe *e)
{
	struct ring *r = &hw.ring[id];
	struct nvme_cqe c = {.result = 0x00010001, .sq_id = (uint16_t)id, .cid = e->cid};
	uint8_t how = byte(&in);

	if (how == 0xf0)
		return; /* never */
	if (how > 0xf0) {
		c.result = word(&in);
		c.cid = (uint16_t)word(&in);
		c.sq_id = byte(&in);
	}
	if (how >= 0xe0)
		c.status = (uint16_t)(word(&in) & ~NVME_STATUS_PHASE);
	c.status |= r->phase;
	((struct nvme_cqe *)fake_memory(r->cq))[r->cq_tail] = c;
	if (++r->cq_tail == r->depth) {
		r->cq_tail = 0;
		r->phase ^= 1;
	}
}

static void serve(unsigned int id)
{
	struct ring *r = &hw.ring[id];

	while (r->sq && r->sq_head != r->sq_tail && r->sq_tail < r->depth) {
		const struct nvme_sqe e = ((struct nvme_sqe *)fake_memory(r->sq))[r->sq_head];

		r->sq_head = r->sq_head + 1 == r->depth ? 0 : r->sq_head + 1;
		if (id == 0)
			admin(&e);
		answer(id, &e);
	}
	fake_irq(id);
}

static void look(void)
{
	for (unsigned int i = 0; i < QUEUES && fake_master; i++)
		serve(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_begin(data, size);
	memset(&hw, 0, sizeof(hw));
	hw.cap = 63 | 2ull << 24 | 1ull << 37;
	hw.cap ^= (uint64_t)word(&in) << 32 | word(&in);
	fake_regs = &hw;
	fake_pci.bar[0].size = 0x4000;
	fake_irq_count = QUEUES;
	fuzz_run_device(look);
	return 0;
}
