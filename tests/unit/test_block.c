/* UNIT: kernel/dma/dma.c kernel/block/dev.c kernel/block/queue.c kernel/block/merge.c
 * kernel/block/fit.c kernel/block/worker.c kernel/block/sync.c kernel/block/fault.c
 * kernel/block/part.c kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/block/gpt_write.c kernel/lib/utf8.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The block layer over a disk that is slow, full, picky and broken, beside a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/block/block_priv.h"
#include "kernel/dma/dma.h"
#include "kernel/pci/pci.h"
#include "kernel/block/fit.h"
#include "tests/host/fake_disk.h"

static struct fake_disk disk;
static struct block_dev *dev;
static uint32_t seed = 1;

static uint32_t dice(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* What an IOMMU lets the disk reach, as bytes in all and the ranges they are of. */
#define RANGES 1024u
static struct pci_dev pci = {.refs = 1};
static struct {
	uint64_t hpa, len;
	enum dma_dir dir;
} ranges[RANGES];
static unsigned int range_count, maps_left = UINT32_MAX;

static int reach(void *domain, uint64_t hpa, uint64_t len, enum dma_dir dir)
{
	assert_ptr_equal(domain, &pci);
	assert_true(range_count < RANGES);
	if (maps_left == 0)
		return -RAY_ENOMEM;
	maps_left--;
	ranges[range_count].hpa = hpa;
	ranges[range_count].len = len;
	ranges[range_count++].dir = dir;
	return 0;
}

static void reach_no_more(void *domain, uint64_t hpa, uint64_t len)
{
	unsigned int i = 0;

	assert_ptr_equal(domain, &pci);
	while (i < range_count && (ranges[i].hpa != hpa || ranges[i].len != len))
		i++;
	assert_true(i < range_count);
	ranges[i] = ranges[--range_count];
}

static const struct dma_ops dma_ops = {.map = reach, .unmap = reach_no_more};

static void confine(bool on)
{
	dma_ops_set(&dma_ops);
	pci.dma = on ? &pci : NULL;
	maps_left = UINT32_MAX;
}

static void publish(const struct block_limits *limits)
{
	struct block_init init = fake_disk_init(&disk, limits);

	init.pci = &pci;
	disk.at_once = true; /* the scan for partitions */
	assert_int_equal(block_publish(&init, &dev), 0);
	fake_threads_run();
	disk.at_once = false;
	assert_int_equal(disk.count, 0);
}

static void unpublish(void)
{
	block_unpublish(dev);
	assert_true(disk.gone);
	free(disk.data);
	fake_marker_text[0] = '\0';
}

static int setup(void **state)
{
	(void)state;
	seed = 1;
	assert_int_equal(block_init(), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	page_free_dirty(block_zeros, 0);
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(fake_pages_live, 0);
	assert_null(fake_timer());
	assert_int_equal(range_count, 0);
	confine(false);
	return 0;
}

/* --- requests --- */

#define REQS 64u

struct probe {
	struct block_req r;
	struct block_seg seg[40];
	int err;
	unsigned int done;
	uint8_t *mem;
};
static struct probe probes[REQS];

static void probe_done(struct block_req *r, int err)
{
	struct probe *p = r->owner;

	p->done++;
	p->err = err;
}

/* Memory of @len bytes in pieces as ugly as @ugly asks for. */
static void pieces(struct probe *p, uint64_t len, bool ugly)
{
	uint64_t at = ugly ? dice(64) * 4 + dice(2) * dice(4) : 0;

	p->mem = aligned_alloc(4096, ALIGN_UP(len + MIB(1), 4096));
	p->r.seg = p->seg;
	p->r.seg_count = 0;
	while (len > 0) {
		uint64_t n = ugly ? 1 + dice((uint32_t)MIN(len, KIB(96))) : len;

		if (ugly && dice(2))
			n = MIN(len, ALIGN_UP(n, 512));
		if (p->r.seg_count == ARRAY_SIZE(p->seg) - 1)
			n = len;
		n = MIN(n, len);
		p->seg[p->r.seg_count++] = (struct block_seg){HPA((uintptr_t)p->mem + at),
							      (uint32_t)n};
		at += n;
		if (ugly && dice(3) == 0)
			at = ALIGN_UP(at, 4096); /* a gap, or the next page */
		len -= n;
	}
}

static void fill(struct probe *p, uint8_t byte)
{
	for (uint32_t i = 0; i < p->r.seg_count; i++) {
		for (uint32_t k = 0; k < p->seg[i].len; k++)
			((uint8_t *)hpa_to_va(p->seg[i].addr))[k] = (uint8_t)(byte + i * 7 + k * 3);
	}
}

/* The pieces' bytes in one. */
static void gather(const struct probe *p, uint8_t *out)
{
	for (uint32_t i = 0; i < p->r.seg_count; i++) {
		memcpy(out, hpa_to_va(p->seg[i].addr), p->seg[i].len);
		out += p->seg[i].len;
	}
}

static void prepare(struct probe *p, enum block_op op, uint64_t off, uint64_t len, uint32_t flags,
		    bool ugly)
{
	memset(p, 0, sizeof(*p));
	p->r = (struct block_req){.op = op, .off = off, .len = len, .flags = flags,
				  .done = probe_done, .owner = p};
	if (op == BLOCK_READ || op == BLOCK_WRITE)
		pieces(p, len, ugly);
}

static void release(struct probe *p)
{
	free(p->mem);
	p->mem = NULL;
}

/* --- tests --- */

static void test_limits(void **state)
{
#define REFUSED(field, value, what) do {                                                           \
		struct block_limits l_ = fake_limits;                                              \
		l_.field = (value);                                                                \
		assert_string_equal(block_limits_wrong(&l_), (what));                              \
	} while (0)

	(void)state;
	assert_null(block_limits_wrong(&fake_limits));
	REFUSED(logical, 500, "logical block size");
	REFUSED(physical, 256, "physical block size");
	REFUSED(bytes_max, 1000, "bytes of a command");
	REFUSED(segs_max, 0, "pieces of a command");
	REFUSED(seg_align, 5, "alignment of a piece");
	REFUSED(page, 8192, "page size");
	REFUSED(zero_max, 1, "granule");
}

static struct block_limits random_limits(void)
{
	struct block_limits l = fake_limits;

	l.logical = dice(3) ? 512 : 4096;
	l.physical = 4096;
	l.bytes_max = KIB(4) << dice(6);
	l.segs_max = 1 + dice(20);
	l.seg_len_max = dice(2) ? 0 : KIB(4) << dice(4);
	l.seg_align = (1u << dice(6)) - 1;
	l.page = dice(2) ? 4096 : 0;
	l.dma_max = dice(5) ? UINT64_MAX : 0;
	l.fua = dice(2);
	l.cache = dice(4) != 0;
	l.zero_max = dice(2) ? 0 : KIB(64);
	l.discard_max = dice(2) ? 0 : KIB(64);
	return l;
}

/* Requests that do not overlap, all at once, ended in any order: the disk is what it should be. */
static void round_of_requests(uint8_t *model, uint32_t logical)
{
	unsigned int n = 1 + dice(REQS);
	uint64_t slot = FAKE_DISK_SIZE / REQS;
	static uint8_t buf[FAKE_DISK_SIZE / REQS];

	for (unsigned int i = 0; i < n; i++) {
		enum block_op op = (enum block_op)(dice(5));
		uint64_t len = logical * (1 + dice((uint32_t)(slot / logical)));
		uint64_t off = i * slot + logical * dice((uint32_t)((slot - len) / logical + 1));

		op = op == BLOCK_DISCARD ? BLOCK_WRITE : op;
		prepare(&probes[i], op, off, op == BLOCK_FLUSH ? 0 : len,
			dice(2) ? BLOCK_F_FUA : 0, dice(3) != 0);
		if (op == BLOCK_WRITE) {
			fill(&probes[i], (uint8_t)dice(256));
			gather(&probes[i], model + off);
		} else if (op == BLOCK_ZERO) {
			memset(model + off, 0, len);
		}
		disk.room = 1 + dice(8);
		block_submit(dev, &probes[i].r);
		while (disk.count > 0 && dice(3) == 0)
			fake_disk_end(&disk, dice(disk.count));
	}
	while (disk.count > 0) {
		disk.room = 1 + dice(8);
		fake_disk_end(&disk, dice(disk.count));
	}
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(probes[i].done, 1);
		assert_int_equal(probes[i].err, 0);
		if (probes[i].r.op == BLOCK_READ) {
			gather(&probes[i], buf);
			assert_memory_equal(buf, model + probes[i].r.off, probes[i].r.len);
		}
		release(&probes[i]);
	}
	assert_memory_equal(model, disk.data, FAKE_DISK_SIZE);
}

static void test_model(void **state)
{
	uint8_t *model = malloc(FAKE_DISK_SIZE);
	struct block_stats s;

	(void)state;
	for (unsigned int i = 0; i < 60; i++) {
		struct block_limits l = random_limits();

		confine(i % 2);
		publish(&l);
		memset(model, 0, FAKE_DISK_SIZE);
		for (unsigned int k = 0; k < 6; k++)
			round_of_requests(model, l.logical);
		block_stats_get(dev, &s);
		assert_int_equal(s.in_flight, 0);
		assert_int_equal(s.errors, 0);
		unpublish();
	}
	free(model);
}

/* The disk reaches a command's memory while it has it, and only so. */
static void test_confined(void **state)
{
	struct block_limits l = fake_limits;

	(void)state;
	confine(true);
	publish(&l);
	assert_int_equal(range_count, 0);
	prepare(&probes[0], BLOCK_READ, 0, KIB(64), 0, false);
	block_submit(dev, &probes[0].r);
	assert_int_equal(range_count, disk.cmd[0]->seg_count);
	for (unsigned int i = 0; i < range_count; i++) {
		assert_int_equal(ranges[i].hpa, disk.cmd[0]->seg[i].addr.v);
		assert_int_equal(ranges[i].len, disk.cmd[0]->seg[i].len);
		assert_int_equal(ranges[i].dir, DMA_FROM_DEVICE);
	}
	fake_disk_end(&disk, 0);
	assert_int_equal(range_count, 0);
	release(&probes[0]);
	/* A disk without room reaches nothing meanwhile, nor does one whose memory cannot be mapped. */
	disk.room = 0;
	prepare(&probes[0], BLOCK_WRITE, 0, KIB(4), 0, false);
	block_submit(dev, &probes[0].r);
	assert_int_equal(range_count, 0);
	disk.room = 8;
	maps_left = 0;
	block_room(dev);
	assert_int_equal(disk.count + range_count, 0);
	maps_left = UINT32_MAX;
	block_room(dev);
	assert_int_equal(disk.count, 1);
	assert_int_equal(ranges[0].dir, DMA_TO_DEVICE);
	fake_disk_end(&disk, 0);
	assert_int_equal(probes[0].done, 1);
	release(&probes[0]);
	unpublish();
}

/* What fits is given as it is, without a copy. */
static void test_fits(void **state)
{
	(void)state;
	publish(&fake_limits);
	prepare(&probes[0], BLOCK_READ, 0, KIB(64), 0, false);
	block_submit(dev, &probes[0].r);
	assert_int_equal(disk.count, 1);
	assert_ptr_equal(disk.cmd[0]->seg, probes[0].seg);
	fake_disk_end(&disk, 0);
	assert_int_equal(probes[0].done, 1);
	release(&probes[0]);
	unpublish();
}

/* --- requests that become one command --- */

static void submit_4k(unsigned int i, enum block_op op, uint64_t block, uint32_t flags)
{
	prepare(&probes[i], op, block * KIB(4), KIB(4), flags, false);
	if (op == BLOCK_WRITE)
		fill(&probes[i], (uint8_t)(block * 11 + 1));
	block_submit(dev, &probes[i].r);
}

static void release_all(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(probes[i].done, 1);
		release(&probes[i]);
	}
}

static void end_all(void)
{
	while (disk.count > 0)
		fake_disk_end(&disk, 0);
}

/* The disk has one command and takes no more; six that continue each other wait behind. */
static void six_wait(enum block_op op)
{
	disk.room = 1;
	submit_4k(0, BLOCK_READ, 90, 0);
	submit_4k(1, BLOCK_READ, 80, 0);
	for (unsigned int i = 2; i < 8; i++)
		submit_4k(i, op, i, 0);
}

/* The disk takes one at a time: what waits behind that and continues is one. */
static void test_merged(void **state)
{
	struct block_stats s;

	(void)state;
	confine(true);
	publish(&fake_limits);
	six_wait(BLOCK_WRITE);
	submit_4k(8, BLOCK_WRITE, 8, BLOCK_F_FUA); /* to be kept: by itself */
	submit_4k(9, BLOCK_WRITE, 9, 0);
	submit_4k(10, BLOCK_READ, 10, 0);
	submit_4k(11, BLOCK_READ, 12, 0); /* a gap */
	fake_disk_end(&disk, 0);
	fake_disk_end(&disk, 0);
	assert_int_equal(disk.count, 1);
	assert_int_equal(disk.cmd[0]->off, KIB(8));
	assert_int_equal(disk.cmd[0]->len, KIB(24));
	assert_int_equal(disk.cmd[0]->seg_count, 6);
	assert_int_equal(range_count, 6);
	assert_int_equal(probes[2].done, 0);
	fake_disk_end(&disk, 0);
	for (unsigned int i = 2; i < 8; i++) {
		assert_int_equal(probes[i].done, 1);
		assert_int_equal(probes[i].err, 0);
		assert_memory_equal(disk.data + i * KIB(4), probes[i].mem, KIB(4));
	}
	end_all();
	block_stats_get(dev, &s);
	assert_int_equal(s.merged, 5);
	assert_int_equal(s.ops[BLOCK_WRITE], 8);
	assert_int_equal(s.bytes[BLOCK_WRITE], KIB(32));
	assert_int_equal(s.in_flight, 0);
	release_all(12);
	unpublish();
}

/* What fails together is tried by itself: the sector that is bad is one request's. */
static void test_merged_and_failed(void **state)
{
	const struct block_fault bad = {.kind = BLOCK_FAULT_ERROR, .ops = BIT(BLOCK_READ),
					.off = KIB(20), .len = 512, .left = BLOCK_FAULT_ALWAYS};

	(void)state;
	publish(&fake_limits);
	six_wait(BLOCK_READ);
	assert_int_equal(block_fault_add(dev, &bad), 0);
	for (unsigned int i = 0; i < 20; i++) {
		end_all();
		fake_threads_run();
	}
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(probes[i].err, i == 5 ? -RAY_EIO : 0);
	release_all(8);
	block_fault_clear(dev);
	unpublish();
}

/* The disk leaves while some of them wait for it. */
static void test_merged_and_gone(void **state)
{
	(void)state;
	publish(&fake_limits);
	six_wait(BLOCK_WRITE);
	fake_disk_end(&disk, 0); /* the second has it now, and they wait as one command */
	disk.room = 0;
	disk.fail = -RAY_ENODEV;
	disk.fail_count = 1;
	fake_disk_end(&disk, 0);
	block_queue_kill(dev->queue, -RAY_ENODEV);
	assert_int_equal(disk.count, 0);
	for (unsigned int i = 2; i < 8; i++)
		assert_int_equal(probes[i].err, -RAY_ENODEV);
	release_all(8);
	unpublish();
}

/* Runs of blocks, in any order of ends, with commands that fail now and then. */
static void test_merged_at_random(void **state)
{
	uint8_t *model = malloc(FAKE_DISK_SIZE);
	struct block_stats s;

	(void)state;
	publish(&fake_limits);
	memset(model, 0, FAKE_DISK_SIZE);
	for (unsigned int turn = 0; turn < 200; turn++) {
		uint64_t block = dice(16);

		for (unsigned int i = 0; i < REQS; i++, block += 1 + !dice(8)) {
			submit_4k(i, dice(3) ? BLOCK_WRITE : BLOCK_READ, block,
				  dice(20) ? 0 : BLOCK_F_FUA);
			if (probes[i].r.op == BLOCK_WRITE)
				gather(&probes[i], model + block * KIB(4));
			disk.room = 1 + dice(2);
			if (disk.count > 0 && dice(10) == 0)
				fake_disk_end(&disk, dice(disk.count));
		}
		disk.fail = dice(2) ? -RAY_EAGAIN : 0;
		disk.fail_count = 1;
		while (disk.count > 0)
			fake_disk_end(&disk, dice(disk.count));
		for (unsigned int i = 0; i < REQS; i++)
			assert_int_equal(probes[i].err, 0);
		release_all(REQS);
		assert_memory_equal(model, disk.data, FAKE_DISK_SIZE);
	}
	block_stats_get(dev, &s);
	assert_true(s.merged > 1000);
	unpublish();
	free(model);
}

/* Without FUA in the device a flush follows, and only then is it done. */
static void test_fua(void **state)
{
	struct block_limits l = fake_limits;

	(void)state;
	l.fua = false;
	publish(&l);
	prepare(&probes[0], BLOCK_WRITE, 0, KIB(512), BLOCK_F_FUA, false);
	block_submit(dev, &probes[0].r);
	while (disk.seen[BLOCK_WRITE] < 4)
		fake_disk_end(&disk, 0);
	assert_int_equal(probes[0].done, 0);
	assert_int_equal(disk.count, 1);
	assert_int_equal(disk.cmd[0]->op, BLOCK_FLUSH);
	fake_disk_end(&disk, 0);
	assert_int_equal(probes[0].done, 1);
	release(&probes[0]);
	/* Nor without a cache is there anything to flush. */
	unpublish();
	l.cache = false;
	publish(&l);
	prepare(&probes[0], BLOCK_WRITE, 0, KIB(4), BLOCK_F_FUA, false);
	block_submit(dev, &probes[0].r);
	fake_disk_end(&disk, 0);
	assert_int_equal(probes[0].done, 1);
	release(&probes[0]);
	prepare(&probes[0], BLOCK_FLUSH, 0, 0, 0, false);
	block_submit(dev, &probes[0].r);
	assert_int_equal(probes[0].done, 1);
	assert_int_equal(disk.seen[BLOCK_FLUSH], 0);
	unpublish();
}

static int error_of(enum block_op op, uint64_t off, uint64_t len)
{
	prepare(&probes[0], op, off, len, 0, false);
	block_submit(dev, &probes[0].r);
	while (disk.count > 0)
		fake_disk_end(&disk, 0);
	release(&probes[0]);
	assert_int_equal(probes[0].done, 1);
	return probes[0].err;
}

static void test_errors(void **state)
{
	struct block_stats s;

	(void)state;
	publish(&fake_limits);
	assert_int_equal(error_of(BLOCK_READ, 100, 512), -RAY_ERANGE);
	assert_int_equal(error_of(BLOCK_READ, 0, 100), -RAY_ERANGE);
	assert_int_equal(error_of(BLOCK_READ, FAKE_DISK_SIZE, 512), -RAY_ERANGE);
	assert_int_equal(error_of(BLOCK_READ, UINT64_MAX - 511, 512), -RAY_ERANGE);
	assert_int_equal(error_of(BLOCK_DISCARD, 0, FAKE_DISK_SIZE + 512), -RAY_ERANGE);
	disk.fail = -RAY_EIO;
	disk.fail_count = 1;
	assert_int_equal(error_of(BLOCK_WRITE, 0, KIB(512)), -RAY_EIO);
	disk.fail_count = 0;
	disk.fail = -RAY_EAGAIN;
	disk.fail_count = 4;
	assert_int_equal(error_of(BLOCK_WRITE, 0, 512), 0);
	disk.fail_count = 5;
	assert_int_equal(error_of(BLOCK_WRITE, 0, 512), -RAY_EIO);
	disk.fail_count = 0;
	block_stats_get(dev, &s);
	assert_int_equal(s.repeats, 8);
	assert_int_equal(s.errors, 7);
	unpublish();
	assert_int_equal(block_limits_wrong(&fake_limits) == NULL, 1);
}

static void test_deadline(void **state)
{
	struct block_stats s;

	(void)state;
	publish(&fake_limits);
	prepare(&probes[0], BLOCK_WRITE, 0, 512, 0, false);
	block_submit(dev, &probes[0].r);
	fake_time_pass(29);
	fake_threads_run();
	assert_int_equal(disk.recovered, 0);
	fake_time_pass(2);
	fake_threads_run();
	assert_int_equal(disk.recovered, 1);
	assert_int_equal(disk.count, 1); /* given again */
	fake_disk_end(&disk, 0);
	assert_int_equal(probes[0].err, 0);
	assert_int_equal(probes[0].done, 1);
	block_stats_get(dev, &s);
	assert_true(s.timeouts >= 1);
	release(&probes[0]);
	unpublish();
}

/* Nothing is under way, and yet it has no room: that is no answer for ever. */
static void test_never_room(void **state)
{
	(void)state;
	publish(&fake_limits);
	disk.room = 0;
	prepare(&probes[0], BLOCK_WRITE, 0, 512, 0, false);
	block_submit(dev, &probes[0].r);
	fake_time_pass(29);
	fake_threads_run();
	assert_int_equal(disk.recovered, 0);
	fake_time_pass(2);
	fake_threads_run();
	assert_int_equal(disk.recovered, 1);
	fake_time_pass(29);
	fake_threads_run();
	assert_int_equal(disk.recovered, 1); /* it has begun anew */
	disk.recover_result = -RAY_EIO;
	fake_time_pass(3);
	fake_threads_run();
	assert_int_equal(block_state(dev), BLOCK_FAILED);
	assert_int_equal(probes[0].err, -RAY_EIO);
	release(&probes[0]);
	unpublish();
}

static void test_given_up(void **state)
{
	(void)state;
	publish(&fake_limits);
	disk.room = 2;
	for (unsigned int i = 0; i < 20; i++) {
		prepare(&probes[i], BLOCK_WRITE, i * KIB(64), KIB(64), 0, false);
		block_submit(dev, &probes[i].r);
	}
	disk.recover_result = -RAY_EIO;
	block_trouble(dev);
	fake_threads_run();
	assert_int_equal(block_state(dev), BLOCK_FAILED);
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(probes[i].done, 1);
		assert_int_equal(probes[i].err, -RAY_EIO);
		release(&probes[i]);
	}
	assert_int_equal(error_of(BLOCK_READ, 0, 512), -RAY_EIO);
	unpublish();
}

static void test_pulled(void **state)
{
	struct block_dev *mine;

	(void)state;
	publish(&fake_limits);
	mine = block_get("fake1");
	assert_ptr_equal(mine, dev);
	disk.room = 2;
	for (unsigned int i = 0; i < 10; i++) {
		prepare(&probes[i], BLOCK_READ, i * KIB(256), KIB(256), 0, false);
		block_submit(dev, &probes[i].r);
	}
	while (disk.count > 0) {
		struct block_cmd *c = disk.cmd[--disk.count];

		disk.room = 0;
		block_cmd_done(c, -RAY_EIO);
	}
	block_unpublish(dev);
	assert_null(block_get("fake1"));
	for (unsigned int i = 0; i < 10; i++) {
		assert_int_equal(probes[i].done, 1);
		assert_true(probes[i].err == -RAY_ENODEV || probes[i].err == -RAY_EIO);
		release(&probes[i]);
	}
	assert_false(disk.gone);
	assert_int_equal(error_of(BLOCK_READ, 0, 512), -RAY_ENODEV);
	block_put(mine);
	assert_true(disk.gone);
	free(disk.data);
	fake_marker_text[0] = '\0';
}

static void test_health(void **state)
{
	struct block_health h;

	(void)state;
	publish(&fake_limits);
	assert_int_equal(block_health_get(dev, &h), -RAY_ENOSYS);
	unpublish();
}

/* Whoever waits does so as a thread. */
static void test_sync(void **state)
{
	uint8_t *buf = aligned_alloc(4096, KIB(256));

	(void)state;
	publish(&fake_limits);
	disk.at_once = true;
	memset(buf, 0x5a, KIB(256));
	assert_int_equal(block_write(dev, KIB(4), buf, KIB(256), BLOCK_F_FUA), 0);
	memset(buf, 0, KIB(256));
	assert_int_equal(block_read(dev, KIB(4), buf, KIB(256)), 0);
	for (unsigned int i = 0; i < KIB(256); i++)
		assert_int_equal(buf[i], 0x5a);
	assert_int_equal(block_flush(dev), 0);
	assert_int_equal(block_discard(dev, 0, MIB(2)), 0);
	assert_int_equal(disk.seen[BLOCK_DISCARD], 2);
	free(buf);
	unpublish();
}

static void test_names(void **state)
{
	struct fake_disk disks[12];
	struct block_dev *devs[12], *d = NULL;
	char names[256] = "";

	(void)state;
	for (unsigned int i = 0; i < 12; i++) {
		struct block_init init = fake_disk_init(&disks[i], &fake_limits);

		disks[i].at_once = true;
		assert_int_equal(block_publish(&init, &devs[i]), 0);
		fake_threads_run();
	}
	while ((d = block_next(d)) != NULL) {
		strcat(names, block_ident(d)->name);
		strcat(names, " ");
	}
	assert_string_equal(names, "fake1 fake2 fake3 fake4 fake5 fake6 fake7 fake8 fake9 fake10 "
				   "fake11 fake12 ");
	assert_int_equal(block_claim(devs[0], "store"), 0);
	assert_int_equal(block_claim(devs[0], "guest"), -RAY_EBUSY);
	assert_string_equal(block_owner(devs[0]), "store");
	block_release(devs[0]);
	assert_int_equal(block_claim(devs[0], "guest"), 0);
	block_release(devs[0]);
	for (unsigned int i = 0; i < 12; i++) {
		block_unpublish(devs[i]);
		assert_true(disks[i].gone);
		free(disks[i].data);
	}
	fake_marker_text[0] = '\0';
	assert_true(block_name_order("sda2", "sda10") < 0);
	assert_true(block_name_order("sda", "sda1") < 0);
	assert_true(block_name_order("sdb", "sda10") > 0);
	assert_int_equal(block_name_order("nvme0n1p2", "nvme0n1p2"), 0);
}

/* Whoever names a partition at boot finds it: the boot waits, but not for ever. */
static void minutes_pass(void *arg)
{
	(void)arg;
	fake_now += 60000000000ull;
}

static void test_settle(void **state)
{
	static const struct thread_attr attr = {.cpu = -1};
	struct block_init init = fake_disk_init(&disk, &fake_limits);
	struct thread *clock;

	(void)state;
	assert_int_equal(block_settle(), 0);
	disk.at_once = true;
	assert_int_equal(block_publish(&init, &dev), 0);
	assert_int_equal(disk.seen[BLOCK_READ], 0);
	assert_int_equal(block_settle(), 0);
	assert_true(disk.seen[BLOCK_READ] > 0);
	unpublish();

	init = fake_disk_init(&disk, &fake_limits);
	assert_int_equal(block_publish(&init, &dev), 0);
	fake_threads_run();
	assert_int_equal(disk.count, 1); /* it does not answer */
	assert_int_equal(thread_create(&clock, "clock", minutes_pass, NULL, &attr), 0);
	assert_int_equal(block_settle(), -RAY_ETIMEDOUT);
	thread_join(clock);
	disk.at_once = true;
	fake_disk_end(&disk, 0);
	assert_int_equal(block_settle(), 0);
	unpublish();

	/* One that leaves before its partitions were looked at is not waited for. */
	init = fake_disk_init(&disk, &fake_limits);
	assert_int_equal(block_publish(&init, &dev), 0);
	unpublish();
	assert_int_equal(block_settle(), 0);
}

/* A disk that falls silent while its partitions are read is mended like at any other time. */
static void mended(void *arg)
{
	(void)arg;
	while (disk.seen[BLOCK_READ] == 0) {
		fake_time_pass(1);
		disk.at_once = disk.recovered > 0;
		thread_yield();
	}
}

static void test_silent_at_the_scan(void **state)
{
	static const struct thread_attr attr = {.cpu = -1};
	struct block_init init = fake_disk_init(&disk, &fake_limits);
	struct thread *t;

	(void)state;
	assert_int_equal(block_publish(&init, &dev), 0);
	fake_threads_run();
	assert_int_equal(disk.count, 1);
	assert_int_equal(thread_create(&t, "mended", mended, NULL, &attr), 0);
	while (disk.seen[BLOCK_READ] == 0)
		thread_yield();
	thread_join(t);
	assert_int_equal(block_settle(), 0);
	assert_int_equal(block_state(dev), BLOCK_LIVE);
	unpublish();
	/* And one that is taken away meanwhile. */
	init = fake_disk_init(&disk, &fake_limits);
	assert_int_equal(block_publish(&init, &dev), 0);
	fake_threads_run();
	assert_int_equal(disk.count, 1);
	disk.room = 0; /* what its driver gives back is not taken again */
	disk.count = 0;
	block_cmd_done(disk.cmd[0], -RAY_EAGAIN);
	unpublish();
}

static void test_no_memory(void **state)
{
	unsigned int n = 1;
	int err;

	(void)state;
	do {
		struct block_init init = fake_disk_init(&disk, &fake_limits);
		long live = fake_heap_live;
		int pages = fake_pages_live;

		disk.at_once = true;
		fake_heap_fail_at = n++;
		err = block_publish(&init, &dev);
		if (err) {
			assert_int_equal(err, -RAY_ENOMEM);
			assert_int_equal(fake_heap_live, live);
			assert_int_equal(fake_pages_live, pages);
			assert_null(block_get("fake1"));
			free(disk.data);
		}
	} while (err);
	assert_true(n > 15);
	fake_heap_fail_at = 0;
	fake_threads_run();
	unpublish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_confined, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merged_and_failed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merged_and_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merged_at_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fua, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pulled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_health, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sync, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_settle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silent_at_the_scan, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
