/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c security/quota.c kernel/lib/bucket.c
 * kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c kernel/lib/muldiv.c
 * hv/seed.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The queue walker: rings as a driver fills them, and as none should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"

#define SIZE 8u
#define CHUNK SIZE_2M

static struct vm *vm;
static struct virtio_dev *d;
static struct fake_ring ring[2], *r = &ring[0];
static struct virtq *q;
static uint64_t src, dst;

static void start(uint64_t features)
{
	assert_true(fake_driver_start(d, features, ring, 2, SIZE));
	q = &d->queue[0];
}

static int setup(void **state)
{
	(void)state;
	vm = fake_virtio_vm(1);
	d = fake_attach(vm, "echo", "")->dev;
	src = fake_guest_alloc(4096, 4096);
	dst = fake_guest_alloc(4096, 4096);
	for (unsigned int i = 0; i < 4096; i++)
		((uint8_t *)fake_guest(src))[i] = (uint8_t)(i * 7 + 1);
	start(VIRTIO_F_INDIRECT_DESC);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_virtio_vm_destroy(vm);
	return 0;
}

/* Exactly one entry was used, of @head, with @len bytes. */
static void assert_used(uint32_t head, uint32_t len)
{
	uint32_t id, n;

	assert_true(fake_ring_used(r, &id, &n));
	assert_int_equal(id, head);
	assert_int_equal(n, len);
}

static void assert_nothing_used(void)
{
	uint32_t id, n;

	assert_false(fake_ring_used(r, &id, &n));
}

/* The device is broken for that reason, says so, and serves nothing until it is reset. */
static void assert_broken(const char *why)
{
	char line[128];

	fake_io_run(vm);
	assert_true(d->broken);
	assert_string_equal(d->broken_why, why);
	assert_true(fake_common_read(d, FAKE_STATUS, 1) & VIRTIO_S_NEEDS_RESET);
	snprintf(line, sizeof(line), "NEEDS_RESET vm=fake device=echo0 reason=%s\n", why);
	assert_non_null(strstr(fake_markers, line));
	assert_nothing_used();
	assert_int_equal(fake_end, VM_END_NONE);
	fake_markers[0] = '\0';
	start(VIRTIO_F_INDIRECT_DESC);
	assert_false(d->broken);
}

static struct fake_desc *desc(uint16_t i)
{
	return fake_ring_desc(r, i);
}

static void kick(uint16_t head)
{
	fake_ring_push(r, head);
	fake_ring_kick(r);
}

static void echo(unsigned int n)
{
	const struct fake_buf b[] = {{src, n, false}, {dst, n, true}};
	uint16_t head = fake_ring_add(r, b, 2);

	fake_ring_kick(r);
	assert_used(head, n);
	assert_memory_equal(fake_guest(src), fake_guest(dst), n);
}

static void test_chains(void **state)
{
	const struct fake_buf many[] = {{src, 1, false}, {src + 1, 2, false}, {src + 3, 97, false},
					{dst, 3, true}, {dst + 3, 1, true}, {dst + 4, 90, true}};
	const struct fake_buf out[] = {{src, 10, false}}, in[] = {{dst, 10, true}};
	const struct fake_buf empty[] = {{src, 0, false}, {src, 4, false}, {dst, 0, true},
					 {dst, 4, true}};
	uint16_t head;

	(void)state;
	echo(100);
	head = fake_ring_add(r, many, 6);
	fake_ring_kick(r);
	assert_used(head, 94);
	assert_memory_equal(fake_guest(src), fake_guest(dst), 94);
	memset(fake_guest(dst), 0, 100);
	head = fake_ring_add_indirect(r, many, 6);
	fake_ring_kick(r);
	assert_used(head, 94);
	assert_memory_equal(fake_guest(src), fake_guest(dst), 94);
	head = fake_ring_add(r, out, 1);
	fake_ring_kick(r);
	assert_used(head, 0);
	head = fake_ring_add(r, in, 1);
	fake_ring_kick(r);
	assert_used(head, 0);
	head = fake_ring_add(r, empty, 4);
	fake_ring_kick(r);
	assert_used(head, 4);
	assert_nothing_used();
	assert_int_equal(q->served, 6);
}

/* Whatever of it the guest has given back: the exit handler leaves it to the I/O thread. */
static void test_absent_memory_comes_first(void **state)
{
	const uint64_t gone[] = {src, dst, r->desc, r->avail, r->used};

	(void)state;
	fake_low_memory(vm, false);
	for (unsigned int i = 0; i < ARRAY_SIZE(gone); i++) {
		const struct fake_buf b[] = {{src, 100, false}, {dst, 100, true}};
		uint16_t head = fake_ring_add(r, b, 2);

		memset(fake_guest(dst), 0, 100);
		fake_absent = ALIGN_DOWN(gone[i], PAGE_SIZE);
		fake_ring_kick(r);
		assert_true(fake_absent != UINT64_MAX);
		assert_nothing_used();
		fake_io_run(vm);
		assert_true(fake_absent == UINT64_MAX);
		assert_false(d->broken);
		assert_used(head, 100);
		assert_memory_equal(fake_guest(src), fake_guest(dst), 100);
	}
	assert_int_equal(fake_end, VM_END_NONE);
}

static void test_many_at_once_are_one_interrupt(void **state)
{
	const struct fake_buf b[] = {{src, 8, false}};
	uint64_t before = q->interrupts;

	(void)state;
	for (unsigned int i = 0; i < SIZE; i++)
		fake_ring_add(r, b, 1);
	fake_ring_kick(r);
	for (uint32_t i = 0; i < SIZE; i++)
		assert_used(i, 0);
	assert_int_equal(q->interrupts, before + 1);
	fake_ring_no_interrupt(r, true);
	echo(4);
	assert_int_equal(q->interrupts, before + 1);
	fake_ring_no_interrupt(r, false);
	echo(4);
	assert_int_equal(q->interrupts, before + 2);
}

/* A driver that makes more available than one turn takes. */
static void test_a_queue_has_its_turn(void **state)
{
	static struct fake_ring big[2];
	uint32_t head, len;
	unsigned int used = 0, rest = 0;

	(void)state;
	assert_true(fake_driver_start(d, 0, big, 2, 256));
	for (uint16_t i = 0; i < 8; i++)
		*fake_ring_desc(&big[0], i) = (struct fake_desc){
			i < 7 ? src : dst, 4, i < 7 ? FAKE_DESC_NEXT : FAKE_DESC_WRITE, (uint16_t)(i + 1)};
	for (unsigned int i = 0; i < 200; i++)
		fake_ring_push(&big[0], 0);
	fake_ring_kick(&big[0]);
	while (fake_ring_used(&big[0], &head, &len))
		used++;
	assert_int_equal(used, 512 / 8);
	fake_io_run(vm);
	while (fake_ring_used(&big[0], &head, &len))
		rest++;
	assert_int_equal(used + rest, 200);
	assert_false(d->broken);
}

static void test_loop(void **state)
{
	(void)state;
	*desc(0) = (struct fake_desc){src, 1, FAKE_DESC_NEXT, 1};
	*desc(1) = (struct fake_desc){src, 1, FAKE_DESC_NEXT, 0};
	kick(0);
	assert_broken("chain longer than its queue");
	*desc(3) = (struct fake_desc){src, 1, FAKE_DESC_NEXT, 3};
	kick(3);
	assert_broken("chain longer than its queue");
}

/* As long as the device's queue, be the driver's shorter. */
static void test_as_long_as_the_queue(void **state)
{
	static struct fake_buf b[257];
	const unsigned int size = d->queue[0].size_max;

	(void)state;
	assert_int_equal(size, 256);
	assert_int_equal(d->queue[0].size, SIZE);
	for (unsigned int i = 0; i <= size; i++)
		b[i] = (struct fake_buf){i < 4 ? src + i : dst + i - 4, 1, i >= 4};
	kick((fake_ring_add(r, b, SIZE), 0)); /* and once more the same */
	assert_used(0, 4);
	assert_used(0, 4);
	kick((fake_ring_add_indirect(r, b, size), 0));
	assert_used(0, 4);
	assert_used(0, 4);
	fake_ring_add_indirect(r, b, size + 1);
	fake_ring_kick(r);
	assert_broken("chain longer than its queue");
}

static void test_indices_outside(void **state)
{
	(void)state;
	kick(SIZE);
	assert_broken("descriptor index outside its table");
	kick(0xffff);
	assert_broken("descriptor index outside its table");
	*desc(0) = (struct fake_desc){src, 1, FAKE_DESC_NEXT, SIZE};
	kick(0);
	assert_broken("descriptor index outside its table");
	*(uint16_t *)fake_guest(r->avail + 2) = SIZE + 1;
	fake_ring_kick(r);
	assert_broken("available index beyond the queue");
	*(uint16_t *)fake_guest(r->avail + 2) = 0xffff;
	fake_ring_kick(r);
	assert_broken("available index beyond the queue");
}

static void test_order(void **state)
{
	const struct fake_buf b[] = {{src, 4, false}, {dst, 4, true}, {src, 4, false}};

	(void)state;
	fake_ring_add(r, b, 3);
	fake_ring_kick(r);
	assert_broken("readable buffer behind a writable one");
}

static void test_buffers_outside(void **state)
{
	static const struct {
		uint64_t gpa;
		uint32_t len;
	} bad[] = {
		{FAKE_RAM_SIZE, 1}, {FAKE_RAM_SIZE - 1, 2}, {0xe0000000, 16}, {UINT64_MAX, 1},
		{UINT64_MAX - 10, 20}, {1ull << 63, 4}, {FAKE_RAM_SIZE - CHUNK - 1, 0xffffffff},
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(bad) * 2; i++) {
		const struct fake_buf b[] = {{bad[i / 2].gpa, bad[i / 2].len, i % 2}};

		fake_ring_add(r, b, 1);
		fake_ring_kick(r);
		assert_broken("buffer outside memory");
	}
}

static void test_longer_than_4_gib(void **state)
{
	struct fake_buf b[] = {{src, 1, false}, {0, 0xffffffff, false}};

	(void)state;
	fake_ring_add(r, b, 2);
	fake_ring_kick(r);
	assert_broken("chain longer than 4 GiB");
	b[0].write = b[1].write = true;
	fake_ring_add(r, b, 2);
	fake_ring_kick(r);
	assert_broken("chain longer than 4 GiB");
}

static void test_too_many_pieces(void **state)
{
	struct fake_buf b[SIZE];

	(void)state;
	/* Each crosses the end of a chunk, so it is two pieces: with a queue of 8 that fits. */
	for (unsigned int i = 0; i < SIZE; i++)
		b[i] = (struct fake_buf){CHUNK - 8, 16, false};
	assert_true(q->seg_max >= 2 * SIZE);
	fake_ring_add(r, b, SIZE);
	fake_ring_kick(r);
	assert_used(0, 0);
	q->seg_max = SIZE; /* as with larger queues */
	fake_ring_add(r, b, SIZE);
	fake_ring_kick(r);
	assert_broken("buffers in too many pieces");
}

static void test_indirect(void **state)
{
	uint64_t table = fake_guest_alloc(256, 16);
	struct fake_desc *t = fake_guest(table);
	static const uint32_t broken_len[] = {0, 1, 8, 15, 17, 40};

	(void)state;
	t[0] = (struct fake_desc){src, 4, 0, 0};
	for (unsigned int i = 0; i < ARRAY_SIZE(broken_len); i++) {
		*desc(0) = (struct fake_desc){table, broken_len[i], FAKE_DESC_INDIRECT, 0};
		kick(0);
		assert_broken("indirect table of a broken length");
	}
	*desc(0) = (struct fake_desc){table, 16, FAKE_DESC_INDIRECT | FAKE_DESC_NEXT, 1};
	kick(0);
	assert_broken("indirect descriptor with a next one");
	t[0] = (struct fake_desc){table, 16, FAKE_DESC_INDIRECT, 0};
	*desc(0) = (struct fake_desc){table, 16, FAKE_DESC_INDIRECT, 0};
	kick(0);
	assert_broken("indirect descriptor in an indirect table");
	t[0] = (struct fake_desc){src, 4, FAKE_DESC_NEXT, 1};
	*desc(0) = (struct fake_desc){table, 16, FAKE_DESC_INDIRECT, 0};
	kick(0);
	assert_broken("descriptor index outside its table");
	*desc(0) = (struct fake_desc){FAKE_RAM_SIZE - 8, 16, FAKE_DESC_INDIRECT, 0};
	kick(0);
	assert_broken("descriptor outside memory");
	*desc(0) = (struct fake_desc){UINT64_MAX - 15, 0xfffffff0, FAKE_DESC_INDIRECT, 0};
	kick(0);
	assert_broken("descriptor outside memory");
	/* Behind direct descriptors it is fine (2.7.5.3.2). */
	t[0] = (struct fake_desc){dst, 4, FAKE_DESC_WRITE, 0};
	*desc(0) = (struct fake_desc){src, 4, FAKE_DESC_NEXT, 1};
	*desc(1) = (struct fake_desc){table, 16, FAKE_DESC_INDIRECT, 0};
	kick(0);
	assert_used(0, 4);
	start(0);
	t[0] = (struct fake_desc){src, 4, 0, 0};
	*desc(0) = (struct fake_desc){table, 16, FAKE_DESC_INDIRECT, 0};
	kick(0);
	assert_broken("indirect descriptor, not negotiated");
}

static void test_tables_across_chunks(void **state)
{
	uint64_t table = CHUNK - 24;
	struct fake_desc *t = fake_guest(table);

	(void)state;
	t[0] = (struct fake_desc){src, 4, FAKE_DESC_NEXT, 2};
	t[2] = (struct fake_desc){dst, 4, FAKE_DESC_WRITE, 0};
	*desc(0) = (struct fake_desc){table + 0, 48, FAKE_DESC_INDIRECT, 0};
	kick(0);
	assert_used(0, 4);
}

static void test_rings_outside(void **state)
{
	(void)state;
	q->avail = FAKE_RAM_SIZE;
	virtq_locate(q);
	fake_ring_kick(r);
	assert_broken("ring outside memory");
	q->avail = FAKE_RAM_SIZE - 4; /* the entries are what is outside */
	virtq_locate(q);
	*(uint16_t *)fake_guest(q->avail + 2) = 1;
	fake_ring_kick(r);
	assert_broken("ring outside memory");
	q->desc = UINT64_MAX - 3;
	virtq_locate(q);
	kick(0);
	assert_broken("descriptor outside memory");
	q->used = FAKE_RAM_SIZE - 4;
	virtq_locate(q);
	*desc(0) = (struct fake_desc){src, 4, 0, 0};
	kick(0);
	assert_broken("used ring outside memory");
}

/* Rings in which each entry of the used ring lies half in one chunk, half in the next. */
static void test_used_ring_across_a_chunk(void **state)
{
	const struct fake_buf b[] = {{src, 8, false}, {dst, 8, true}};
	uint16_t head;

	(void)state;
	r->used = q->used = CHUNK - 8;
	virtq_locate(q);
	head = fake_ring_add(r, b, 2);
	fake_ring_kick(r);
	assert_used(head, 8);
}

static void test_event_index(void **state)
{
	const struct fake_buf b[] = {{src, 8, false}};
	uint64_t before;

	(void)state;
	start(VIRTIO_F_EVENT_IDX);
	before = q->interrupts;
	fake_ring_used_event(r, 2); /* when the third has been used */
	for (unsigned int i = 0; i < 2; i++) {
		fake_ring_add(r, b, 1);
		assert_true(fake_ring_kick_wanted(r, 1));
	}
	assert_int_equal(q->interrupts, before);
	for (unsigned int i = 0; i < 3; i++)
		fake_ring_add(r, b, 1);
	assert_true(fake_ring_kick_wanted(r, 3));
	assert_int_equal(q->interrupts, before + 1);
	fake_ring_add(r, b, 1);
	assert_true(fake_ring_kick_wanted(r, 1));
	assert_int_equal(q->interrupts, before + 1);
	/* The device has not been to the ring since: it wants to hear of the first one only. */
	fake_echo_slow = true;
	fake_ring_add(r, b, 1);
	assert_true(fake_ring_kick_wanted(r, 1));
	fake_ring_add(r, b, 1);
	assert_false(fake_ring_kick_wanted(r, 1));
	fake_echo_slow = false;
	fake_io_run(vm);
	fake_ring_add(r, b, 1);
	assert_true(fake_ring_kick_wanted(r, 1));
}

static void test_indices_wrap(void **state)
{
	const struct fake_buf b[] = {{src, 8, false}, {dst, 8, true}};
	uint32_t id, len, told = 0;

	(void)state;
	start(VIRTIO_F_EVENT_IDX);
	for (unsigned int i = 0; i < 0x10000 + 2 * SIZE; i++) {
		uint64_t before = q->interrupts;
		bool want = i % 3 == 0;

		fake_ring_used_event(r, (uint16_t)(r->used_seen + (want ? 0 : 5)));
		fake_ring_add(r, b, 2);
		assert_true(fake_ring_kick_wanted(r, 1));
		assert_true(fake_ring_used(r, &id, &len));
		assert_int_equal(id, i * 2 % SIZE);
		assert_int_equal(len, 8);
		assert_int_equal(q->interrupts - before, want);
		told += want;
	}
	assert_true(told > 0x5000);
	assert_int_equal(q->used_idx, 2 * SIZE);
	assert_nothing_used();
}

/* virtq_next() again and again gives the same chain until it is taken. */
static void test_next_does_not_take(void **state)
{
	const struct fake_buf b[] = {{src, 8, false}, {dst, 8, true}};
	struct virtq_chain *c;
	uint16_t head = fake_ring_add(r, b, 2);

	(void)state;
	fake_ring_add(r, b, 1);
	assert_int_equal(virtq_available(q), 2);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(virtq_next(q, &c), 1);
		assert_int_equal(c->head, head);
		assert_int_equal(c->out_len, 8);
		assert_int_equal(c->in_len, 8);
		assert_int_equal(c->out_count, 1);
	}
	virtq_take(q);
	assert_int_equal(virtq_available(q), 1);
	assert_int_equal(virtq_next(q, &c), 1);
	assert_int_equal(c->in_len, 0);
	virtq_take(q);
	assert_int_equal(virtq_next(q, &c), 0);
	/* Given back in another order; seen by the driver only after the flush. */
	virtq_put(q, 2, 1);
	virtq_put(q, head, 2);
	assert_nothing_used();
	virtq_flush(q);
	assert_used(2, 1);
	assert_used(head, 2);
}

static void test_iterators(void **state)
{
	const struct fake_buf b[] = {{src, 8, false}, {src + 100, 4, false}, {dst, 6, true},
				     {dst + 100, 20, true}};
	uint8_t buf[64], want[12];
	struct virtq_chain *c;
	struct virtq_iter it;
	uint32_t n;

	(void)state;
	fake_ring_add(r, b, 4);
	assert_int_equal(virtq_next(q, &c), 1);
	memcpy(want, fake_guest(src), 8);
	memcpy(want + 8, fake_guest(src + 100), 4);
	for (uint32_t off = 0; off < 14; off++) {
		uint32_t left = off < 12 ? 12 - off : 0;

		assert_int_equal(virtq_chain_read(c, off, buf, sizeof(buf)), left);
		assert_memory_equal(buf, want + MIN(off, 12u), left);
		assert_int_equal(virtq_chain_read(c, off, buf, 1), left > 0);
	}
	assert_int_equal(virtq_chain_write(c, 3, "abcdefgh", 8), 8);
	assert_memory_equal((char *)fake_guest(dst) + 3, "abc", 3);
	assert_memory_equal(fake_guest(dst + 100), "defgh", 5);
	assert_int_equal(virtq_chain_write(c, 20, "abcdefgh", 8), 6);
	assert_int_equal(virtq_chain_write(c, 26, "abcdefgh", 8), 0);
	virtq_iter_in(&it, c, 5);
	assert_ptr_equal(virtq_iter_next(&it, 100, &n), fake_guest(dst + 5));
	assert_int_equal(n, 1);
	assert_ptr_equal(virtq_iter_next(&it, 7, &n), fake_guest(dst + 100));
	assert_int_equal(n, 7);
	assert_ptr_equal(virtq_iter_next(&it, 100, &n), fake_guest(dst + 107));
	assert_int_equal(n, 13);
	assert_null(virtq_iter_next(&it, 100, &n));
	virtq_done(q, c, 0);
	virtq_flush(q);
}

/* After a reset a notify finds no queue. */
static void test_stop_at_reset(void **state)
{
	const struct fake_buf b[] = {{src, 8, false}};

	(void)state;
	fake_common_write(d, FAKE_STATUS, 1, 0);
	fake_ring_add(r, b, 1);
	fake_ring_kick(r);
	assert_nothing_used();
	assert_int_equal(q->last_avail, 0);
	assert_int_equal(q->size, q->size_max);
	assert_int_equal(q->desc, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_chains, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent_memory_comes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_at_once_are_one_interrupt, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_queue_has_its_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_as_long_as_the_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(test_indices_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_buffers_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longer_than_4_gib, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_indirect, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tables_across_chunks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rings_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(test_used_ring_across_a_chunk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_event_index, setup, teardown),
		cmocka_unit_test_setup_teardown(test_indices_wrap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_does_not_take, setup, teardown),
		cmocka_unit_test_setup_teardown(test_iterators, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_at_reset, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
