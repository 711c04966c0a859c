/* UNIT: devices/virt/virtio/balloon.c tests/host/fake_virt.c tests/host/fake_virtio.c
 * tests/host/fake_ring.c hv/vdev.c hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c
 * hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c hv/irqchip/vlapic_timer.c
 * hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c devices/virt/virt.c
 * devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c devices/virt/spec.c
 * devices/virt/handler.c devices/virt/virtio/device.c devices/virt/virtio/pci.c
 * devices/virt/virtio/msix.c devices/virt/virtio/virtq.c devices/virt/virtio/chain.c
 * devices/virt/virtio/state.c security/quota.c kernel/lib/bucket.c kernel/lib/parse.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c kernel/lib/muldiv.c hv/seed.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The balloon: which pages make which chunks go back, and what a hostile driver may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/virtio/balloon.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"

#define F_STATS     BIT(1)
#define F_REPORTING BIT(5)
#define CHUNK       (SIZE_2M / PAGE_SIZE) /* pages */

static struct vm *vm;
static struct virtio_dev *d;
static struct fake_ring ring[4];
static struct gmem_range released[128];
static unsigned int releases; /* ranges */

uint64_t gmem_release(struct vm *m, const struct gmem_range *ranges, unsigned int count)
{
	uint64_t bytes = 0;

	assert_ptr_equal(m, vm);
	for (unsigned int i = 0; i < count; i++) {
		released[releases++ % 128] = ranges[i];
		bytes += ranges[i].len;
	}
	return bytes;
}

static void start(uint64_t features, uint16_t queues)
{
	assert_true(fake_driver_start(d, features, ring, queues, 64));
}

static int setup(void **state)
{
	(void)state;
	releases = 0;
	vm = fake_virtio_vm(1);
	vm->def.memory = FAKE_RAM_SIZE;
	vm->mem.count = 1;
	vm->mem.region[0] = (struct gmem_region){.size = FAKE_RAM_SIZE, .type = GMEM_RAM};
	d = fake_attach(vm, "balloon", "")->dev;
	start(F_STATS | F_REPORTING, 4);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vm->mem.count = 0;
	fake_virtio_vm_destroy(vm);
	return 0;
}

static void assert_answered(unsigned int queue)
{
	uint32_t head, len;

	assert_true(fake_ring_used(&ring[queue], &head, &len));
	assert_int_equal(len, 0);
}

/* Pages [first, first + count) through the inflate (0) or deflate (1) queue. */
static void pages(unsigned int queue, uint32_t first, uint32_t count)
{
	uint64_t gpa = fake_guest_alloc(count * 4, 64);
	const struct fake_buf b = {.gpa = gpa, .len = count * 4};

	for (uint32_t i = 0; i < count; i++)
		((uint32_t *)fake_guest(gpa))[i] = first + i;
	fake_ring_add(&ring[queue], &b, 1);
	fake_ring_kick(&ring[queue]);
	fake_io_run(vm);
	assert_answered(queue);
}

static uint64_t held(void)
{
	struct vballoon_info i;

	assert_true(vballoon_info(d->attach, &i));
	return i.held / PAGE_SIZE;
}

static void test_a_full_chunk_goes_back(void **state)
{
	(void)state;
	pages(0, CHUNK, CHUNK - 1);
	assert_int_equal(releases, 0);
	pages(0, 2 * CHUNK - 1, 1);
	assert_int_equal(releases, 1);
	assert_int_equal(released[0].gpa.v, SIZE_2M);
	assert_int_equal(released[0].len, SIZE_2M);
	assert_int_equal(held(), CHUNK);
}

static void test_deflated_pages_are_missing_until_they_come_again(void **state)
{
	(void)state;
	pages(0, 0, CHUNK);
	pages(1, 7, 3);
	assert_int_equal(held(), CHUNK - 3);
	pages(1, 7, 3); /* twice is once */
	assert_int_equal(held(), CHUNK - 3);
	pages(0, 7, 2);
	assert_int_equal(releases, 1);
	pages(0, 9, 1);
	assert_int_equal(releases, 2);
}

static void test_page_numbers_outside_memory(void **state)
{
	(void)state;
	pages(0, FAKE_RAM_SIZE / PAGE_SIZE, 64);
	pages(0, UINT32_MAX - 63, 64);
	pages(1, UINT32_MAX - 63, 64);
	assert_int_equal(held(), 0);
	assert_int_equal(releases, 0);
	assert_false(d->broken);
}

static void test_the_same_page_many_times(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 2 * CHUNK / 64; i++)
		pages(0, 0, 64);
	assert_int_equal(held(), 64);
	assert_int_equal(releases, 0);
}

static void broken_request(unsigned int queue, const struct fake_buf *b, unsigned int n)
{
	fake_ring_add(&ring[queue], b, n);
	fake_ring_kick(&ring[queue]);
	fake_io_run(vm);
	assert_true(d->broken);
	assert_non_null(strstr(fake_markers, "NEEDS_RESET"));
	assert_int_equal(releases, 0);
}

static void test_a_list_too_long(void **state)
{
	const struct fake_buf b = {.gpa = fake_guest_alloc(8192, 64), .len = 8192};

	(void)state;
	broken_request(0, &b, 1);
}

static void test_a_list_that_is_not_of_numbers(void **state)
{
	const struct fake_buf b = {.gpa = fake_guest_alloc(8, 64), .len = 7};

	(void)state;
	broken_request(1, &b, 1);
}

static void test_a_report_to_be_read(void **state)
{
	const struct fake_buf b = {.gpa = fake_guest_alloc(4096, 4096), .len = 4096};

	(void)state;
	broken_request(3, &b, 1);
}

/* Addresses are taken as they are: no memory need be there. */
static void test_reports(void **state)
{
	const struct fake_buf b[] = {{.gpa = 0, .len = SIZE_2M, .write = true},
				     {.gpa = GIB(100), .len = SIZE_2M, .write = true}};

	(void)state;
	fake_ring_add(&ring[3], b, 2);
	fake_ring_kick(&ring[3]);
	fake_io_run(vm);
	assert_answered(3);
	assert_int_equal(releases, 2);
	assert_int_equal(released[1].gpa.v, GIB(100));
	assert_int_equal(held(), 0);
}

static void test_without_statistics_reports_come_by_queue_2(void **state)
{
	const struct fake_buf b = {.gpa = SIZE_2M, .len = SIZE_2M, .write = true};

	(void)state;
	start(F_REPORTING, 3);
	fake_ring_add(&ring[2], &b, 1);
	fake_ring_kick(&ring[2]);
	fake_io_run(vm);
	assert_answered(2);
	assert_int_equal(releases, 1);
}

static void test_statistics(void **state)
{
	const uint8_t stat[] = {4, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, /* free: 1 MiB */
				0xff, 0xff, 1, 1, 1, 1, 1, 1, 1, 1};
	const struct fake_buf b = {.gpa = fake_guest_alloc(64, 64), .len = sizeof(stat)};
	struct vballoon_info i;
	uint32_t head, len;

	(void)state;
	memcpy(fake_guest(b.gpa), stat, sizeof(stat));
	fake_ring_add(&ring[2], &b, 1);
	fake_ring_kick(&ring[2]);
	fake_io_run(vm);
	assert_false(fake_ring_used(&ring[2], &head, &len)); /* kept until new ones are wanted */
	assert_true(vballoon_info(d->attach, &i));
	assert_int_equal(i.stats[4], MIB(1));
	assert_int_equal(i.stats[5], UINT64_MAX);
	vballoon_ask(d->attach);
	fake_io_run(vm);
	assert_answered(2);
}

static void test_target(void **state)
{
	struct vballoon_info i;

	(void)state;
	vballoon_target_set(d->attach, MIB(1));
	assert_int_equal(fake_config_read(d, 0, 4), MIB(1) / PAGE_SIZE);
	fake_config_write(d, 4, 4, 17);
	fake_config_write(d, 0, 4, 5); /* not the driver's */
	assert_true(vballoon_info(d->attach, &i));
	assert_int_equal(i.actual, 17 * PAGE_SIZE);
	assert_int_equal(i.target, MIB(1));
}

static void test_reset_empties_it(void **state)
{
	(void)state;
	pages(0, 0, 100);
	start(0, 2);
	assert_int_equal(held(), 0);
}

static void test_saved_and_loaded(void **state)
{
	static uint8_t record[8192];
	size_t n;

	(void)state;
	pages(0, 0, CHUNK - 1);
	d->dev.ops->quiesce(&d->dev);
	n = fake_save(&d->dev, record, sizeof(record));
	for (size_t cut = 0; cut < n; cut += 13)
		assert_int_not_equal(fake_load(&d->dev, record, cut), 0);
	assert_int_equal(fake_load(&d->dev, record, n), 0);
	d->dev.ops->resume(&d->dev);
	fake_io_run(vm);
	assert_int_equal(held(), CHUNK - 1);
	pages(0, CHUNK - 1, 1);
	assert_int_equal(releases, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_a_full_chunk_goes_back),
		T(test_deflated_pages_are_missing_until_they_come_again),
		T(test_page_numbers_outside_memory),
		T(test_the_same_page_many_times),
		T(test_a_list_too_long),
		T(test_a_list_that_is_not_of_numbers),
		T(test_a_report_to_be_read),
		T(test_reports),
		T(test_without_statistics_reports_come_by_queue_2),
		T(test_statistics),
		T(test_target),
		T(test_reset_empties_it),
		T(test_saved_and_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
