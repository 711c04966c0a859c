/* UNIT: devices/host/nvme/nvme.c devices/host/nvme/nvme_queue.c
 * devices/host/nvme/nvme_admin.c devices/host/nvme/nvme_ctrl.c devices/host/nvme/nvme_io.c
 * kernel/dma/dma.c kernel/block/dev.c kernel/block/queue.c kernel/block/merge.c
 * kernel/block/fit.c kernel/block/worker.c kernel/block/sync.c kernel/block/fault.c
 * kernel/block/part.c kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/block/gpt_write.c kernel/lib/utf8.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * The NVMe driver, below the real block layer, over a controller that lives in this file: a
 * thread that takes entries from the rings, does them and interrupts, and that lies, fails, falls
 * silent and disappears on demand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/host/nvme/nvme.h"
#include "kernel/block/block_priv.h"
#include "kernel/lib/unaligned.h"
#include "tests/host/fake_driver.h"

#define DISK_SIZE MIB(1)
#define QUEUES    (NVME_QUEUES_MAX + 1u)

struct ring {
	uint64_t sq, cq; /* addresses, 0: not there */
	uint32_t depth, sq_head, sq_tail, cq_tail, phase;
};

static struct {
	uint32_t cc, csts, aqa;
	uint64_t asq, acq;
	struct ring ring[QUEUES];
	uint8_t data[DISK_SIZE];
	/* What is wrong with it. */
	bool aborts, gone, never_ready, silent, bad_cid, bad_sq, other_commands;
	unsigned int fail_count;
	uint16_t status;
	uint8_t lbads;
	unsigned int done[256], resets, aborted;
} ctrl;

static bool stop;
static struct thread *controller;

/* --- registers --- */

uint64_t fake_mmio_read(const void *base, uint32_t off, unsigned int size)
{
	assert_ptr_equal(base, &ctrl);
	if (ctrl.gone)
		return size == 4 ? UINT32_MAX : UINT64_MAX;
	switch (off) {
	case NVME_CAP: /* 64 entries, 1 s, NVM commands, doorbells 4 bytes apart */
		return 63 | 2ull << 24 | (ctrl.other_commands ? 0 : 1ull << 37);
	case NVME_CSTS:
		return ctrl.csts;
	default:
		return 0;
	}
}

static void enable(bool on)
{
	ctrl.csts = on && !ctrl.never_ready ? NVME_CSTS_RDY : 0;
	ctrl.resets += !on;
	memset(ctrl.ring, 0, sizeof(ctrl.ring));
	if (on)
		ctrl.ring[0] = (struct ring){ctrl.asq, ctrl.acq, (ctrl.aqa & 0xfff) + 1, 0, 0, 0, 1};
}

void fake_mmio_write(void *base, uint32_t off, unsigned int size, uint64_t v)
{
	(void)base;
	(void)size;
	if (off >= NVME_DOORBELLS) {
		uint32_t n = (off - NVME_DOORBELLS) / 4;

		assert_true(n / 2 < QUEUES);
		if (n % 2 == 0)
			ctrl.ring[n / 2].sq_tail = (uint32_t)v;
	} else if (off == NVME_CC) {
		enable(v & NVME_CC_EN);
	} else if (off == NVME_AQA) {
		ctrl.aqa = (uint32_t)v;
	} else if (off == NVME_ASQ) {
		ctrl.asq = v;
	} else if (off == NVME_ACQ) {
		ctrl.acq = v;
	}
}

/* --- commands --- */

static void identify(const struct nvme_sqe *e)
{
	uint8_t *p = fake_memory(e->prp1);

	memset(p, 0, 4096);
	if (e->cdw10 == NVME_IDENTIFY_CONTROLLER) {
		memcpy(p + NVME_ID_SERIAL, "SN\x01 7                ", 20);
		memset(p + NVME_ID_MODEL, ' ', 40);
		memcpy(p + NVME_ID_MODEL, "Model controller", 16);
		p[NVME_ID_MDTS] = 5; /* 128 KiB */
		p[NVME_ID_ONCS] = NVME_ONCS_DSM | NVME_ONCS_ZEROES;
		p[NVME_ID_VWC] = 1;
	} else if (e->cdw10 == NVME_IDENTIFY_ACTIVE) {
		store32(p, 1);
		store32(p + 4, 7);
	} else {
		store64(p + NVME_NS_NSZE, DISK_SIZE >> ctrl.lbads);
		p[NVME_NS_LBAF0 + 2] = ctrl.lbads;
		if (e->nsid == 7)
			p[NVME_NS_LBAF0] = 8; /* with metadata: not for us */
	}
}

static void answer(unsigned int id, const struct nvme_sqe *e, uint32_t result, uint16_t status);

/* The oldest command of a queue that is silent ends as aborted (5.1). */
static uint32_t abort_oldest(unsigned int id, uint16_t cid)
{
	struct ring *r = &ctrl.ring[id];
	const struct nvme_sqe *e = (struct nvme_sqe *)fake_memory(r->sq) + r->sq_head;

	if (!ctrl.aborts || r->sq_head == r->sq_tail || e->cid != cid)
		return NVME_ABORT_NOT;
	r->sq_head = r->sq_head + 1 == r->depth ? 0 : r->sq_head + 1;
	answer(id, e, 0, 0x07 << 1);
	ctrl.aborted++;
	fake_irq(id);
	return 0;
}

static uint32_t admin(const struct nvme_sqe *e)
{
	uint32_t id = e->cdw10 & 0xffff;

	switch (e->opcode) {
	case NVME_ADMIN_IDENTIFY:
		identify(e);
		break;
	case NVME_ADMIN_SET_FEATURES:
		return 0x00000001; /* of each kind: two and one more */
	case NVME_ADMIN_ABORT:
		return abort_oldest(id, (uint16_t)(e->cdw10 >> 16));
	case NVME_ADMIN_CREATE_CQ:
		ctrl.ring[id].cq = e->prp1;
		break;
	case NVME_ADMIN_CREATE_SQ:
		ctrl.ring[id] = (struct ring){e->prp1, ctrl.ring[id].cq, (e->cdw10 >> 16) + 1,
					      0, 0, 0, 1};
		break;
	default:
		break;
	}
	return 0;
}

static void transfer(const struct nvme_sqe *e)
{
	uint64_t off = (e->cdw10 | (uint64_t)e->cdw11 << 32) << ctrl.lbads;
	uint64_t left = (uint64_t)((e->cdw12 & 0xffff) + 1) << ctrl.lbads, at = e->prp1;
	const uint64_t *list = fake_memory(e->prp2);
	bool has_list = left > 2 * 4096 - e->prp1 % 4096;

	assert_true(off + left <= DISK_SIZE);
	for (unsigned int n = 0; left > 0; n++) {
		uint64_t here = MIN(left, 4096 - at % 4096);

		if (e->opcode == NVME_READ)
			memcpy(fake_memory(at), ctrl.data + off, here);
		else
			memcpy(ctrl.data + off, fake_memory(at), here);
		off += here;
		left -= here;
		at = has_list ? list[n] : e->prp2;
		assert_true(left == 0 || at % 4096 == 0);
	}
}

static void io(const struct nvme_sqe *e)
{
	const struct nvme_dsm_range *r = fake_memory(e->prp1);
	uint64_t off = (e->cdw10 | (uint64_t)e->cdw11 << 32) << ctrl.lbads;

	ctrl.done[e->opcode]++;
	assert_int_equal(e->nsid, 1);
	if (e->opcode == NVME_READ || e->opcode == NVME_WRITE)
		transfer(e);
	else if (e->opcode == NVME_WRITE_ZEROES)
		memset(ctrl.data + off, 0, (uint64_t)((e->cdw12 & 0xffff) + 1) << ctrl.lbads);
	else if (e->opcode == NVME_DSM)
		memset(ctrl.data + (r->lba << ctrl.lbads), 0xdd, (uint64_t)r->blocks << ctrl.lbads);
}

static void answer(unsigned int id, const struct nvme_sqe *e, uint32_t result, uint16_t status)
{
	struct ring *r = &ctrl.ring[id];
	struct nvme_cqe *c = (struct nvme_cqe *)fake_memory(r->cq) + r->cq_tail;

	*c = (struct nvme_cqe){.result = result, .sq_id = (uint16_t)id, .cid = e->cid,
			       .status = (uint16_t)(status | r->phase)};
	if (id > 0 && ctrl.bad_cid)
		c->cid = 0xfff0;
	if (id > 0 && ctrl.bad_sq)
		c->sq_id = 9;
	if (++r->cq_tail == r->depth) {
		r->cq_tail = 0;
		r->phase ^= 1;
	}
}

static void serve(unsigned int id)
{
	struct ring *r = &ctrl.ring[id];
	bool any = false;

	while (r->sq && r->sq_head != r->sq_tail && !(id > 0 && ctrl.silent)) {
		const struct nvme_sqe e = ((struct nvme_sqe *)fake_memory(r->sq))[r->sq_head];
		uint32_t result = 0;
		uint16_t status = 0;

		r->sq_head = r->sq_head + 1 == r->depth ? 0 : r->sq_head + 1;
		if (id > 0 && ctrl.fail_count > 0) {
			ctrl.fail_count--;
			status = ctrl.status;
		} else if (id == 0) {
			result = admin(&e);
		} else {
			io(&e);
		}
		answer(id, &e, result, status);
		any = true;
	}
	if (any)
		fake_irq(id);
}

static void controller_thread(void *arg)
{
	(void)arg;
	while (!stop) {
		for (unsigned int i = 0; i < QUEUES; i++)
			serve(i);
		fake_now += 1000000;
		thread_yield();
	}
}

/* --- tests --- */

static struct block_dev *dev;

static int setup(void **state)
{
	const struct thread_attr attr = {.cpu = -1};

	(void)state;
	memset(&ctrl, 0, sizeof(ctrl));
	ctrl.lbads = 9;
	fake_regs = &ctrl;
	fake_pci.bar[0].size = 0x4000;
	fake_irq_count = QUEUES;
	stop = false;
	assert_int_equal(block_init(), 0);
	assert_int_equal(thread_create(&controller, "controller", controller_thread, NULL, &attr), 0);
	return 0;
}

static void plug(void)
{
	assert_int_equal(fake_driver()->probe(&fake_pci), 0);
	fake_threads_run();
	dev = block_get("nvme0n1");
	assert_non_null(dev);
}

static int teardown(void **state)
{
	(void)state;
	if (dev) {
		block_put(dev);
		dev = NULL;
		fake_driver()->remove(&fake_pci);
	}
	stop = true;
	thread_join(controller);
	page_free_dirty(block_zeros, 0);
	fake_marker_text[0] = '\0';
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(fake_pages_live, 0);
	return 0;
}

static void test_what_it_is(void **state)
{
	const struct block_limits *l;

	(void)state;
	plug();
	l = block_limits(dev);
	assert_string_equal(block_ident(dev)->model, "Model controller");
	assert_string_equal(block_ident(dev)->serial, "SN? 7");
	assert_int_equal(block_ident(dev)->size, DISK_SIZE);
	assert_int_equal(l->logical, 512);
	assert_int_equal(l->bytes_max, KIB(128));
	assert_int_equal(l->segs_max, 32);
	assert_true(l->fua && l->cache && !l->read_only);
	assert_null(block_get("nvme0n2")); /* metadata */
}

static void test_data(void **state)
{
	uint8_t *mem = aligned_alloc(4096, KIB(512)), *back = aligned_alloc(4096, KIB(512));

	(void)state;
	plug();
	for (unsigned int i = 0; i < KIB(512); i++)
		mem[i] = (uint8_t)(i * 5 + i / 777);
	for (unsigned int shift = 0; shift < 3; shift++) { /* at any offset in a page */
		uint64_t off = shift * 1536, len = KIB(256) + shift * 512;

		assert_int_equal(block_write(dev, 512, mem + off, len, 0), 0);
		assert_memory_equal(ctrl.data + 512, mem + off, len);
		assert_int_equal(block_read(dev, 512, back + off, len), 0);
		assert_memory_equal(back + off, mem + off, len);
	}
	assert_int_equal(block_write(dev, 0, mem, 512, BLOCK_F_FUA), 0);
	assert_int_equal(block_read(dev, 0, back, 4096), 0);
	assert_int_equal(block_read(dev, 0, back, 8192), 0);
	for (unsigned int i = 0; i < 200; i++) { /* round the rings, more than once */
		assert_int_equal(block_read(dev, i * 512, back, 512), 0);
		assert_memory_equal(back, ctrl.data + i * 512, 512);
	}
	assert_int_equal(block_flush(dev), 0);
	assert_int_equal(block_discard(dev, KIB(64), KIB(64)), 0);
	assert_int_equal(ctrl.data[KIB(64)], 0xdd);
	assert_int_equal(ctrl.data[KIB(128) - 1], 0xdd);
	assert_int_equal(ctrl.resets, 1); /* the one before it was switched on */
	free(mem);
	free(back);
}

static void test_errors(void **state)
{
	static uint8_t buf[4096] __attribute__((aligned(4096)));

	(void)state;
	plug();
	ctrl.fail_count = 1;
	ctrl.status = NVME_TYPE_MEDIA << 9 | 0x81 << 1; /* unrecovered read error */
	assert_int_equal(block_read(dev, 0, buf, 512), -RAY_EIO);
	ctrl.fail_count = 1;
	ctrl.status = NVME_STATUS_DNR | 2 << 1;
	assert_int_equal(block_read(dev, 0, buf, 512), -RAY_EIO);
	ctrl.fail_count = 3;
	ctrl.status = 6 << 1; /* internal error, may be retried */
	assert_int_equal(block_read(dev, 0, buf, 512), 0);
	assert_int_equal(ctrl.fail_count, 0);
}

static int read_after(bool *wrong)
{
	static uint8_t buf[4096] __attribute__((aligned(4096)));

	*wrong = true;
	for (int i = 0; i < 3; i++)
		thread_yield();
	return block_read(dev, 0, buf, 512);
}

static void mend_at_reset(void *arg)
{
	unsigned int resets = ctrl.resets;

	(void)arg;
	while (ctrl.resets == resets) {
		fake_time_pass(1);
		thread_yield();
	}
	ctrl.silent = ctrl.bad_cid = ctrl.bad_sq = false;
}

static void mended(bool *wrong)
{
	const struct thread_attr attr = {.cpu = -1};
	unsigned int resets = ctrl.resets;
	struct thread *t;

	/* It mends its ways with the reset. */
	assert_int_equal(thread_create(&t, "mend", mend_at_reset, NULL, &attr), 0);
	assert_int_equal(read_after(wrong), 0);
	thread_join(t);
	assert_true(ctrl.resets > resets);
	assert_int_equal(block_state(dev), BLOCK_LIVE);
}

static void talk_again(void *arg)
{
	(void)arg;
	while (ctrl.aborted == 0) {
		fake_time_pass(1);
		thread_yield();
	}
	ctrl.silent = false;
}

/* A command that is late is aborted and repeated: nobody else notices. */
static void test_aborted(void **state)
{
	const struct thread_attr attr = {.cpu = -1};
	struct block_stats s;
	unsigned int resets;
	struct thread *t;

	(void)state;
	ctrl.aborts = true;
	plug();
	resets = ctrl.resets;
	assert_int_equal(thread_create(&t, "talk", talk_again, NULL, &attr), 0);
	assert_int_equal(read_after(&ctrl.silent), 0);
	thread_join(t);
	block_stats_get(dev, &s);
	assert_int_equal(ctrl.aborted, 1);
	assert_int_equal(s.timeouts, 1);
	assert_int_equal(s.repeats, 1);
	assert_int_equal(ctrl.resets, resets);
}

static void test_silence_and_nonsense(void **state)
{
	struct block_stats s;

	(void)state;
	plug();
	mended(&ctrl.bad_cid);
	mended(&ctrl.bad_sq);
	block_stats_get(dev, &s);
	assert_int_equal(s.timeouts, 0); /* what is nonsense is not waited for */
	mended(&ctrl.silent);
	block_stats_get(dev, &s);
	assert_true(s.timeouts > 0);
}

static void test_pulled(void **state)
{
	static uint8_t buf[512];

	(void)state;
	plug();
	ctrl.gone = ctrl.silent = true;
	block_trouble(dev);
	fake_threads_run();
	assert_int_equal(block_state(dev), BLOCK_FAILED);
	assert_int_equal(block_read(dev, 0, buf, 512), -RAY_EIO);
}

/* Its driver leaves while a request is under way: that ends. */
static void removed(struct block_req *r, int err)
{
	*(int *)r->owner = err;
}

static void test_removed_at_work(void **state)
{
	static uint8_t buf[512];
	const struct block_seg seg = {HPA((uintptr_t)buf), 512};
	int err = 1;
	struct block_req r = {.op = BLOCK_READ, .len = 512, .seg = &seg, .seg_count = 1,
			      .done = removed, .owner = &err};

	(void)state;
	plug();
	ctrl.silent = true;
	block_submit(dev, &r);
	fake_driver()->remove(&fake_pci);
	assert_int_equal(err, -RAY_ENODEV);
	block_put(dev);
	dev = NULL;
}

static void test_never_ready(void **state)
{
	(void)state;
	ctrl.never_ready = true;
	assert_int_equal(fake_driver()->probe(&fake_pci), -RAY_ETIMEDOUT);
	assert_false(fake_master);
}

/* Nothing that was there before the failure is left or freed twice. */
static void test_not_one_of_ours(void **state)
{
	(void)state;
	fake_pci.bar[0].size = 0x800;
	assert_int_equal(fake_driver()->probe(&fake_pci), -RAY_ENODEV);
	fake_pci.bar[0].size = 0;
	assert_int_equal(fake_driver()->probe(&fake_pci), -RAY_ENODEV);
	fake_pci.bar[0].size = 0x4000;
	ctrl.other_commands = true;
	assert_int_equal(fake_driver()->probe(&fake_pci), -RAY_ENOSYS);
	ctrl.other_commands = false;
	fake_irq_count = 1;
	assert_int_equal(fake_driver()->probe(&fake_pci), -RAY_ENOSYS);
}

static void test_odd_blocks(void **state)
{
	(void)state;
	ctrl.lbads = 12;
	plug();
	assert_int_equal(block_limits(dev)->logical, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_aborted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence_and_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pulled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_at_work, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_ready, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_one_of_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_blocks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
