/* UNIT: devices/host/virtio/hvio_pci.c devices/host/virtio/hvio_ring.c
 * devices/host/virtio/hvio_io.c devices/host/virtio/hvio_blk.c kernel/dma/dma.c
 * kernel/block/dev.c kernel/block/queue.c kernel/block/merge.c kernel/block/fit.c
 * kernel/block/worker.c kernel/block/sync.c kernel/block/fault.c kernel/block/part.c
 * kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c kernel/lib/fmt.c
 * kernel/lib/sink.c kernel/block/gpt_write.c kernel/lib/utf8.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * The driver of virtio disks, below the real block layer, over a device that lives in this file:
 * with and without indirect descriptors, truthful and not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define FAKE_QUEUES      2u
#define FAKE_CONFIG_SIZE VBLK_CFG_SIZE

#include "kernel/block/block_priv.h"
#include "tests/host/fake_hvio.h"

#define DISK_SIZE MIB(1)

static struct {
	uint8_t data[DISK_SIZE];
	unsigned int fail_count; /* requests that are to fail */
	unsigned int done[16];
} model;

static uint8_t move(const struct hvio_desc *d, unsigned int n, uint64_t off, bool read)
{
	for (unsigned int i = 0; i < n; i++) {
		if (off + d[i].len > DISK_SIZE)
			return VIRTIO_BLK_S_IOERR;
		assert_int_equal((d[i].flags & VIRTIO_DESC_WRITE) != 0, read);
		if (read)
			memcpy(fake_memory(d[i].addr), model.data + off, d[i].len);
		else
			memcpy(model.data + off, fake_memory(d[i].addr), d[i].len);
		off += d[i].len;
	}
	return VIRTIO_BLK_S_OK;
}

static uint8_t request(const struct hvio_desc *d, unsigned int n)
{
	const struct vblk_header *h = fake_memory(d[0].addr);
	const struct vblk_range *r = fake_memory(d[1].addr);

	assert_true(n >= 2 && d[0].len == 16 && !(d[0].flags & VIRTIO_DESC_WRITE));
	model.done[h->type]++;
	if (model.fail_count > 0) {
		model.fail_count--;
		return VIRTIO_BLK_S_IOERR;
	}
	switch (h->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		return move(d + 1, n - 2, h->sector * 512, h->type == VIRTIO_BLK_T_IN);
	case VIRTIO_BLK_T_FLUSH:
		assert_int_equal(n, 2);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		assert_true(n == 3 && d[1].len == VBLK_ID_LEN);
		memcpy(fake_memory(d[1].addr), "serial 42\0\0\0\0\0\0\0\0\0\0\0", VBLK_ID_LEN);
		return VIRTIO_BLK_S_OK;
	default:
		assert_true(n == 3 && d[1].len == 16);
		memset(model.data + r->sector * 512, h->type == VIRTIO_BLK_T_DISCARD ? 0xdd : 0,
		       r->sectors * 512ull);
		return VIRTIO_BLK_S_OK;
	}
}

static bool fake_hvio_request(const struct hvio_desc *d, unsigned int n)
{
	assert_true(d[n - 1].len == 1 && (d[n - 1].flags & VIRTIO_DESC_WRITE));
	*(uint8_t *)fake_memory(d[n - 1].addr) = request(d, n);
	return true;
}

/* --- tests --- */

static struct block_dev *disk;

static int setup(void **state)
{
	(void)state;
	memset(&model, 0, sizeof(model));
	fake_hvio_start(VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
				VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH |
				VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_MQ | VIRTIO_BLK_F_DISCARD |
				VIRTIO_BLK_F_WRITE_ZEROES | VIRTIO_BLK_F_CONFIG_WCE,
			128);
	store64(dev_.config + VBLK_CFG_CAPACITY, DISK_SIZE / 512);
	store32(dev_.config + VBLK_CFG_SEG_MAX, 126);
	store32(dev_.config + VBLK_CFG_BLK_SIZE, 512);
	dev_.config[VBLK_CFG_TOPOLOGY] = 3;
	store16(dev_.config + VBLK_CFG_NUM_QUEUES, FAKE_QUEUES);
	store32(dev_.config + VBLK_CFG_MAX_DISCARD, 1000);
	store32(dev_.config + VBLK_CFG_DISCARD_ALIGN, 8);
	store32(dev_.config + VBLK_CFG_MAX_ZEROES, 0xffffffff);
	assert_int_equal(block_init(), 0);
	return 0;
}

static void plug(void)
{
	assert_int_equal(fake_driver()->probe(&fake_pci), 0);
	assert_int_equal(block_settle(), 0);
	disk = block_get("vda");
	assert_non_null(disk);
}

static int teardown(void **state)
{
	(void)state;
	if (disk) {
		block_put(disk);
		disk = NULL;
		fake_driver()->remove(&fake_pci);
	}
	stop = true;
	thread_join(device);
	page_free_dirty(block_zeros, 0);
	fake_marker_text[0] = '\0';
	assert_false(fake_master);
	assert_int_equal(fake_heap_live, 0);
	assert_int_equal(fake_pages_live, 0);
	return 0;
}

static void test_what_it_is(void **state)
{
	const struct block_limits *l;

	(void)state;
	plug();
	l = block_limits(disk);
	assert_string_equal(block_ident(disk)->serial, "serial 42");
	assert_int_equal(block_ident(disk)->size, DISK_SIZE);
	assert_int_equal(l->logical, 512);
	assert_int_equal(l->physical, 4096);
	assert_int_equal(l->segs_max, 126);
	assert_int_equal(l->discard_granule, 4096);
	assert_int_equal(l->discard_max, 1000 * 512);
	assert_int_equal(l->zero_max, GIB(1));
	assert_true(l->cache && !l->fua && !l->read_only);
	assert_false(dev_.accepted & (VIRTIO_F_EVENT_IDX | VIRTIO_BLK_F_CONFIG_WCE));
}

static void work(void)
{
	static uint8_t mem[KIB(512)] __attribute__((aligned(4096))), back[KIB(512)];

	for (unsigned int i = 0; i < sizeof(mem); i++)
		mem[i] = (uint8_t)(i * 11 + i / 300);
	for (unsigned int i = 0; i < 300; i++) { /* round the rings, more than once */
		uint64_t off = i % 100 * 4096, len = 512 * (1 + i % 17);

		assert_int_equal(block_write(disk, off, mem + i, len, i % 5 ? 0 : BLOCK_F_FUA), 0);
		assert_memory_equal(model.data + off, mem + i, len);
		assert_int_equal(block_read(disk, off, back, len), 0);
		assert_memory_equal(back, mem + i, len);
	}
	assert_int_equal(block_write(disk, 0, mem, sizeof(mem), 0), 0);
	assert_memory_equal(model.data, mem, sizeof(mem));
	assert_int_equal(block_flush(disk), 0);
	assert_int_equal(block_discard(disk, KIB(64), KIB(900)), 0);
	assert_int_equal(model.data[KIB(64)], 0xdd);
	assert_int_equal(model.data[KIB(964) - 1], 0xdd);
	assert_int_equal(model.data[KIB(964)], 0);
	assert_true(model.done[VIRTIO_BLK_T_FLUSH] > 60 && model.done[VIRTIO_BLK_T_DISCARD] > 1);
}

static void test_data(void **state)
{
	(void)state;
	plug();
	work();
}

struct op {
	struct block_req r;
	struct block_seg seg[100];
	bool over;
	int err;
};

static void op_done(struct block_req *r, int err)
{
	struct op *o = r->owner;

	o->over = true;
	o->err = err;
}

/* Many requests of many pieces at once. */
static void scattered(void)
{
	static uint8_t mem[200 * 4096] __attribute__((aligned(4096)));
	static struct op ops[8];

	for (unsigned int i = 0; i < sizeof(mem); i++)
		mem[i] = (uint8_t)(i / 512 + i);
	for (unsigned int k = 0; k < 8; k++) {
		struct op *o = &ops[k];

		memset(o, 0, sizeof(*o));
		for (unsigned int i = 0; i < 100; i++)
			o->seg[i] = (struct block_seg){HPA((uintptr_t)mem + (2 * i + 1) * 4096), 512};
		o->r = (struct block_req){.op = BLOCK_WRITE, .off = k * KIB(64), .len = 51200,
					  .seg = o->seg, .seg_count = 100, .done = op_done,
					  .owner = o};
		block_submit(disk, &o->r);
	}
	for (unsigned int k = 0; k < 8; k++) {
		while (!ops[k].over)
			thread_yield();
		assert_int_equal(ops[k].err, 0);
		for (unsigned int i = 0; i < 100; i++)
			assert_memory_equal(model.data + k * KIB(64) + i * 512,
					    mem + (2 * i + 1) * 4096, 512);
	}
}

static void test_long_requests(void **state)
{
	(void)state;
	plug();
	scattered();
	assert_int_equal(dev_.longest, 102);
}

static void test_without_indirect(void **state)
{
	(void)state;
	dev_.offered &= ~VIRTIO_F_INDIRECT_DESC;
	plug();
	assert_int_equal(block_limits(disk)->segs_max, 14);
	work();
	scattered();
	assert_int_equal(dev_.longest, 16);
}

/* No queue but one, of four entries, and nothing of what need not be there. */
static void test_the_least_there_may_be(void **state)
{
	const struct block_limits *l;

	(void)state;
	dev_.offered = VIRTIO_F_VERSION_1;
	dev_.q_size = 4;
	fake_irq_count = 1;
	plug();
	l = block_limits(disk);
	assert_int_equal(l->segs_max, 2);
	assert_true(!l->cache && l->discard_max == 0 && l->zero_max == 0);
	scattered();
}

static void test_errors(void **state)
{
	static uint8_t buf[512];

	(void)state;
	plug();
	model.fail_count = 1;
	assert_int_equal(block_read(disk, 0, buf, 512), -RAY_EIO);
	assert_int_equal(block_read(disk, 0, buf, 512), 0);
	assert_int_equal(dev_.resets, 1);
}

static void mend_at_reset(void *arg)
{
	const unsigned int *resets = arg; /* so many before it went wrong */

	while (dev_.resets == *resets) {
		fake_time_pass(1);
		thread_yield();
	}
	dev_.silent = dev_.bad_id = dev_.endless = false;
}

static void mended(bool *wrong)
{
	static uint8_t buf[512];
	const struct thread_attr attr = {.cpu = -1};
	unsigned int resets = dev_.resets;
	struct thread *t;

	*wrong = true;
	assert_int_equal(thread_create(&t, "mend", mend_at_reset, &resets, &attr), 0);
	assert_int_equal(block_read(disk, 0, buf, 512), 0);
	thread_join(t);
	fake_threads_run();
	assert_int_equal(block_state(disk), BLOCK_LIVE);
	work();
}

static void test_silence_and_nonsense(void **state)
{
	struct block_stats s;

	(void)state;
	plug();
	mended(&dev_.bad_id);
	block_stats_get(disk, &s);
	assert_int_equal(s.timeouts, 0); /* what is nonsense is not waited for */
	mended(&dev_.silent);
	mended(&dev_.endless);
}

static void test_pulled(void **state)
{
	static uint8_t buf[512];

	(void)state;
	plug();
	dev_.gone = dev_.silent = true;
	block_trouble(disk);
	fake_threads_run();
	assert_int_equal(block_state(disk), BLOCK_FAILED);
	assert_int_equal(block_read(disk, 0, buf, 512), -RAY_EIO);
}

static int probe_with(void (*spoil)(void))
{
	void *state = NULL;
	int err;

	teardown(&state);
	setup(&state);
	spoil();
	err = fake_driver()->probe(&fake_pci);
	assert_null(block_get("vda"));
	return err;
}

static void no_caps(void) { dev_.caps[0] = 0; }
static void caps_outside(void) { cap_set(1, VIRTIO_CAP_COMMON, 4, BAR_SIZE - 8, COMMON_SIZE); }
static void caps_wrap(void) { cap_set(1, VIRTIO_CAP_COMMON, 4, 0xffffffc0, COMMON_SIZE); }
static void caps_no_bar(void) { cap_set(1, VIRTIO_CAP_COMMON, 9, 0, COMMON_SIZE); }
static void caps_short(void) { cap_set(1, VIRTIO_CAP_COMMON, 4, 0, 8); }
static void no_notify(void) { cap_set(2, VIRTIO_CAP_NOTIFY, 4, AT_NOTIFY, 1); }
static void notify_short(void) { cap_set(2, VIRTIO_CAP_NOTIFY, 4, AT_NOTIFY, 9); }
static void old(void) { dev_.offered &= ~VIRTIO_F_VERSION_1; }
static void refuses(void) { dev_.refuses = true; }
static void never_reset(void) { dev_.never_reset = true; dev_.status = 4; }
static void gone(void) { dev_.gone = true; }
static void no_size(void) { dev_.q_size = 0; }
static void odd_size(void) { dev_.q_size = 100; }
static void no_vectors(void) { dev_.no_vectors = true; }
static void no_blocks(void) { store32(dev_.config + VBLK_CFG_BLK_SIZE, 0); }
static void odd_blocks(void) { store32(dev_.config + VBLK_CFG_BLK_SIZE, 1000); }
static void large_blocks(void) { store32(dev_.config + VBLK_CFG_BLK_SIZE, 0x80000000); }
static void endless(void) { store64(dev_.config + VBLK_CFG_CAPACITY, UINT64_MAX); }
static void empty(void) { store64(dev_.config + VBLK_CFG_CAPACITY, 0); }

static void test_devices_that_make_no_sense(void **state)
{
	(void)state;
	assert_int_equal(probe_with(no_caps), -RAY_ENOSYS);
	assert_int_equal(probe_with(caps_outside), -RAY_ENOSYS);
	assert_int_equal(probe_with(caps_wrap), -RAY_ENOSYS);
	assert_int_equal(probe_with(caps_no_bar), -RAY_ENOSYS);
	assert_int_equal(probe_with(caps_short), -RAY_ENODEV);
	assert_int_equal(probe_with(no_notify), -RAY_ENODEV);
	assert_int_equal(probe_with(notify_short), -RAY_EIO);
	assert_int_equal(probe_with(old), -RAY_ENOSYS);
	assert_int_equal(probe_with(refuses), -RAY_ENOSYS);
	assert_int_equal(probe_with(never_reset), -RAY_ETIMEDOUT);
	assert_int_equal(probe_with(gone), -RAY_ENODEV);
	assert_int_equal(probe_with(no_size), -RAY_ENOSYS);
	assert_int_equal(probe_with(odd_size), -RAY_ENOSYS);
	assert_int_equal(probe_with(no_vectors), -RAY_EIO);
	assert_int_equal(probe_with(no_blocks), -RAY_EINVAL);
	assert_int_equal(probe_with(odd_blocks), -RAY_EINVAL);
	assert_int_equal(probe_with(large_blocks), -RAY_EINVAL);
	assert_int_equal(probe_with(endless), -RAY_EINVAL);
	assert_int_equal(probe_with(empty), -RAY_EINVAL);
}

static void test_no_memory(void **state)
{
	unsigned int n = 1;

	(void)state;
	while (fake_probe_starved(n++) != 0)
		;
	assert_true(n > 20);
	disk = block_get("vda");
	assert_non_null(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(test_data, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_indirect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_least_there_may_be, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence_and_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pulled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_devices_that_make_no_sense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
