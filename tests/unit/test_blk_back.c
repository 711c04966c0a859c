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
/* What disks stand on: back ends against a model, quotas, memory that is not there. */
#include "tests/host/fake_blk.h"

/* --- back ends against a model --- */

static uint8_t model[KIB(256)];

static void check_model(uint64_t size)
{
	for (uint64_t at = 0; at < size; at += KIB(64)) {
		uint32_t n = (uint32_t)MIN(KIB(64), size - at);

		read_all(at / 512, n);
		assert_memory_equal(data(), model + at, n);
	}
}

/* What a discard may have done: whole pieces are zeros, the rest stays. */
static void model_discard(uint64_t off, uint64_t len, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += PIECE) {
		if (off <= at && (off + len >= at + PIECE || off + len == size))
			memset(model + at, 0, MIN(PIECE, size - at));
	}
}

static void random_operations(uint64_t size, unsigned int seed)
{
	for (unsigned int i = 0; i < 600; i++) {
		uint64_t sectors = size / 512, at = (unsigned int)rand_r(&seed) % sectors;
		uint64_t most = MIN(sectors - at, 300u);
		uint32_t n = 1 + (uint32_t)rand_r(&seed) % (uint32_t)most;
		uint32_t flags = (uint32_t)rand_r(&seed) % 2;

		switch (rand_r(&seed) % 4) {
		case 0:
			for (uint32_t k = 0; k < n * 512; k++)
				data()[k] = (uint8_t)rand_r(&seed);
			memcpy(model + at * 512, data(), n * 512);
			assert_int_equal(request(VIRTIO_BLK_T_OUT, at, n * 512), VIRTIO_BLK_S_OK);
			break;
		case 1:
			assert_int_equal(range(VIRTIO_BLK_T_WRITE_ZEROES, at, n, flags),
					 VIRTIO_BLK_S_OK);
			memset(model + at * 512, 0, n * 512);
			break;
		case 2:
			assert_int_equal(range(VIRTIO_BLK_T_DISCARD, at, n, 0), VIRTIO_BLK_S_OK);
			model_discard(at * 512, n * 512ull, size);
			break;
		default:
			read_all(at, n * 512);
			assert_memory_equal(data(), model + at * 512, n * 512);
			break;
		}
		if (i % 50 == 0)
			fake_epoch_run();
	}
	check_model(size);
}

static void test_ram_against_a_model(void **state)
{
	(void)state;
	attach("ram=256K", DISCARDS);
	memset(model, 0, sizeof(model));
	random_operations(KIB(256), 1);
	attach("ram=100K", DISCARDS); /* ends inside a piece */
	memset(model, 0, sizeof(model));
	random_operations(KIB(100), 2);
	/* All given back by one discard. */
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, 200, 0), VIRTIO_BLK_S_OK);
	fake_epoch_run();
	assert_int_equal(quota_in_use(&a->handler.quota), 4096);
}

static void test_overlay_against_a_model(void **state)
{
	uint64_t size = ALIGN_UP(MODULE_SIZE, 512ul);

	(void)state;
	attach("module=disk.img", DISCARDS);
	memset(model, 0, sizeof(model));
	memcpy(model, module, MODULE_SIZE);
	check_model(size);
	assert_int_equal(fake_pages_live, 0);
	random_operations(size, 3);
	/* Zeros do not show the module again, and cost no memory. */
	assert_int_equal(range(VIRTIO_BLK_T_WRITE_ZEROES, 0, (uint32_t)(size / 512), 1),
			 VIRTIO_BLK_S_OK);
	fake_epoch_run();
	assert_int_equal(quota_in_use(&a->handler.quota), 4096);
	memset(model, 0, sizeof(model));
	check_model(size);
	write_byte(5, 9, 512);
	memset(model + 5 * 512, 9, 512);
	check_model(size);
	for (size_t i = 0; i < sizeof(module); i++)
		assert_int_equal(module[i], (uint8_t)(i * 31 + i / 512 + 1));
}

static void test_read_only(void **state)
{
	uint64_t size = ALIGN_UP(MODULE_SIZE, 512ul);

	(void)state;
	attach("module=disk.img,ro", ALL | VIRTIO_BLK_F_RO);
	memset(model, 0, sizeof(model));
	memcpy(model, module, MODULE_SIZE);
	check_model(size);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	check_model(size);
	/* The back end itself refuses too. */
	{
		struct blk_back *back = vblk_of(d)->disk->back;
		struct blk_io io = {.op = BLOCK_ZERO, .len = 512};

		assert_int_equal(back->ops->submit(back, &io), -RAY_EIO);
	}
	attach("ram=1M,ro", ALL | VIRTIO_BLK_F_RO);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR);
	read_all(0, 4096);
	assert_bytes(0, 4096);
}

/* A copy under way while its piece is discarded by another queue: memory stays until then. */
static void test_discard_under_a_reader(void **state)
{
	struct vblk *b;

	(void)state;
	attach("ram=1M", DISCARDS);
	b = vblk_of(d);
	write_byte(0, 4, KIB(64));
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, 128, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(fake_pages_live, 16);
	assert_int_equal(quota_in_use(&b->v.attach->handler.quota), PIECE + 4096);
	fake_epoch_run();
	assert_int_equal(fake_pages_live, 0);
	assert_int_equal(quota_in_use(&b->v.attach->handler.quota), 4096);
	/* Closing waits for those still under way. */
	write_byte(0, 4, KIB(64));
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, 128, 0), VIRTIO_BLK_S_OK);
	vattach_remove(a);
	assert_null(fake_retired);
}

/* --- quotas and failures --- */

static unsigned int markers(const char *text)
{
	unsigned int n = 0;

	for (const char *p = fake_markers; (p = strstr(p, text)) != NULL; p++)
		n++;
	return n;
}

static void test_space(void **state)
{
	(void)state;
	attach("ram=1M,space=196K", DISCARDS); /* three pieces and their table */
	for (unsigned int i = 0; i < 3; i++)
		write_byte(i * 128, (uint8_t)(i + 1), KIB(64));
	assert_int_equal(markers("QUOTA_EXCEEDED"), 0);
	for (unsigned int i = 0; i < 5; i++) {
		memset(data(), 0x77, 4096);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, 128 * 3, 4096), VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(markers("QUOTA_EXCEEDED vm=fake device=disk0 what=space"), 1);
	assert_int_equal(a->handler.quota.denials, 5);
	assert_int_equal(a->handler.count[POLICY_WRITE].errors, 5);
	for (unsigned int i = 0; i < 3; i++) {
		read_all(i * 128, KIB(64));
		assert_bytes((uint8_t)(i + 1), KIB(64));
	}
	write_byte(0, 9, KIB(64)); /* what it has stays writable */
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, 128, 0), VIRTIO_BLK_S_OK);
	fake_epoch_run();
	write_byte(128 * 3, 5, KIB(64));
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 128 * 4, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(markers("QUOTA_EXCEEDED"), 2);
	assert_false(d->broken);
}

static void test_host_memory_is_left_alone(void **state)
{
	(void)state;
	attach("ram=1M", DISCARDS);
	fake_host_free = MIB(32);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(markers("QUOTA_EXCEEDED"), 0);
	assert_int_equal(quota_in_use(&a->handler.quota), 0);
	fake_host_free = GIB(1);
	write_byte(0, 1, 4096);
}

static void test_iops(void **state)
{
	uint32_t id, len;
	unsigned int served = 0;

	(void)state;
	attach("ram=1M,iops=100", ALL);
	header(VIRTIO_BLK_T_IN, 0);
	for (unsigned int i = 0; i < 30; i++)
		fake_ring_add_indirect(r, (struct fake_buf[]){{hdr, 16, false}, {buf, 512, true},
							      {status, 1, true}}, 3);
	fake_ring_kick(r);
	fake_io_run(vm);
	while (fake_ring_used(r, &id, &len))
		served++;
	assert_int_equal(served, 10); /* a tenth of a second's */
	/* Knocking does not help. */
	fake_ring_kick(r);
	fake_virtio_advance(vm, 9900000);
	assert_false(fake_ring_used(r, &id, &len));
	assert_int_equal(markers("QUOTA_EXCEEDED vm=fake device=disk0 what=ops"), 1);
	for (unsigned int i = 0; i < 20; i++) {
		fake_virtio_advance(vm, i ? 10000000 : 200000);
		assert_true(fake_ring_used(r, &id, &len));
		assert_false(fake_ring_used(r, &id, &len));
	}
	assert_int_equal(markers("QUOTA_EXCEEDED"), 1);
	fake_virtio_advance(vm, 1000000000);
	assert_false(fake_ring_used(r, &id, &len));
	assert_int_equal(a->handler.count[POLICY_READ].ops, 30);
}

static void test_rate(void **state)
{
	uint32_t id, len;
	uint64_t begin;

	(void)state;
	attach("ram=1M,rate=1M,burst=128K", DISCARDS);
	begin = fake_now_ns;
	write_byte(0, 1, KIB(128));
	header(VIRTIO_BLK_T_OUT, 0);
	fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}, {buf, KIB(128), false},
					     {status, 1, true}}, 3);
	fake_ring_kick(r);
	fake_io_run(vm);
	assert_false(fake_ring_used(r, &id, &len));
	while (!fake_ring_used(r, &id, &len))
		fake_virtio_advance(vm, 1000000);
	/* An eighth of a second, for an eighth of a MiB. */
	assert_in_range(fake_now_ns - begin, 124000000, 127000000);
	/* Once paid it is not paid again: the exit handler leaves it to the I/O thread. */
	fake_virtio_advance(vm, 1000000000);
	header(VIRTIO_BLK_T_OUT, 1024);
	fake_ring_add(r, (struct fake_buf[]){{hdr, 16, false}, {buf, KIB(16), false},
					     {status, 1, true}}, 3);
	fake_ring_kick(r);
	assert_true(vblk_of(d)->req[0].admitted);
	fake_io_run(vm);
	assert_true(fake_ring_used(r, &id, &len));
	write_byte(0, 1, KIB(112));
	assert_int_equal(markers("QUOTA_EXCEEDED vm=fake device=disk0 what=bytes"), 1);
	/* What is discarded is not moved. */
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, 2048, 0), VIRTIO_BLK_S_OK);
}

static void test_no_memory_at_every_allocation(void **state)
{
	const struct {
		const char *spec;
		uint32_t type;
	} cases[] = {
		{"ram=1M", VIRTIO_BLK_T_OUT}, {"module=disk.img", VIRTIO_BLK_T_OUT},
		{"module=disk.img", VIRTIO_BLK_T_WRITE_ZEROES},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t st = VIRTIO_BLK_S_IOERR;
		int n;

		attach(cases[i].spec, DISCARDS);
		for (n = 0; st != VIRTIO_BLK_S_OK; n++) {
			int64_t pages = fake_pages_live;

			fake_allocs_left = n;
			st = cases[i].type == VIRTIO_BLK_T_OUT ?
				     request(VIRTIO_BLK_T_OUT, 100, KIB(64)) :
				     range(VIRTIO_BLK_T_WRITE_ZEROES, 100, 100, 0);
			fake_allocs_left = -1;
			assert_in_range(st, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_IOERR);
			assert_false(d->broken);
			/* What there is, is accounted for. */
			assert_int_equal(quota_in_use(&a->handler.quota) % PIECE,
					 quota_in_use(&a->handler.quota) ? 4096 : 0);
			assert_true(fake_pages_live >= pages);
		}
		assert_true(n > 2);
		read_all(0, KIB(64));
		vattach_remove(a);
	}
	/* A discard that cannot be noted keeps the contents. */
	attach("module=disk.img", DISCARDS);
	fake_allocs_left = 0;
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, 128, 0), VIRTIO_BLK_S_OK);
	fake_allocs_left = -1;
	read_all(0, 512);
	assert_memory_equal(data(), module, 512);
}

static void test_attach_fails_at_every_allocation(void **state)
{
	static const char *const specs[] = {"ram=64M", "module=disk.img", "module=disk.img,ro"};
	char why[160];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(specs); i++) {
		int err = -1, n;

		for (n = 0; err; n++) {
			int live = fake_allocs_live;

			fake_allocs_left = n;
			err = vattach_add(vm, "disk", specs[i], &a, why, sizeof(why));
			fake_allocs_left = -1;
			if (err) {
				assert_int_equal(err, -RAY_ENOMEM);
				assert_int_equal(fake_allocs_live, live);
			}
		}
		assert_true(n > 4);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(ram_against_a_model),
		T(overlay_against_a_model),
		T(read_only),
		T(discard_under_a_reader),
		T(space),
		T(host_memory_is_left_alone),
		T(iops),
		T(rate),
		T(no_memory_at_every_allocation),
		T(attach_fails_at_every_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
