/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c devices/virt/virtio/blk.c
 * devices/virt/virtio/blk_dev.c devices/virt/virtio/blk_flight.c devices/virt/back/dev.c
 * devices/virt/back/copy.c devices/virt/back/image.c devices/virt/back/thin.c security/quota.c
 * kernel/lib/bucket.c kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c
 * kernel/lib/muldiv.c hv/seed.c devices/virt/back/seed.c devices/virt/back/iso9660.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The block device: options, configuration, every request, every malformed one, its record. */
#include "tests/host/fake_blk.h"

/* --- options --- */

static const char *refusal(const char *spec)
{
	static char why[160];

	why[0] = '\0';
	return vattach_check("disk", spec, why, sizeof(why)) ? why : NULL;
}

static void test_options(void **state)
{
	static const char *const bad[] = {
		"", "ro", "ram=64M,module=disk.img", "ram=0", "ram=100", "ram=5T", "ram=x", "ram",
		"ram=1M,cow", "module=disk.img,ro,cow", "ram=1M,serial=123456789012345678901",
		"ram=1M,serial=", "ram=1M,queues=0", "ram=1M,queues=17", "ram=1M,iops=x",
		"ram=1M,rate=x", "ram=1M,burst=x", "ram=1M,space=x", "ram=1M,size=3", "module",
		"ram=1M,ram=2M",
	};
	static const char *const good[] = {
		"ram=64M", "ram=512", "ram=4T", "module=disk.img", "module=disk.img,ro",
		"module=disk.img,cow", "ram=1M,ro", "module=later",
		"ram=1M,serial=12345678901234567890,queues=16,iops=1000,rate=10M,burst=1M,space=5G",
	};
	struct vattach *none;
	char why[160], text[128];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		assert_non_null(refusal(bad[i]));
	for (unsigned int i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(refusal(good[i]));
	assert_int_equal(vattach_add(vm, "disk", "module=nothing", &none, why, sizeof(why)),
			 -RAY_ENOENT);
	assert_string_equal(why, "disk0: no boot module is named 'nothing'");
	assert_int_equal(vattach_add(vm, "disk", "module=empty", &none, why, sizeof(why)),
			 -RAY_EINVAL);
	attach("ram=64M", ALL);
	a->kind->describe(a, text, sizeof(text));
	assert_string_equal(text, "64M ram serial=disk0 queues=2");
	attach("module=disk.img,ro,serial=abc,queues=3", ALL);
	a->kind->describe(a, text, sizeof(text));
	assert_string_equal(text, "209408 module, read-only serial=abc queues=3");
	assert_int_equal(a->handler.quota.limits.bytes_in_use, GIB(10));
}

static void test_configuration(void **state)
{
	(void)state;
	attach("ram=64M,queues=3", DISCARDS);
	assert_int_equal(fake_common_read(d, FAKE_NUMQ, 2), 3);
	assert_int_equal(fake_config_read(d, VBLK_CFG_CAPACITY, 8), MIB(64) / 512);
	assert_int_equal(fake_config_read(d, VBLK_CFG_SEG_MAX, 4), VBLK_QUEUE_SIZE - 2);
	assert_int_equal(fake_config_read(d, VBLK_CFG_BLK_SIZE, 4), 512);
	assert_int_equal(fake_config_read(d, VBLK_CFG_TOPOLOGY, 1), 3);
	assert_int_equal(fake_config_read(d, VBLK_CFG_TOPOLOGY + 1, 1), 0);
	assert_int_equal(fake_config_read(d, VBLK_CFG_TOPOLOGY + 2, 2), 8);
	assert_int_equal(fake_config_read(d, VBLK_CFG_TOPOLOGY + 4, 4), 128);
	assert_int_equal(fake_config_read(d, VBLK_CFG_WRITEBACK, 1), 1);
	assert_int_equal(fake_config_read(d, VBLK_CFG_NUM_QUEUES, 2), 3);
	assert_int_equal(fake_config_read(d, VBLK_CFG_MAX_DISCARD, 4), GIB(1) / 512);
	assert_int_equal(fake_config_read(d, VBLK_CFG_MAX_DISCARD_SEG, 4), 16);
	assert_int_equal(fake_config_read(d, VBLK_CFG_DISCARD_ALIGN, 4), 128);
	assert_int_equal(fake_config_read(d, VBLK_CFG_MAX_ZEROES, 4), GIB(1) / 512);
	assert_int_equal(fake_config_read(d, VBLK_CFG_ZEROES_MAY_UNMAP, 1), 1);
	assert_int_equal(fake_config_read(d, VBLK_CFG_SIZE, 4), 0);
	/* Of all this the cache's mode can be written. */
	for (unsigned int off = 0; off < VBLK_CFG_SIZE + 8; off++)
		fake_config_write(d, off, 1, 0);
	fake_config_write(d, VBLK_CFG_WRITEBACK, 2, 0x101);
	assert_int_equal(fake_config_read(d, VBLK_CFG_WRITEBACK, 1), 0);
	assert_int_equal(fake_config_read(d, VBLK_CFG_CAPACITY, 8), MIB(64) / 512);
	write_byte(0, 1, 512); /* writethrough */
	fake_config_write(d, VBLK_CFG_WRITEBACK, 1, 0xff);
	assert_int_equal(fake_config_read(d, VBLK_CFG_WRITEBACK, 1), 1);
	fake_config_write(d, VBLK_CFG_WRITEBACK, 1, 0);
	fake_common_write(d, FAKE_STATUS, 1, 0);
	assert_int_equal(fake_config_read(d, VBLK_CFG_WRITEBACK, 1), 1);
	/* A request of so many pieces, with its header and status, fits each queue. */
	for (uint16_t i = 0; i < 3; i++) {
		fake_common_write(d, FAKE_Q_SELECT, 2, i);
		assert_int_equal(fake_common_read(d, FAKE_Q_SIZE, 2),
				 fake_config_read(d, VBLK_CFG_SEG_MAX, 4) + 2);
	}
	/* Not the driver's to write without the feature. */
	assert_true(fake_driver_start(d, VIRTIO_BLK_F_FLUSH, rings, 1, QSIZE));
	fake_config_write(d, VBLK_CFG_WRITEBACK, 1, 0);
	assert_int_equal(fake_config_read(d, VBLK_CFG_WRITEBACK, 1), 1);

	attach("module=disk.img,ro", ALL | VIRTIO_BLK_F_RO);
	assert_false(d->offered & (VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES));
	assert_int_equal(fake_config_read(d, VBLK_CFG_MAX_DISCARD, 4), 0);
	assert_int_equal(fake_config_read(d, VBLK_CFG_CAPACITY, 8), (MODULE_SIZE + 511) / 512);
}

/* --- requests --- */

static void test_read_and_write(void **state)
{
	uint64_t exits;

	(void)state;
	attach("ram=1M", ALL);
	read_all(0, KIB(512));
	assert_bytes(0, KIB(512));
	assert_int_equal(fake_pages_live, 0);
	for (uint32_t i = 0; i < KIB(100); i++)
		data()[i] = (uint8_t)(i * 13 + i / 256);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 100, KIB(100)), VIRTIO_BLK_S_OK);
	read_all(99, KIB(101));
	assert_int_equal(data()[511], 0);
	for (uint32_t i = 0; i < KIB(100); i++)
		assert_int_equal(data()[512 + i], (uint8_t)(i * 13 + i / 256));
	assert_int_equal(data()[512 + KIB(100)], 0);
	assert_int_equal(fake_pages_live, 2 * 16 + 16); /* 50 to 150 KiB lie in three pieces */
	assert_int_equal(quota_in_use(&a->handler.quota), 3 * PIECE + 4096);
	assert_int_equal(a->handler.count[POLICY_READ].ops, 2);
	assert_int_equal(a->handler.count[POLICY_READ].bytes, KIB(613));
	assert_int_equal(a->handler.count[POLICY_WRITE].bytes, KIB(100));

	/* A short read of what is there, and a write to it: by the exit handler alone. */
	exits = d->queue[0].notified;
	fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}, {buf, 4096, true},
					     {status, 1, true}}, 3);
	header(VIRTIO_BLK_T_IN, 100);
	fake_ring_kick(r);
	assert_int_equal(fake_io_run(vm), 0);
	assert_int_equal(status_byte(), VIRTIO_BLK_S_OK);
	fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}, {buf, KIB(16), false},
					     {status, 1, true}}, 3);
	header(VIRTIO_BLK_T_OUT, 104);
	fake_ring_kick(r);
	assert_int_equal(fake_io_run(vm), 0);
	assert_int_equal(status_byte(), VIRTIO_BLK_S_OK);
	assert_int_equal(d->queue[0].notified, exits + 2);
	/* Longer: by the I/O thread. */
	fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}, {buf, KIB(16) + 512, true},
					     {status, 1, true}}, 3);
	header(VIRTIO_BLK_T_IN, 100);
	fake_ring_kick(r);
	assert_int_equal(status_byte(), 0xee);
	assert_int_equal(fake_io_run(vm), 1);
	assert_int_equal(status_byte(), VIRTIO_BLK_S_OK);
}

/* A header in bytes, data in odd pieces, the status behind data in one descriptor. */
static void test_any_layout(void **state)
{
	struct fake_buf b[40];
	unsigned int n = 0;
	uint32_t len;

	(void)state;
	attach("module=disk.img", ALL);
	header(VIRTIO_BLK_T_IN, 3);
	for (unsigned int i = 0; i < 16; i++)
		b[n++] = (struct fake_buf){hdr + i, 1, false};
	b[n++] = (struct fake_buf){buf, 1, true};
	b[n++] = (struct fake_buf){buf + 1, 700, true};
	b[n++] = (struct fake_buf){buf + 701, 0, true};
	b[n++] = (struct fake_buf){buf + 701, 1024 - 701 + 1, true};
	data()[1024] = 0xee;
	len = send(b, n);
	assert_int_equal(len, 1025);
	assert_int_equal(data()[1024], VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), module + 3 * 512, 1024);
	header(VIRTIO_BLK_T_IN, 3);
	fake_ring_add_indirect(r, b, n);
	memset(data(), 0, 1024);
	fake_ring_kick(r);
	assert_memory_equal(data(), module + 3 * 512, 1024);
	/* Header and data of a write in one. */
	memcpy(data(), fake_guest(hdr), 16);
	*(uint32_t *)data() = VIRTIO_BLK_T_OUT;
	memset(data() + 16, 0x5a, 512);
	fake_ring_used(r, &len, &len);
	send((struct fake_buf[]){{buf, 528, false}, {status, 1, true}}, 2);
	assert_int_equal(status_byte(), VIRTIO_BLK_S_OK);
	read_all(3, 512);
	assert_bytes(0x5a, 512);
}

/* As many pieces as SEG_MAX allows, of which no two lie side by side. */
static void test_longest_request(void **state)
{
	static struct fake_buf b[VBLK_QUEUE_SIZE];

	(void)state;
	attach("ram=1M", ALL);
	header(VIRTIO_BLK_T_OUT, 0);
	b[0] = (struct fake_buf){hdr, 16, false};
	for (unsigned int i = 1; i < VBLK_QUEUE_SIZE - 1; i++)
		b[i] = (struct fake_buf){buf + (i * 2 % 8) * 512, 512, false};
	b[VBLK_QUEUE_SIZE - 1] = (struct fake_buf){status, 1, true};
	fake_ring_add_indirect(r, b, VBLK_QUEUE_SIZE);
	fake_ring_kick(r);
	fake_io_run(vm);
	assert_false(d->broken);
	assert_int_equal(status_byte(), VIRTIO_BLK_S_OK);
}

static void test_other_requests(void **state)
{
	static const uint32_t unknown[] = {2, 3, 5, 6, 7, 9, 10, 12, 14, 15, 0x80000000, 0xffffffff};

	(void)state;
	attach("ram=1M,serial=12345678901234567890", ALL);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), "12345678901234567890", 20);
	memset(data(), 7, 20);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 4), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), "1234\7\7", 6);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(a->handler.count[POLICY_FLUSH].ops, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(unknown); i++)
		assert_int_equal(request(unknown[i], 0, 0), VIRTIO_BLK_S_UNSUPP);
	/* Not negotiated. */
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, 128, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 128, 0), VIRTIO_BLK_S_UNSUPP);
	attach("ram=1M,serial=ab", 0);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(), "ab\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	write_byte(0, 1, 512);
}

static void test_refused_ranges(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t n;
	} bad[] = {
		{2048, 512}, {2047, 1024}, {UINT64_MAX, 512}, {UINT64_MAX / 512, 512},
		{1ull << 55, 512}, {UINT64_MAX - 1, 1024}, {0, 1}, {0, 511}, {0, 513}, {2049, 0},
	};

	(void)state;
	attach("ram=1M", DISCARDS);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(request(VIRTIO_BLK_T_IN, bad[i].sector, bad[i].n),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, bad[i].sector, bad[i].n),
				 VIRTIO_BLK_S_IOERR);
	}
	read_all(2047, 512);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 2048, 0), VIRTIO_BLK_S_OK);
	for (uint32_t t = VIRTIO_BLK_T_DISCARD; t <= VIRTIO_BLK_T_WRITE_ZEROES; t += 2) {
		const struct vblk_range two[] = {{0, 8, 0}, {2040, 9, 0}};

		assert_int_equal(range(t, 2048, 1, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(range(t, 0, 2049, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(range(t, UINT64_MAX, 2, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(range(t, 1ull << 55, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(range(t, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(range(t, 0, 8, 0x80000001), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(ranges(t, two, 2), VIRTIO_BLK_S_IOERR);
		assert_int_equal(range(t, 2048, 0, 0), VIRTIO_BLK_S_OK);
	}
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	attach("ram=4G", DISCARDS);
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, GIB(1) / 512, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, GIB(1) / 512 + 1, 0), VIRTIO_BLK_S_IOERR);
}

/* Shapes that do not fit the type. */
static void test_refused_shapes(void **state)
{
	struct fake_buf b[] = {{0, 16, false}, {0, 512, false}, {0, 512, true}, {0, 1, true}};

	(void)state;
	attach("ram=1M", DISCARDS);
	b[0].gpa = hdr;
	b[1].gpa = b[2].gpa = buf;
	b[3].gpa = status;
	header(VIRTIO_BLK_T_IN, 0);
	assert_int_equal(send(b, 4), 0);
	assert_int_equal(status_byte(), VIRTIO_BLK_S_IOERR);
	header(VIRTIO_BLK_T_OUT, 0);
	send(b, 4);
	assert_int_equal(status_byte(), VIRTIO_BLK_S_IOERR);
	header(VIRTIO_BLK_T_DISCARD, 0);
	memset(data(), 0, 512);
	b[1].len = 16;
	send(b, 4);
	assert_int_equal(status_byte(), VIRTIO_BLK_S_IOERR);
	b[2] = b[3];
	for (uint32_t n = 0; n < 17 * 16 + 1; n++) {
		bool good = n > 0 && n % 16 == 0 && n <= 16 * 16;

		header(VIRTIO_BLK_T_DISCARD, 0);
		memset(data(), 0, n);
		b[1].len = n;
		send(b, 3);
		assert_int_equal(status_byte(), good ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(a->handler.malformed, 0);
}

static void assert_broken(const char *why)
{
	uint32_t id, len;

	fake_ring_kick(r);
	fake_io_run(vm);
	assert_true(d->broken);
	assert_string_equal(d->broken_why, why);
	assert_false(fake_ring_used(r, &id, &len));
	assert_non_null(strstr(fake_markers, "NEEDS_RESET"));
	assert_true(fake_driver_start(d, ALL, rings, 1, QSIZE));
}

static void test_malformed(void **state)
{
	(void)state;
	attach("ram=1M", ALL);
	header(VIRTIO_BLK_T_IN, 0);
	fake_ring_add(r, (struct fake_buf[]){{hdr, 15, false}, {status, 1, true}}, 2);
	assert_broken("request without a header");
	fake_ring_add(r, (struct fake_buf[]){{status, 1, true}}, 1);
	assert_broken("request without a header");
	fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}}, 1);
	assert_broken("request without room for its status");
	fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}, {status, 0, true}}, 2);
	assert_broken("request without room for its status");
	assert_int_equal(a->handler.malformed, 4);
	write_byte(0, 1, 512);
}

/* A long request that the driver changes while it is under way. */
static void test_changed_while_served(void **state)
{
	uint16_t head;

	(void)state;
	attach("ram=1M", ALL);
	write_byte(0, 1, KIB(16));
	header(VIRTIO_BLK_T_OUT, 128); /* nothing there yet: the exit handler leaves it */
	head = fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}, {buf, 4096, false},
						    {status, 1, true}}, 3);
	fake_ring_kick(r);
	assert_int_equal(status_byte(), 0xee);
	fake_ring_desc(r, (uint16_t)(head + 1))->len = 8192;
	assert_broken("request changed while it was served");
	/* A header that changes is not looked at again. */
	header(VIRTIO_BLK_T_OUT, 128);
	fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}, {buf, 4096, false},
					     {status, 1, true}}, 3);
	fake_ring_kick(r);
	header(VIRTIO_BLK_T_IN, UINT64_MAX);
	fake_io_run(vm);
	assert_int_equal(status_byte(), VIRTIO_BLK_S_OK);
	assert_int_equal(a->handler.count[POLICY_WRITE].ops, 2);
}

/* Of more than a turn's work each turn does its part; a reset in the middle forgets the rest. */
static void test_turns(void **state)
{
	struct vblk_req *req;
	uint32_t id, len;
	uint64_t before;

	(void)state;
	attach("ram=4M", DISCARDS);
	req = &vblk_of(d)->req[0];
	memset(data(), 0x11, KIB(512));
	header(VIRTIO_BLK_T_OUT, 0);
	fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}, {buf, KIB(512), false},
					     {buf, KIB(512), false}, {status, 1, true}}, 4);
	epoch_enter();
	assert_int_equal(vblk_serve(d, &d->queue[0], true), VIRTQ_MORE);
	assert_false(req->admitted);
	assert_int_equal(vblk_serve(d, &d->queue[0], false), VIRTQ_MORE);
	assert_true(req->admitted);
	assert_int_equal(req->done, KIB(512));
	epoch_leave();
	/* Short writes that take a new piece each: what filling those costs counts too. */
	fake_common_write(d, FAKE_STATUS, 1, 0);
	assert_true(fake_driver_start(d, DISCARDS, rings, 1, QSIZE));
	before = d->queue[0].served;
	for (unsigned int i = 0; i < 16; i++) {
		uint64_t h = fake_guest_alloc(16, 16);

		*(struct vblk_header *)fake_guest(h) =
			(struct vblk_header){VIRTIO_BLK_T_OUT, 0, 1024 + i * 128};
		fake_ring_add(r, (struct fake_buf[]){{h, 16, false}, {buf, 512, false},
						     {status, 1, true}}, 3);
	}
	epoch_enter();
	for (unsigned int i = 8; i <= 16; i += 8) {
		assert_int_equal(vblk_serve(d, &d->queue[0], false),
				 i < 16 ? VIRTQ_MORE : VIRTQ_IDLE);
		assert_int_equal(d->queue[0].served - before, i);
	}
	epoch_leave();
	fake_common_write(d, FAKE_STATUS, 1, 0);
	assert_false(req->admitted);
	assert_true(fake_driver_start(d, DISCARDS, rings, 1, QSIZE));
	for (unsigned int i = 0; i < 8; i++)
		write_byte(i * 1024, 0x22, KIB(512));
	assert_int_equal(quota_in_use(&a->handler.quota), MIB(4) + 4096);
	/* Zeroing is bounded too. */
	*(struct vblk_range *)fake_guest(buf) = (struct vblk_range){8, MIB(2) / 512, 0};
	header(VIRTIO_BLK_T_WRITE_ZEROES, 0);
	fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}, {buf, 16, false},
					     {status, 1, true}}, 3);
	epoch_enter();
	assert_int_equal(vblk_serve(d, &d->queue[0], true), VIRTQ_MORE);
	for (unsigned int i = 1; i < 4; i++) {
		assert_int_equal(vblk_serve(d, &d->queue[0], false), VIRTQ_MORE);
		assert_int_equal(req->done, i * KIB(512));
	}
	assert_int_equal(vblk_serve(d, &d->queue[0], false), VIRTQ_IDLE);
	epoch_leave();
	assert_true(fake_ring_used(r, &id, &len));
	assert_int_equal(status_byte(), VIRTIO_BLK_S_OK);
	read_all(0, KIB(4));
	assert_bytes(0x22, KIB(4));
	read_all(8, KIB(512));
	assert_bytes(0, KIB(512));
	read_all(8 + MIB(2) / 512, KIB(512));
	assert_bytes(0x22, KIB(512));
}

/* A hundred short ones with one notify: the exit handler's share, then the I/O thread. */
static void test_many_at_once(void **state)
{
	uint64_t before;
	uint32_t id, len;

	(void)state;
	attach("ram=1M", ALL);
	write_byte(0, 3, KIB(16));
	before = d->queue[0].interrupts;
	header(VIRTIO_BLK_T_IN, 0);
	for (unsigned int i = 0; i < QSIZE; i++)
		fake_ring_add_indirect(r, (struct fake_buf[]){{hdr, 16, false}, {buf, 4096, true},
							      {status, 1, true}}, 3);
	fake_ring_kick(r);
	for (unsigned int i = 0; i < 32; i++)
		assert_true(fake_ring_used(r, &id, &len));
	assert_false(fake_ring_used(r, &id, &len));
	assert_int_equal(fake_io_run(vm), 1);
	for (unsigned int i = 32; i < QSIZE; i++)
		assert_true(fake_ring_used(r, &id, &len));
	assert_int_equal(d->queue[0].interrupts, before + 2);
}

static void test_multiqueue(void **state)
{
	uint32_t id, len;

	(void)state;
	attach("ram=1M,queues=4", ALL);
	assert_true(fake_driver_start(d, ALL, rings, 4, QSIZE));
	for (unsigned int q = 0; q < 4; q++) {
		r = &rings[q];
		write_byte(q * 8, (uint8_t)(q + 1), 4096);
	}
	for (unsigned int q = 0; q < 4; q++) {
		r = &rings[3 - q];
		read_all(q * 8, 4096);
		assert_bytes((uint8_t)(q + 1), 4096);
		assert_false(fake_ring_used(r, &id, &len));
	}
	r = &rings[0];
}

/* --- saving --- */

static void test_save_and_load(void **state)
{
	static uint8_t one[4096], two[4096];
	struct vdev *v;
	uint32_t id, n;
	size_t len;

	(void)state;
	attach("ram=1M", DISCARDS);
	v = &d->dev;
	write_byte(0, 6, KIB(64));
	fake_config_write(d, VBLK_CFG_WRITEBACK, 1, 0);
	/* A request that is under way: it begins again on the other side. */
	header(VIRTIO_BLK_T_OUT, 128);
	fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}, {buf, KIB(4), false},
					     {status, 1, true}}, 3);
	fake_ring_kick(r);
	assert_true(vblk_of(d)->req[0].admitted);
	v->ops->quiesce(v);
	fake_io_run(vm);
	assert_int_equal(status_byte(), 0xee);
	len = fake_save(v, one, sizeof(one));
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(fake_load(v, one, cut), -RAY_EINVAL);
	assert_int_equal(fake_load(v, one, len), 0);
	assert_false(vblk_of(d)->req[0].admitted);
	assert_int_equal(fake_save(v, two, sizeof(two)), len);
	assert_memory_equal(one, two, len);
	v->ops->resume(v);
	fake_io_run(vm);
	assert_true(fake_ring_used(r, &id, &n));
	assert_int_equal(status_byte(), VIRTIO_BLK_S_OK);
	assert_int_equal(fake_config_read(d, VBLK_CFG_WRITEBACK, 1), 0);
	/* Not of this disk. */
	one[len - 8] ^= 1;
	v->ops->quiesce(v);
	assert_int_equal(fake_load(v, one, len), -RAY_EINVAL);
	v->ops->resume(v);
	read_all(0, KIB(64));
	assert_bytes(6, KIB(64));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(options),
		T(configuration),
		T(read_and_write),
		T(any_layout),
		T(longest_request),
		T(other_requests),
		T(refused_ranges),
		T(refused_shapes),
		T(malformed),
		T(changed_while_served),
		T(turns),
		T(many_at_once),
		T(multiqueue),
		T(save_and_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
