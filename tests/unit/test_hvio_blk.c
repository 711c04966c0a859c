/* UNIT: devices/host/virtio/hvio_pci.c devices/host/virtio/hvio_ring.c
 * devices/host/virtio/hvio_blk.c kernel/dma/dma.c kernel/block/dev.c kernel/block/queue.c
 * kernel/block/fit.c kernel/block/worker.c kernel/block/sync.c kernel/block/part.c
 * kernel/block/gpt.c kernel/block/gpt_repair.c
 * kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c
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

#include "devices/host/virtio/hvio.h"
#include "kernel/block/block_priv.h"
#include "kernel/lib/unaligned.h"
#include "tests/host/fake_driver.h"

#define DISK_SIZE  MIB(1)
#define QUEUES     2u
#define AT_NOTIFY  0x100u
#define AT_DEVICE  0x200u
#define BAR_SIZE   0x1000u
#define CAPS       4u

struct queue {
	uint16_t size, vector, enabled, avail_seen, used_idx;
	uint64_t desc, avail, used;
};

static struct {
	uint64_t offered, accepted;
	uint32_t df_select, gf_select;
	uint8_t status;
	uint16_t q_select;
	struct queue queue[QUEUES];
	uint8_t config[VBLK_CFG_SIZE], data[DISK_SIZE];
	uint16_t q_size;
	uint8_t caps[256];
	/* What is wrong with it. */
	bool gone, never_reset, refuses, silent, bad_id, no_vectors, endless;
	unsigned int fail_count;
	/* What has been seen. */
	unsigned int done[16], resets, longest;
} dev_;

static bool stop;
static struct thread *device;

/* --- configuration space --- */

uint8_t pci_read8(const struct pci_dev *d, unsigned int off)
{
	(void)d;
	return dev_.caps[off];
}

uint32_t pci_read32(const struct pci_dev *d, unsigned int off)
{
	(void)d;
	return load32(dev_.caps + off);
}

unsigned int pci_cap_find(const struct pci_dev *d, unsigned int id)
{
	(void)d;
	assert_int_equal(id, VIRTIO_CAP_VENDOR);
	return dev_.caps[0] ? 0x20 : 0;
}

unsigned int pci_cap_next(const struct pci_dev *d, unsigned int off)
{
	(void)d;
	return off + 0x20 < 0x20 * (1u + dev_.caps[0]) ? off + 0x20 : 0;
}

static void cap_set(unsigned int n, uint8_t kind, uint8_t bar, uint32_t off, uint32_t len)
{
	uint8_t *c = dev_.caps + 0x20 * (1 + n);

	c[VIRTIO_CAP_KIND] = kind;
	c[VIRTIO_CAP_BAR] = bar;
	store32(c + VIRTIO_CAP_OFFSET, off);
	store32(c + VIRTIO_CAP_LENGTH, len);
	store32(c + VIRTIO_CAP_STEP, 4);
}

/* --- registers --- */

/* Where in the BAR an address is: areas begin inside of it. */
static uint32_t bar_offset(const void *base, uint32_t off)
{
	uint64_t at = (uint64_t)((const char *)base - (const char *)&dev_) + off;

	assert_true(at < BAR_SIZE);
	return (uint32_t)at;
}

static struct queue *selected(void)
{
	static struct queue none;

	return dev_.q_select < QUEUES ? &dev_.queue[dev_.q_select] : &none;
}

uint64_t fake_mmio_read(const void *base, uint32_t off, unsigned int size)
{
	uint32_t at = bar_offset(base, off);
	uint64_t v = 0;

	if (dev_.gone)
		return UINT64_MAX >> (64 - 8 * size);
	if (at >= AT_DEVICE) {
		assert_true(at - AT_DEVICE + size <= VBLK_CFG_SIZE);
		memcpy(&v, dev_.config + at - AT_DEVICE, size);
		return v;
	}
	switch (at) {
	case COMMON_DF: return (uint32_t)(dev_.offered >> (32 * dev_.df_select));
	case COMMON_NUMQ: return QUEUES;
	case COMMON_STATUS: return dev_.status;
	case COMMON_Q_SIZE: return dev_.q_size;
	case COMMON_Q_MSIX: return dev_.no_vectors ? VIRTIO_NO_VECTOR : selected()->vector;
	case COMMON_Q_NOFF: return dev_.q_select * 2u;
	default: return 0;
	}
}

static void status_write(uint8_t v)
{
	if (v == 0) {
		dev_.resets++;
		memset(dev_.queue, 0, sizeof(dev_.queue));
		dev_.accepted = 0;
		if (dev_.never_reset)
			return;
	}
	dev_.status = dev_.refuses ? v & (uint8_t)~VIRTIO_S_FEATURES_OK : v;
}

static void address_set(uint64_t *a, uint32_t at, uint64_t v)
{
	*a = at & 4 ? (*a & UINT32_MAX) | v << 32 : (*a & ~(uint64_t)UINT32_MAX) | v;
}

void fake_mmio_write(void *base, uint32_t off, unsigned int size, uint64_t v)
{
	uint32_t at = bar_offset(base, off);
	struct queue *q = selected();

	(void)size;
	if (at >= AT_NOTIFY) {
		assert_true(at < AT_DEVICE && v < QUEUES && at == AT_NOTIFY + 8 * v);
		assert_true(dev_.status & VIRTIO_S_DRIVER_OK);
		return;
	}
	switch (at) {
	case COMMON_DFSELECT: dev_.df_select = (uint32_t)v; break;
	case COMMON_GFSELECT: dev_.gf_select = (uint32_t)v; break;
	case COMMON_GF:
		assert_false(dev_.status & VIRTIO_S_FEATURES_OK);
		dev_.accepted |= v << (32 * dev_.gf_select);
		break;
	case COMMON_STATUS: status_write((uint8_t)v); break;
	case COMMON_Q_SELECT: dev_.q_select = (uint16_t)v; break;
	case COMMON_Q_SIZE: q->size = (uint16_t)v; break;
	case COMMON_Q_MSIX: q->vector = (uint16_t)v; break;
	case COMMON_Q_ENABLE: q->enabled = (uint16_t)v; break;
	case COMMON_Q_DESC: case COMMON_Q_DESC + 4: address_set(&q->desc, at, v); break;
	case COMMON_Q_AVAIL: case COMMON_Q_AVAIL + 4: address_set(&q->avail, at, v); break;
	case COMMON_Q_USED: case COMMON_Q_USED + 4: address_set(&q->used, at, v); break;
	default: fail_msg("write to 0x%x", at);
	}
}

/* --- requests --- */

/* The descriptors of a chain, in a row. Returns: how many. */
static unsigned int chain(const struct queue *q, uint16_t head, struct hvio_desc *out)
{
	const struct hvio_desc *table = fake_memory(q->desc);
	unsigned int n = 0, i = head, most = q->size;

	if (table[i].flags & VIRTIO_DESC_INDIRECT) {
		assert_true(dev_.accepted & VIRTIO_F_INDIRECT_DESC);
		assert_int_equal(table[i].flags, VIRTIO_DESC_INDIRECT);
		most = table[i].len / 16;
		table = fake_memory(table[i].addr);
		i = 0;
	}
	for (;;) {
		assert_true(n < most && i < most);
		out[n++] = table[i];
		if (!(table[i].flags & VIRTIO_DESC_NEXT))
			return n;
		i = table[i].next;
	}
}

static uint8_t move(const struct hvio_desc *d, unsigned int n, uint64_t off, bool read)
{
	for (unsigned int i = 0; i < n; i++) {
		if (off + d[i].len > DISK_SIZE)
			return VIRTIO_BLK_S_IOERR;
		assert_int_equal((d[i].flags & VIRTIO_DESC_WRITE) != 0, read);
		if (read)
			memcpy(fake_memory(d[i].addr), dev_.data + off, d[i].len);
		else
			memcpy(dev_.data + off, fake_memory(d[i].addr), d[i].len);
		off += d[i].len;
	}
	return VIRTIO_BLK_S_OK;
}

static uint8_t request(const struct hvio_desc *d, unsigned int n)
{
	const struct vblk_header *h = fake_memory(d[0].addr);
	const struct vblk_range *r = fake_memory(d[1].addr);

	assert_true(n >= 2 && d[0].len == 16 && !(d[0].flags & VIRTIO_DESC_WRITE));
	dev_.done[h->type]++;
	dev_.longest = MAX(dev_.longest, n);
	if (dev_.fail_count > 0) {
		dev_.fail_count--;
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
		memset(dev_.data + r->sector * 512, h->type == VIRTIO_BLK_T_DISCARD ? 0xdd : 0,
		       r->sectors * 512ull);
		return VIRTIO_BLK_S_OK;
	}
}

static void used_put(struct queue *q, uint32_t id)
{
	uint8_t *used = fake_memory(q->used);

	store32(used + 4 + 8 * (q->used_idx % q->size), dev_.bad_id ? id + 3 * q->size : id);
	store32(used + 8 + 8 * (q->used_idx % q->size), 1);
	q->used_idx++;
	store16(used + 2, dev_.endless ? (uint16_t)(q->used_idx + 77) : q->used_idx);
}

static void queue_serve(struct queue *q)
{
	static struct hvio_desc d[HVIO_RING_MAX];
	const uint8_t *avail;
	bool any = false;

	if (!q->enabled || !(dev_.status & VIRTIO_S_DRIVER_OK) || dev_.silent)
		return;
	avail = fake_memory(q->avail);
	while (q->avail_seen != load16(avail + 2)) {
		uint16_t head = load16(avail + 4 + 2 * (q->avail_seen++ % q->size));
		unsigned int n = chain(q, head, d);

		assert_true(d[n - 1].len == 1 && (d[n - 1].flags & VIRTIO_DESC_WRITE));
		*(uint8_t *)fake_memory(d[n - 1].addr) = request(d, n);
		used_put(q, head);
		any = true;
	}
	if (any)
		fake_irq(q->vector);
}

static void device_thread(void *arg)
{
	(void)arg;
	while (!stop) {
		for (unsigned int i = 0; i < QUEUES; i++)
			queue_serve(&dev_.queue[i]);
		fake_now += 1000000;
		thread_yield();
	}
}

/* --- tests --- */

static struct block_dev *disk;

static int setup(void **state)
{
	const struct thread_attr attr = {.cpu = -1};

	(void)state;
	memset(&dev_, 0, sizeof(dev_));
	dev_.offered = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
		       VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH |
		       VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_MQ | VIRTIO_BLK_F_DISCARD |
		       VIRTIO_BLK_F_WRITE_ZEROES | VIRTIO_BLK_F_CONFIG_WCE;
	dev_.q_size = 128;
	store64(dev_.config + VBLK_CFG_CAPACITY, DISK_SIZE / 512);
	store32(dev_.config + VBLK_CFG_SEG_MAX, 126);
	store32(dev_.config + VBLK_CFG_BLK_SIZE, 512);
	dev_.config[VBLK_CFG_TOPOLOGY] = 3;
	store16(dev_.config + VBLK_CFG_NUM_QUEUES, QUEUES);
	store32(dev_.config + VBLK_CFG_MAX_DISCARD, 1000);
	store32(dev_.config + VBLK_CFG_DISCARD_ALIGN, 8);
	store32(dev_.config + VBLK_CFG_MAX_ZEROES, 0xffffffff);
	dev_.caps[0] = CAPS;
	cap_set(0, 9, 0, 0, 64); /* unknown */
	cap_set(1, VIRTIO_CAP_COMMON, 4, 0, COMMON_SIZE);
	cap_set(2, VIRTIO_CAP_NOTIFY, 4, AT_NOTIFY, 0x100);
	cap_set(3, VIRTIO_CAP_DEVICE, 4, AT_DEVICE, VBLK_CFG_SIZE);
	fake_regs = &dev_;
	fake_pci.bar[4].size = BAR_SIZE;
	fake_irq_count = QUEUES + 1;
	stop = false;
	assert_int_equal(block_init(), 0);
	assert_int_equal(thread_create(&device, "device", device_thread, NULL, &attr), 0);
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
		assert_memory_equal(dev_.data + off, mem + i, len);
		assert_int_equal(block_read(disk, off, back, len), 0);
		assert_memory_equal(back, mem + i, len);
	}
	assert_int_equal(block_write(disk, 0, mem, sizeof(mem), 0), 0);
	assert_memory_equal(dev_.data, mem, sizeof(mem));
	assert_int_equal(block_flush(disk), 0);
	assert_int_equal(block_discard(disk, KIB(64), KIB(900)), 0);
	assert_int_equal(dev_.data[KIB(64)], 0xdd);
	assert_int_equal(dev_.data[KIB(964) - 1], 0xdd);
	assert_int_equal(dev_.data[KIB(964)], 0);
	assert_true(dev_.done[VIRTIO_BLK_T_FLUSH] > 60 && dev_.done[VIRTIO_BLK_T_DISCARD] > 1);
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
			assert_memory_equal(dev_.data + k * KIB(64) + i * 512,
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
	dev_.fail_count = 1;
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
	int err;

	(void)state;
	do {
		long live = fake_heap_live;
		int pages = fake_pages_live;

		fake_heap_fail_at = n++;
		err = fake_driver()->probe(&fake_pci);
		fake_heap_fail_at = 0;
		if (err) {
			assert_int_equal(err, -RAY_ENOMEM);
			assert_int_equal(fake_heap_live, live);
			assert_int_equal(fake_pages_live, pages);
		}
	} while (err);
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
