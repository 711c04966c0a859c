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
/* Requests of a driver that means harm to the block device, each made by hand. */
#include "tests/host/fake_blk.h"

#define DISK    MIB(1)
#define SECTORS (DISK / 512)
#define FILL    0x5a

static void assert_untouched(void)
{
	for (uint64_t at = 0; at < SECTORS; at += BUF_SIZE / 512) {
		read_all(at, BUF_SIZE);
		assert_bytes(FILL, BUF_SIZE);
	}
}

static void disk_filled(void)
{
	attach("ram=1M", DISCARDS);
	for (uint64_t at = 0; at < SECTORS; at += BUF_SIZE / 512)
		write_byte(at, FILL, BUF_SIZE);
}

/* Every type that is none with every sector that is none: refused, and nothing else happens. */
static void test_types_and_sectors(void **state)
{
	static const uint32_t types[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 0x100,
					 0x80000000, 0x80000001, UINT32_MAX - 1, UINT32_MAX};
	static const uint64_t sectors[] = {SECTORS, SECTORS + 1, 1ull << 32, (1ull << 32) - 1,
					   (1ull << 55) - 1, 1ull << 55, (1ull << 55) + 1, 1ull << 63,
					   (1ull << 63) - 1, UINT64_MAX / 512, UINT64_MAX / 512 + 1,
					   UINT64_MAX - SECTORS, UINT64_MAX - 1, UINT64_MAX};
	static const uint32_t lengths[] = {512, 1024, 4096, BUF_SIZE};

	(void)state;
	disk_filled();
	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
		for (unsigned int n = 0; n < ARRAY_SIZE(sectors); n++) {
			for (unsigned int k = 0; k < ARRAY_SIZE(lengths); k++) {
				uint8_t said;

				memset(data(), 0xff, lengths[k]);
				said = request(types[i], sectors[n], lengths[k]);
				if (types[i] == VIRTIO_BLK_T_GET_ID || types[i] == VIRTIO_BLK_T_FLUSH)
					assert_int_equal(said, VIRTIO_BLK_S_OK); /* their sector is nothing */
				else
					assert_int_not_equal(said, VIRTIO_BLK_S_OK);
			}
		}
	}
	assert_untouched();
	assert_int_equal(a->handler.malformed, 0);
}

/* Ranges that are right in front of one that is not: none of them is worked on. */
static void test_ranges_all_or_none(void **state)
{
	static const struct vblk_range bad[] = {
		{SECTORS, 1, 0}, {SECTORS - 1, 2, 0}, {UINT64_MAX, 1, 0}, {UINT64_MAX, UINT32_MAX, 0},
		{1ull << 55, 1, 0}, {(1ull << 55) - 1, 1, 0}, {1, UINT32_MAX, 0}, {0, SECTORS + 1, 0},
		{UINT64_MAX - 7, 8, 0}, {UINT64_MAX - 7, 9, 0}, {1ull << 63, 0x80000000, 0},
		{0, 1, 2}, {0, 1, UINT32_MAX}, {0, 0, 0x80000000},
	};
	struct vblk_range all[VBLK_RANGES_MAX];

	(void)state;
	disk_filled();
	for (uint32_t type = VIRTIO_BLK_T_DISCARD; type <= VIRTIO_BLK_T_WRITE_ZEROES; type += 2) {
		for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
			for (unsigned int n = 0; n < VBLK_RANGES_MAX; n++)
				all[n] = (struct vblk_range){n * 128, 128, 0};
			all[VBLK_RANGES_MAX - 1] = bad[i];
			assert_int_not_equal(ranges(type, all, VBLK_RANGES_MAX), VIRTIO_BLK_S_OK);
		}
	}
	assert_untouched();
	assert_int_equal(a->handler.malformed, 0);
}

/* A buffer that is no memory, in each place of a request. */
static void test_buffers_that_are_none(void **state)
{
	static const struct {
		uint64_t gpa;
		uint32_t len;
	} bad[] = {
		{FAKE_RAM_SIZE, 1}, {FAKE_RAM_SIZE - 1, 2}, {FAKE_RAM_SIZE - 512, 513},
		{UINT64_MAX, 1}, {UINT64_MAX, 2}, {UINT64_MAX - 511, 512}, {UINT64_MAX - 510, 512},
		{UINT64_MAX - 15, UINT32_MAX}, {0, UINT32_MAX}, {1ull << 63, 512}, {1ull << 52, 512},
		{0xfee00000, 16}, {0, FAKE_RAM_SIZE + 1},
	};
	unsigned int broken = 0;

	(void)state;
	disk_filled();
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		for (unsigned int place = 0; place < 3; place++) {
			for (uint32_t type = VIRTIO_BLK_T_IN; type <= VIRTIO_BLK_T_OUT; type++) {
				struct fake_buf b[] = {{hdr, 16, false},
						       {buf, 512, type == VIRTIO_BLK_T_IN},
						       {status, 1, true}};
				uint32_t id, len;

				b[place].gpa = bad[i].gpa;
				b[place].len = bad[i].len;
				header(type, 0);
				memset(data(), 0xff, 512);
				fake_ring_add(r, b, 3);
				fake_ring_kick(r);
				fake_io_run(vm);
				assert_true(d->broken);
				assert_int_equal(a->handler.malformed, ++broken);
				assert_false(fake_ring_used(r, &id, &len));
				assert_int_equal(status_byte(), 0xee);
				assert_true(fake_driver_start(d, DISCARDS, rings, 1, QSIZE));
			}
		}
	}
	assert_untouched();
}

/* Buffers of a request that lie on each other: the header that was checked is what counts. */
static void test_buffers_on_each_other(void **state)
{
	struct fake_buf b[] = {{0, 16, false}, {0, 512, true}, {0, 1, true}};

	(void)state;
	disk_filled();
	b[0].gpa = b[1].gpa = buf;
	b[2].gpa = status;
	header(VIRTIO_BLK_T_IN, 0);
	*(struct vblk_header *)(void *)data() = (struct vblk_header){VIRTIO_BLK_T_IN, 0, SECTORS - 1};
	assert_int_equal(send(b, 3), 513);
	assert_int_equal(status_byte(), VIRTIO_BLK_S_OK);
	assert_bytes(FILL, 512);
	/* The status over the header, over the data, and at the end of it. */
	for (unsigned int at = 0; at < 3; at++) {
		static const uint32_t where[] = {0, 100, 512};

		*(struct vblk_header *)fake_guest(buf + KIB(4)) = (struct vblk_header){0, 0, 1};
		b[0].gpa = buf + KIB(4);
		b[2].gpa = at ? buf + where[at] : b[0].gpa;
		assert_int_equal(send(b, 3), 513);
		assert_int_equal(*(uint8_t *)fake_guest(b[2].gpa), VIRTIO_BLK_S_OK);
		assert_int_equal(data()[511], FILL);
	}
	/* A read into the ring that it came by: whatever the driver then finds, nobody else does. */
	b[0].gpa = hdr;
	b[1].gpa = r->avail;
	b[2].gpa = status;
	header(VIRTIO_BLK_T_IN, 0);
	fake_ring_add(r, b, 3);
	fake_ring_kick(r);
	fake_io_run(vm);
	assert_true(fake_driver_start(d, DISCARDS, rings, 1, QSIZE));
	assert_untouched();
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_types_and_sectors),
		TEST(test_ranges_all_or_none),
		TEST(test_buffers_that_are_none),
		TEST(test_buffers_on_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
