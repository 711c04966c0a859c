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
/* The block device on a disk of the host's, which ends requests when it likes. */
#include "tests/host/fake_blk.h"

#define MANY 48u

static uint64_t hdrs, statuses; /* one for each request under way */

static void more_setup(const char *spec, uint64_t features)
{
	hdrs = fake_guest_alloc(MANY * 16, 64);
	statuses = fake_guest_alloc(MANY, 64);
	fake_block_at_once = false;
	fake_block_count = 0;
	fake_block.owner = NULL;
	fake_dirty_host = 0;
	for (unsigned int i = 0; i < FAKE_BLOCK_SIZE; i++)
		fake_block_data[i] = (uint8_t)(i * 7 + i / 512);
	attach(spec, features);
}

static uint8_t status_of(unsigned int i)
{
	return *((uint8_t *)fake_guest(statuses) + i);
}

/* Make request @i available: @n bytes at @sector, in pieces of @piece bytes. */
static uint16_t add(unsigned int i, uint32_t type, uint64_t sector, uint32_t n, uint32_t piece)
{
	bool in = type == VIRTIO_BLK_T_IN;
	struct fake_buf b[QSIZE];
	unsigned int count = 0;
	uint32_t at = 0;

	*((struct vblk_header *)fake_guest(hdrs) + i) = (struct vblk_header){type, 0, sector};
	*((uint8_t *)fake_guest(statuses) + i) = 0xee;
	b[count++] = (struct fake_buf){hdrs + i * 16, 16, false};
	for (; at < n; at += piece)
		b[count++] = (struct fake_buf){buf + i * KIB(8) + at, MIN(piece, n - at), in};
	b[count++] = (struct fake_buf){statuses + i, 1, true};
	return fake_ring_add_indirect(r, b, count);
}

static void kick(void)
{
	fake_ring_kick(r);
	fake_io_run(vm);
}

static void used_is(uint16_t head, uint32_t len)
{
	uint32_t id, got;

	assert_true(fake_ring_used(r, &id, &got));
	assert_int_equal(id, head);
	assert_int_equal(got, len);
}

static void nothing_used(void)
{
	uint32_t id, len;

	assert_false(fake_ring_used(r, &id, &len));
}

static void nothing_held(void)
{
	assert_int_equal(vm->mem.holds[0] + vm->mem.holds[1], 0);
}

static void test_ended_in_any_order(void **state)
{
	uint16_t head[4];

	(void)state;
	more_setup("dev=fake1", ALL);
	for (unsigned int i = 0; i < 4; i++)
		head[i] = add(i, VIRTIO_BLK_T_IN, i * 8, 4096, 4096);
	kick();
	assert_int_equal(fake_block_count, 4);
	assert_int_equal(vm->mem.holds[0], 4);
	nothing_used();
	fake_block_end(2, 0);
	used_is(head[2], 4097);
	assert_memory_equal((uint8_t *)fake_guest(buf) + KIB(16), fake_block_data + 16 * 512, 4096);
	assert_int_equal(status_of(2), VIRTIO_BLK_S_OK);
	assert_int_equal(status_of(0), 0xee);
	fake_block_end(0, -RAY_EIO);
	used_is(head[0], 0);
	assert_int_equal(status_of(0), VIRTIO_BLK_S_IOERR);
	fake_block_end(1, 0);
	fake_block_end(0, 0);
	used_is(head[3], 4097);
	used_is(head[1], 4097);
	nothing_used();
	nothing_held();
	assert_int_equal(a->handler.count[POLICY_READ].ops, 4);
	assert_int_equal(a->handler.count[POLICY_READ].errors, 1);
	assert_int_equal(a->handler.count[POLICY_READ].bytes, 3 * 4096);
	assert_int_equal(fake_dirty_host, 4 * 4097);
}

static void test_in_pieces(void **state)
{
	uint16_t head;

	(void)state;
	more_setup("dev=fake1", ALL);
	head = add(0, VIRTIO_BLK_T_OUT, 3, 8192, 300);
	for (unsigned int i = 0; i < 8192; i++)
		data()[i] = (uint8_t)(i * 13);
	kick();
	assert_int_equal(fake_block_req[0]->seg_count, 28);
	fake_block_end(0, 0);
	used_is(head, 1);
	assert_memory_equal(fake_block_data + 3 * 512, data(), 8192);
	nothing_held();
}

/* Of long requests so many are under way as there is room for; the others wait in the ring. */
static void test_no_more_than_there_is_room_for(void **state)
{
	uint16_t head[20];

	(void)state;
	more_setup("dev=fake1", ALL);
	for (unsigned int i = 0; i < 20; i++)
		head[i] = add(i, VIRTIO_BLK_T_IN, i, 18 * 512, 512);
	kick();
	assert_int_equal(fake_block_count, 16);
	for (unsigned int i = 0; i < 20; i++) {
		fake_block_end(0, 0);
		used_is(head[i], 18 * 512 + 1);
		assert_int_equal(fake_block_count, MIN(16u, 19 - i));
	}
	nothing_held();
}

static void test_kept(void **state)
{
	uint16_t head;

	(void)state;
	more_setup("dev=fake1", ALL);
	head = add(0, VIRTIO_BLK_T_FLUSH, 0, 0, 1);
	kick();
	assert_int_equal(fake_block_req[0]->op, BLOCK_FLUSH);
	fake_block_end(0, 0);
	used_is(head, 1);
	head = add(0, VIRTIO_BLK_T_OUT, 0, 512, 512);
	kick();
	assert_int_equal(fake_block_req[0]->flags, 0);
	fake_block_end(0, 0);
	used_is(head, 1);
	fake_config_write(d, VBLK_CFG_WRITEBACK, 1, 0);
	head = add(0, VIRTIO_BLK_T_OUT, 0, 512, 512);
	kick();
	assert_int_equal(fake_block_req[0]->flags, BLOCK_F_FUA);
	fake_block_end(0, 0);
	used_is(head, 1);
}

static void test_ranges_one_after_the_other(void **state)
{
	const struct vblk_range range[3] = {{8, 8, 0}, {64, 0, 0}, {100, 4, VBLK_RANGE_UNMAP}};

	(void)state;
	more_setup("dev=fake1", DISCARDS);
	*(struct vblk_header *)fake_guest(hdrs) =
		(struct vblk_header){VIRTIO_BLK_T_WRITE_ZEROES, 0, 0};
	memcpy(data(), range, sizeof(range));
	{
		const struct fake_buf b[] = {{hdrs, 16, false}, {buf, sizeof(range), false},
					     {statuses, 1, true}};
		uint16_t head = fake_ring_add(r, b, 3);

		kick();
		assert_int_equal(fake_block_count, 1);
		assert_int_equal(fake_block_req[0]->off, 8 * 512);
		assert_int_equal(fake_block_req[0]->flags, 0);
		fake_block_end(0, 0);
		nothing_used();
		assert_int_equal(fake_block_req[0]->off, 100 * 512);
		assert_int_equal(fake_block_req[0]->flags, BLOCK_F_UNMAP);
		fake_block_end(0, 0);
		used_is(head, 1);
	}
	for (unsigned int i = 0; i < 8 * 512; i++)
		assert_int_equal(fake_block_data[8 * 512 + i], 0);
	nothing_held();
}

static void test_at_once(void **state)
{
	(void)state;
	more_setup("dev=fake1", ALL);
	fake_block_at_once = true;
	write_byte(5, 0x77, 4096);
	read_all(5, 4096);
	assert_bytes(0x77, 4096);
	assert_int_equal(request(VIRTIO_BLK_T_IN, FAKE_BLOCK_SIZE / 512, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
	nothing_held();
}

static void end_all(void)
{
	while (fake_block_count > 0)
		fake_block_end(0, 0);
}

/* A reset waits until the disk has let go of the guest's memory, and tells nobody. */
static void test_reset_meanwhile(void **state)
{
	(void)state;
	more_setup("dev=fake1", ALL);
	add(0, VIRTIO_BLK_T_IN, 0, 4096, 4096);
	add(1, VIRTIO_BLK_T_OUT, 0, 4096, 4096);
	kick();
	fake_sleep_hook = end_all;
	fake_common_write(d, FAKE_STATUS, 1, 0);
	fake_sleep_hook = NULL;
	assert_int_equal(fake_block_count, 0);
	nothing_used();
	nothing_held();
	assert_true(fake_driver_start(d, ALL, rings, 1, QSIZE));
	fake_block_at_once = true;
	write_byte(1, 1, 512);
}

/* Before it is saved everything ends, and the driver hears of it. */
static void test_quiet_when_saved(void **state)
{
	uint16_t head;

	(void)state;
	more_setup("dev=fake1", ALL);
	head = add(0, VIRTIO_BLK_T_IN, 0, 4096, 4096);
	kick();
	fake_sleep_hook = end_all;
	d->dev.ops->quiesce(&d->dev);
	fake_sleep_hook = NULL;
	used_is(head, 4097);
	nothing_held();
	d->dev.ops->resume(&d->dev);
	fake_io_run(vm);
	fake_block_at_once = true;
	write_byte(1, 1, 512);
}

/* --- no space --- */

static bool waits(const struct blk_back *b)
{
	(void)b;
	return true;
}

/* The back end as one that waits for space, as volumes can. */
static void let_it_wait(void)
{
	static struct blk_back_ops ops;
	struct vblk_disk *disk = a->back;

	ops = *disk->back->ops;
	ops.waits = waits;
	disk->back->ops = &ops;
	fake_pauses = 0;
}

static void test_no_space_fails(void **state)
{
	uint16_t head;

	(void)state;
	more_setup("dev=fake1", ALL);
	fake_pauses = 0;
	head = add(0, VIRTIO_BLK_T_OUT, 0, 4096, 4096);
	kick();
	fake_block_end(0, -RAY_ENOSPC);
	used_is(head, 1);
	assert_int_equal(status_of(0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(fake_pauses, 0);
}

/* What a VM does when a device asks for it. */
static void pause_and_resume(bool anew)
{
	uint8_t record[KIB(8)];
	size_t len;

	d->dev.ops->quiesce(&d->dev);
	nothing_held();
	if (anew) {
		len = fake_save(&d->dev, record, sizeof(record));
		fake_common_write(d, FAKE_STATUS, 1, 0);
		assert_int_equal(fake_load(&d->dev, record, len), 0);
	}
	d->dev.ops->resume(&d->dev);
	fake_io_run(vm);
}

static void no_space_waits(bool anew)
{
	uint16_t head[3];

	more_setup("dev=fake1", ALL);
	let_it_wait();
	for (unsigned int i = 0; i < 3; i++)
		head[i] = add(i, VIRTIO_BLK_T_OUT, i * 8, 4096, 4096);
	kick();
	fake_block_end(0, -RAY_ENOSPC);
	fake_block_end(1, -RAY_ENOSPC);
	fake_block_end(0, 0);
	used_is(head[1], 1);
	nothing_used();
	assert_int_equal(fake_pauses, 2);
	assert_int_equal(status_of(0), 0xee);
	/* Nothing is begun again before the VM goes on; then once more for nothing. */
	kick();
	assert_int_equal(fake_block_count, 0);
	pause_and_resume(anew);
	assert_int_equal(fake_block_count, 2);
	fake_block_end(0, -RAY_ENOSPC);
	assert_int_equal(fake_pauses, 3);
	memset(data(), 0x3c, 4096);
	memset(data() + KIB(16), 0x3d, 4096);
	fake_block_end(0, 0);
	used_is(head[0], 1);
	pause_and_resume(anew);
	fake_block_end(0, 0);
	used_is(head[2], 1);
	nothing_used();
	nothing_held();
	assert_int_equal(fake_block_data[0], 0x3c);
	assert_int_equal(fake_block_data[16 * 512], 0x3d);
	assert_int_equal(a->handler.count[POLICY_WRITE].errors, 0);
	fake_block_at_once = true;
	write_byte(1, 1, 512);
}

static void test_no_space_waits(void **state)
{
	(void)state;
	no_space_waits(false);
}

static void test_no_space_waits_and_is_rebuilt(void **state)
{
	(void)state;
	no_space_waits(true);
}

/* The guest changes what it asked for while it waits: looked at as if it were new. */
static void test_changed_while_it_waits(void **state)
{
	uint16_t head[2];

	(void)state;
	more_setup("dev=fake1", ALL);
	let_it_wait();
	for (unsigned int i = 0; i < 2; i++) {
		head[i] = add(i, VIRTIO_BLK_T_OUT, 0, 4096, 4096);
		kick();
		fake_block_end(0, -RAY_ENOSPC);
	}
	((struct vblk_header *)fake_guest(hdrs))[1].sector = FAKE_BLOCK_SIZE;
	((struct vblk_header *)fake_guest(hdrs))[0].type = 99;
	pause_and_resume(false);
	used_is(head[1], 1);
	assert_int_equal(status_of(1), VIRTIO_BLK_S_IOERR);
	used_is(head[0], 1);
	assert_int_equal(status_of(0), VIRTIO_BLK_S_UNSUPP);
	nothing_held();
	fake_block_at_once = true;
	write_byte(1, 1, 512);
}

/* The same chain over and over while it waits: more than the queue has is the driver's fault. */
static void test_too_many_wait(void **state)
{
	uint16_t head;

	(void)state;
	more_setup("dev=fake1", ALL);
	let_it_wait();
	head = add(0, VIRTIO_BLK_T_OUT, 0, 4096, 4096);
	kick();
	for (unsigned int i = 0; i < VBLK_QUEUE_SIZE && !d->broken; i++) {
		fake_block_end(0, -RAY_ENOSPC);
		fake_ring_push(r, head);
		kick();
	}
	fake_block_end(0, -RAY_ENOSPC);
	assert_true(d->broken);
	fake_common_write(d, FAKE_STATUS, 1, 0);
	assert_true(fake_driver_start(d, ALL, rings, 1, QSIZE));
	fake_block_at_once = true;
	write_byte(1, 1, 512);
}

/* A record that names more than a queue can have is refused. */
static void test_bad_record(void **state)
{
	uint8_t record[KIB(8)];
	size_t len, waiting;

	(void)state;
	more_setup("dev=fake1", ALL);
	d->dev.ops->quiesce(&d->dev);
	len = fake_save(&d->dev, record, sizeof(record));
	assert_int_equal(fake_load(&d->dev, record, len), 0);
	waiting = len - 2u * d->queue_count;
	record[waiting] = 0xff;
	record[waiting + 1] = 0xff;
	assert_int_equal(fake_load(&d->dev, record, len), -RAY_EINVAL);
	record[waiting] = 2;
	record[waiting + 1] = 0;
	assert_int_equal(fake_load(&d->dev, record, waiting + 4), -RAY_EINVAL);
	d->dev.ops->resume(&d->dev);
}

static void test_one_guest_only(void **state)
{
	struct vattach *other;
	char why[160], text[128];

	(void)state;
	more_setup("dev=fake1,serial=x", ALL);
	a->kind->describe(a, text, sizeof(text));
	assert_string_equal(text, "1M fake1 serial=x queues=2");
	assert_int_equal(fake_config_read(d, VBLK_CFG_CAPACITY, 8), FAKE_BLOCK_SIZE / 512);
	assert_int_equal(vattach_add(vm, "disk", "dev=fake1", &other, why, sizeof(why)),
			 -RAY_EBUSY);
	assert_string_equal(why, "disk1: 'fake1' is in use; see `disk list`");
	assert_int_equal(vattach_add(vm, "disk", "dev=fake2", &other, why, sizeof(why)),
			 -RAY_ENOENT);
	assert_string_equal(why, "disk1: no disk is named 'fake2'; see `disk list`");
	vattach_pull(a);
	assert_null(fake_block.owner);
	assert_int_equal(fake_block.refs, 0);
}

/* Every allocation of an attachment fails once. */
static void test_no_memory(void **state)
{
	struct vattach *mine;
	char why[160];
	int n = 0, err;

	(void)state;
	fake_block.owner = NULL;
	do {
		fake_allocs_left = n++;
		err = vattach_add(vm, "disk", "dev=fake1,queues=2", &mine, why, sizeof(why));
		if (err) {
			assert_int_equal(err, -RAY_ENOMEM);
			assert_null(fake_block.owner);
			assert_int_equal(fake_block.refs, 0);
		}
	} while (err);
	fake_allocs_left = -1;
	assert_true(n > 30);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(ended_in_any_order), T(in_pieces), T(no_more_than_there_is_room_for), T(kept),
		T(ranges_one_after_the_other), T(at_once), T(reset_meanwhile), T(quiet_when_saved),
		T(no_space_fails), T(no_space_waits), T(no_space_waits_and_is_rebuilt),
		T(changed_while_it_waits), T(too_many_wait), T(bad_record), T(one_guest_only),
		T(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
