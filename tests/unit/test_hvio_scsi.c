/* UNIT: devices/host/virtio/hvio_pci.c devices/host/virtio/hvio_ring.c
 * devices/host/virtio/hvio_io.c devices/host/virtio/hvio_scsi.c
 * devices/host/virtio/hvio_scsi_io.c devices/host/scsi/scsi.c devices/host/scsi/scsi_find.c
 * kernel/dma/dma.c kernel/block/dev.c kernel/block/queue.c kernel/block/merge.c
 * kernel/block/fit.c kernel/block/worker.c kernel/block/sync.c kernel/block/fault.c
 * kernel/block/part.c kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/block/gpt_write.c kernel/lib/utf8.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * The driver of virtio SCSI hosts, below the real block layer, over a host with two disks that
 * lives in this file: truthful and not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FAKE_QUEUES      4u
#define FAKE_CONFIG_SIZE VSCSI_CFG_SIZE

#include "kernel/block/block_priv.h"
#include "tests/host/fake_hvio.h"
#include "tests/host/fake_scsi.h"

#define DISKS 2u

static struct fake_scsi disks[DISKS];
static const uint8_t targets[DISKS] = {0, 5};
static struct {
	uint8_t answer;           /* response of the next answer_count transfers */
	unsigned int answer_count;
	uint32_t residual;        /* of the next short_count transfers */
	unsigned int short_count;
	int silent_target;        /* its requests get no answer; -1: none */
	uint32_t sense_len;       /* what it says, not 0 */
	unsigned int targets_asked;
} model;

/* --- the host --- */

static size_t collect(const struct hvio_desc *d, unsigned int from, unsigned int to, uint8_t *out)
{
	size_t len = 0;

	for (unsigned int i = from; i < to; i++) {
		assert_true(len + d[i].len <= MIB(1));
		memcpy(out + len, fake_memory(d[i].addr), d[i].len);
		len += d[i].len;
	}
	return len;
}

static void scatter(const struct hvio_desc *d, unsigned int from, unsigned int to,
		    const uint8_t *in)
{
	for (unsigned int i = from; i < to; i++) {
		memcpy(fake_memory(d[i].addr), in, d[i].len);
		in += d[i].len;
	}
}

static struct fake_scsi *disk_at(const struct vscsi_request *r)
{
	assert_int_equal(r->lun[0], 1);
	model.targets_asked = MAX(model.targets_asked, r->lun[1] + 1u);
	for (unsigned int i = 0; i < DISKS; i++) {
		if (targets[i] == r->lun[1] && r->lun[2] == 0x40 && r->lun[3] == 0)
			return &disks[i];
	}
	return NULL;
}

static void disk_do(struct fake_scsi *u, const struct vscsi_request *r, const struct hvio_desc *d,
		    unsigned int n, unsigned int at, struct vscsi_response *out)
{
	static uint8_t data_out[MIB(1)], data_in[MIB(1)];
	struct fake_answer a = {.descriptors = false};
	size_t out_len = collect(d, 1, at, data_out), in_len = 0;

	for (unsigned int i = at + 1; i < n; i++)
		in_len += d[i].len;
	assert_true(in_len <= sizeof(data_in));
	fake_scsi_do(u, r->cdb, data_out, out_len, data_in, in_len, &a);
	scatter(d, at + 1, n, data_in);
	out->status = a.status;
	out->residual = (uint32_t)(in_len - a.got);
	out->sense_len = model.sense_len ? model.sense_len : (uint32_t)a.sense_len;
	memcpy(out->sense, a.sense, sizeof(out->sense));
}

static bool fake_hvio_request(const struct hvio_desc *d, unsigned int n)
{
	const struct vscsi_request *r = fake_memory(d[0].addr);
	struct vscsi_response *out;
	struct fake_scsi *u = disk_at(r);
	unsigned int at = 1;
	bool data = r->cdb[0] == SCSI_READ_10 || r->cdb[0] == SCSI_WRITE_10;

	assert_true(d[0].len == sizeof(*r) && !(d[0].flags & VIRTIO_DESC_WRITE));
	while (!(d[at].flags & VIRTIO_DESC_WRITE))
		assert_true(++at < n);
	assert_int_equal(d[at].len, sizeof(*out));
	if (model.silent_target == r->lun[1])
		return false;
	out = fake_memory(d[at].addr);
	out->response = u ? VSCSI_OK : VSCSI_BAD_TARGET;
	if (u)
		disk_do(u, r, d, n, at, out);
	if (data && model.answer_count > 0) {
		model.answer_count--;
		out->response = model.answer;
	}
	if (data && model.short_count > 0) {
		model.short_count--;
		out->residual = model.residual;
	}
	return true;
}

/* --- tests --- */

static struct block_dev *disk[DISKS];

static int setup(void **state)
{
	(void)state;
	memset(&model, 0, sizeof(model));
	model.silent_target = -1;
	for (unsigned int i = 0; i < DISKS; i++)
		fake_scsi_init(&disks[i]);
	fake_hvio_start(VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | 7u, 128);
	store32(dev_.config + VSCSI_CFG_NUM_QUEUES, FAKE_QUEUES - VSCSI_QUEUE_FIRST);
	store32(dev_.config + VSCSI_CFG_SEG_MAX, 126);
	store32(dev_.config + VSCSI_CFG_MAX_SECTORS, 0xffff);
	store32(dev_.config + VSCSI_CFG_CMD_PER_LUN, 128);
	store16(dev_.config + VSCSI_CFG_MAX_TARGET, 255);
	assert_int_equal(block_init(), 0);
	return 0;
}

static void plug(void)
{
	assert_int_equal(fake_driver()->probe(&fake_pci), 0);
	assert_int_equal(block_settle(), 0);
	disk[0] = block_get("sda");
	disk[1] = block_get("sdb");
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < DISKS; i++) {
		if (disk[i])
			block_put(disk[i]);
		disk[i] = NULL;
	}
	if (fake_pci.priv)
		fake_driver()->remove(&fake_pci);
	fake_pci.priv = NULL;
	stop = true;
	thread_join(device);
	page_free_dirty(block_zeros, 0);
	fake_marker_text[0] = '\0';
	assert_false(fake_master);
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(fake_pages_live, 0);
	return 0;
}

static void test_what_there_is(void **state)
{
	const struct block_limits *l;

	(void)state;
	plug();
	assert_non_null(disk[0]);
	assert_non_null(disk[1]);
	assert_null(block_get("sdc"));
	l = block_limits(disk[1]);
	assert_string_equal(block_ident(disk[1])->serial, "serial 7");
	assert_string_equal(block_ident(disk[1])->driver, "virtio-scsi");
	assert_int_equal(block_ident(disk[1])->size, FAKE_SCSI_SIZE);
	assert_int_equal(l->segs_max, 126);
	assert_int_equal(l->bytes_max, 1000 * 512);
	assert_int_equal(model.targets_asked, 256);
	assert_int_equal(dev_.accepted, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC);
}

static void work(unsigned int which)
{
	static uint8_t mem[KIB(512)] __attribute__((aligned(4096))), back[KIB(512)];
	struct block_dev *d = disk[which];
	struct fake_scsi *u = &disks[which];

	for (unsigned int i = 0; i < sizeof(mem); i++)
		mem[i] = (uint8_t)(i * 11 + i / 300 + which);
	for (unsigned int i = 0; i < 300; i++) {
		uint64_t off = i % 100 * 4096, len = 512 * (1 + i % 17);

		assert_int_equal(block_write(d, off, mem + i, len, i % 5 ? 0 : BLOCK_F_FUA), 0);
		assert_memory_equal(u->data + off, mem + i, len);
		assert_int_equal(block_read(d, off, back, len), 0);
		assert_memory_equal(back, mem + i, len);
	}
	assert_int_equal(block_write(d, 0, mem, sizeof(mem), 0), 0);
	assert_memory_equal(u->data, mem, sizeof(mem));
	assert_int_equal(block_flush(d), 0);
	assert_int_equal(block_discard(d, KIB(64), KIB(900)), 0);
	assert_int_equal(u->data[KIB(64)], 0xdd);
	assert_int_equal(u->data[KIB(964) - 1], 0xdd);
	assert_int_equal(u->data[KIB(964)], 0);
	assert_true(u->done[SCSI_SYNC_10] > 60 && u->done[SCSI_UNMAP] > 1);
}

static void test_data(void **state)
{
	(void)state;
	plug();
	work(0);
	work(1);
}

static void test_without_indirect(void **state)
{
	(void)state;
	dev_.offered &= ~VIRTIO_F_INDIRECT_DESC;
	plug();
	assert_int_equal(block_limits(disk[0])->segs_max, 14);
	work(0);
}

struct op {
	struct block_req r;
	struct block_seg seg;
	bool over;
	int err;
};

static void op_done(struct block_req *r, int err)
{
	struct op *o = r->owner;

	o->over = true;
	o->err = err;
}

static void test_zeros(void **state)
{
	static uint8_t ones[KIB(512)];
	struct op o = {.r = {.op = BLOCK_ZERO, .flags = BLOCK_F_UNMAP, .off = KIB(4),
			     .len = KIB(400), .done = op_done, .owner = &o}};

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	plug();
	assert_int_equal(block_write(disk[0], 0, ones, sizeof(ones), 0), 0);
	block_submit(disk[0], &o.r);
	while (!o.over)
		thread_yield();
	assert_int_equal(o.err, 0);
	assert_int_equal(disks[0].data[KIB(4) - 1], 0xff);
	assert_int_equal(disks[0].data[KIB(404)], 0xff);
	for (unsigned int i = KIB(4); i < KIB(404); i++)
		assert_int_equal(disks[0].data[i], 0);
	assert_int_equal(disks[0].done[SCSI_WRITE_SAME_16], 2);
	assert_int_equal(disks[0].flags[SCSI_WRITE_SAME_16], BIT(3));
}

static void test_errors(void **state)
{
	static uint8_t buf[512];

	(void)state;
	plug();
	disks[0].key = SCSI_MEDIUM_ERROR;
	disks[0].fail_count = 1;
	assert_int_equal(block_read(disk[0], 0, buf, 512), -RAY_EIO);
	assert_int_equal(block_read(disk[0], 0, buf, 512), 0);
	disks[0].key = SCSI_UNIT_ATTENTION;
	disks[0].fail_count = 2;
	assert_int_equal(block_read(disk[0], 0, buf, 512), 0);
	model.sense_len = UINT32_MAX; /* more than there is */
	disks[0].key = SCSI_MEDIUM_ERROR;
	disks[0].fail_count = 1;
	assert_int_equal(block_read(disk[0], 0, buf, 512), -RAY_EIO);
	model.sense_len = 0;
	model.answer = VSCSI_BUSY;
	model.answer_count = 3;
	assert_int_equal(block_read(disk[0], 0, buf, 512), 0);
	for (unsigned int i = 0; i < 4; i++) {
		static const uint8_t final[] = {VSCSI_OVERRUN, VSCSI_BAD_TARGET, 7, 200};

		model.answer = final[i];
		model.answer_count = 1;
		assert_int_equal(block_write(disk[0], 0, buf, 512, 0), -RAY_EIO);
	}
	model.residual = 1;
	model.short_count = 2; /* repeated */
	assert_int_equal(block_read(disk[0], 0, buf, 512), 0);
	model.short_count = 100; /* never all of it */
	assert_int_equal(block_read(disk[0], 0, buf, 512), -RAY_EIO);
	assert_int_equal(dev_.resets, 1);
}

static void mend_at_reset(void *arg)
{
	const unsigned int *resets = arg;

	while (dev_.resets == *resets) {
		fake_time_pass(1);
		thread_yield();
	}
	dev_.silent = dev_.bad_id = dev_.endless = false;
	model.silent_target = -1;
}

static void mended(void)
{
	static uint8_t buf[512];
	const struct thread_attr attr = {.cpu = -1};
	unsigned int resets = dev_.resets;
	struct thread *t;

	assert_int_equal(thread_create(&t, "mend", mend_at_reset, &resets, &attr), 0);
	assert_int_equal(block_read(disk[0], 0, buf, 512), 0);
	thread_join(t);
	fake_threads_run();
	for (unsigned int i = 0; i < DISKS; i++) {
		assert_int_equal(block_state(disk[i]), BLOCK_LIVE);
		work(i);
	}
}

static void test_silence_and_nonsense(void **state)
{
	struct block_stats s;

	(void)state;
	plug();
	dev_.bad_id = true;
	mended();
	block_stats_get(disk[0], &s);
	assert_int_equal(s.timeouts, 0); /* what is nonsense is not waited for */
	dev_.silent = true;
	mended();
	dev_.endless = true;
	mended();
	model.silent_target = 0; /* one of two */
	mended();
}

/* One disk falls silent while the other works: that one's commands are repeated, none fails. */
static void test_another_is_repeated(void **state)
{
	static uint8_t buf[512];
	struct op a = {.r = {.op = BLOCK_READ, .len = 512, .seg = &a.seg, .seg_count = 1,
			     .done = op_done, .owner = &a}, .seg = {va_to_hpa(buf), 512}};

	(void)state;
	plug();
	model.silent_target = 0;
	block_submit(disk[0], &a.r);
	for (unsigned int i = 0; i < 2000 && !a.over; i++) {
		assert_int_equal(block_write(disk[1], 0, buf, 512, 0), 0);
		fake_time_pass(1);
		thread_yield();
	}
	assert_true(a.over);
	assert_int_equal(a.err, -RAY_EIO);
	assert_true(dev_.resets > 2);
	model.silent_target = -1;
	work(1);
	assert_int_equal(block_state(disk[1]), BLOCK_LIVE);
}

/* A target that does not answer while disks are looked for does not hide the ones after it. */
static void test_a_silent_target_is_left_out(void **state)
{
	(void)state;
	model.silent_target = 0;
	plug();
	assert_non_null(disk[0]);
	assert_null(disk[1]);
	assert_int_equal(dev_.resets, 2);
}

static void test_pulled(void **state)
{
	static uint8_t buf[512];

	(void)state;
	plug();
	dev_.gone = dev_.silent = true;
	block_trouble(disk[0]);
	fake_threads_run();
	for (unsigned int i = 0; i < DISKS; i++) {
		assert_int_equal(block_state(disk[i]), BLOCK_FAILED);
		assert_int_equal(block_read(disk[i], 0, buf, 512), -RAY_EIO);
	}
}

/* Boot goes on, however many do not answer. */
static void test_all_targets_silent(void **state)
{
	uint64_t before = fake_now;

	(void)state;
	dev_.silent = true;
	plug();
	assert_null(disk[0]);
	assert_in_range(fake_now - before, 30000000000ull, 40000000000ull);
}

static int probe_with(void (*spoil)(void))
{
	void *state = NULL;
	int err;

	teardown(&state);
	setup(&state);
	spoil();
	err = fake_driver()->probe(&fake_pci);
	if (err)
		fake_pci.priv = NULL;
	return err;
}

static void no_queues(void) { store32(dev_.config + VSCSI_CFG_NUM_QUEUES, 0); }
static void many_queues(void) { store32(dev_.config + VSCSI_CFG_NUM_QUEUES, UINT32_MAX); }
static void no_size(void) { dev_.q_size = 0; }
static void refuses(void) { dev_.refuses = true; }
static void too_small(void)
{
	dev_.offered &= ~VIRTIO_F_INDIRECT_DESC;
	dev_.q_size = 4;
}

static void test_hosts_that_make_no_sense(void **state)
{
	(void)state;
	assert_int_equal(probe_with(no_queues), -RAY_ENODEV);
	assert_int_equal(probe_with(no_size), -RAY_ENOSYS);
	assert_int_equal(probe_with(refuses), -RAY_ENOSYS);
	assert_int_equal(probe_with(many_queues), -RAY_ENOSYS); /* more than it has */
	assert_int_equal(probe_with(too_small), 0);
	assert_int_equal(block_settle(), 0);
	disk[0] = block_get("sda");
	assert_int_equal(block_limits(disk[0])->segs_max, 2);
	work(0);
}

static void test_no_memory(void **state)
{
	unsigned int n = 1;

	(void)state;
	while (fake_probe_starved(n++) != 0)
		;
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_there_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_indirect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zeros, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence_and_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_is_repeated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_silent_target_is_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pulled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_targets_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hosts_that_make_no_sense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
