/* UNIT: devices/virt/virtio/rng.c tests/host/fake_virt.c tests/host/fake_virtio.c
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
/* The entropy device: what it gives, what it does without a seed, and that nothing comes twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/err.h"
#include "security/drbg.h"
#include "tests/host/fake_ring.h"

static struct vm *vm;
static struct virtio_dev *d;
static struct fake_ring r;
static bool blocked;
static uint8_t counter;
static unsigned int reads;

/* A generator whose bytes are never 0 and tell their order. */
int drbg_read(void *buf, size_t len)
{
	reads++;
	memset(buf, 0, len);
	if (blocked)
		return -RAY_EAGAIN;
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)(counter++ % 255 + 1);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	blocked = false;
	counter = 0;
	reads = 0;
	vm = fake_virtio_vm(1);
	d = fake_attach(vm, "rng", "")->dev;
	assert_true(fake_driver_start(d, 0, &r, 1, 8));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_virtio_vm_destroy(vm);
	return 0;
}

static uint64_t ask(uint32_t len)
{
	uint64_t gpa = fake_guest_alloc(len, 64);
	const struct fake_buf b = {.gpa = gpa, .len = len, .write = true};

	fake_ring_add(&r, &b, 1);
	fake_ring_kick(&r);
	return gpa;
}

static uint32_t answered(void)
{
	uint32_t head, len;

	assert_true(fake_ring_used(&r, &head, &len));
	return len;
}

static bool random_at(uint64_t gpa, uint32_t len)
{
	const uint8_t *p = fake_guest(gpa);

	for (uint32_t i = 0; i < len; i++) {
		if (!p[i])
			return false;
	}
	return true;
}

static void test_gives_what_is_asked_for(void **state)
{
	uint64_t gpa = ask(64);

	(void)state;
	fake_io_run(vm);
	assert_int_equal(answered(), 64);
	assert_true(random_at(gpa, 64));
	assert_int_equal(d->attach->handler.count[POLICY_READ].bytes, 64);
}

static void test_the_exit_handler_serves_from_stock(void **state)
{
	uint64_t one, two;

	(void)state;
	one = ask(64);
	fake_io_run(vm);
	assert_int_equal(answered(), 64);
	two = ask(64);
	assert_int_equal(answered(), 64); /* the I/O thread has not run */
	assert_int_equal(reads, 1);
	assert_true(random_at(two, 64));
	assert_memory_not_equal(fake_guest(one), fake_guest(two), 64);
}

static void test_a_large_buffer_gets_a_part(void **state)
{
	uint64_t gpa = ask(100000);
	uint32_t len;

	(void)state;
	fake_io_run(vm);
	len = answered();
	assert_in_range(len, 1, 4096);
	assert_true(random_at(gpa, len));
}

static void test_blocked_without_a_seed(void **state)
{
	uint32_t head, len;
	uint64_t gpa;

	(void)state;
	blocked = true;
	gpa = ask(32);
	fake_io_run(vm);
	fake_virtio_advance(vm, 10000000000ull);
	assert_false(fake_ring_used(&r, &head, &len));
	assert_in_range(reads, 2, 20); /* asked again, about once a second */
	blocked = false;
	fake_virtio_advance(vm, 2000000000ull);
	assert_int_equal(answered(), 32);
	assert_true(random_at(gpa, 32));
}

static void test_a_buffer_to_read_gets_nothing(void **state)
{
	const struct fake_buf b = {.gpa = fake_guest_alloc(64, 64), .len = 64};

	(void)state;
	fake_ring_add(&r, &b, 1);
	fake_ring_kick(&r);
	fake_io_run(vm);
	assert_int_equal(answered(), 0);
	assert_false(d->broken);
}

static void test_quota(void **state)
{
	struct fake_ring ring;
	uint32_t head, len, total = 0;

	(void)state;
	vattach_remove(d->attach);
	d = fake_attach(vm, "rng", "rate=1000")->dev;
	assert_true(fake_driver_start(d, 0, &ring, 1, 8));
	r = ring;
	for (unsigned int i = 0; i < 8; i++)
		ask(1000);
	fake_io_run(vm);
	for (unsigned int i = 0; i < 60; i++)
		fake_virtio_advance(vm, 50000000);
	while (fake_ring_used(&r, &head, &len))
		total += len;
	assert_in_range(total, 2900, 4200);
	assert_non_null(strstr(fake_markers, "QUOTA_EXCEEDED"));
}

static void test_detached_while_it_fills(void **state)
{
	(void)state;
	ask(64); /* the refill is queued */
	vattach_remove(d->attach);
	fake_io_run(vm);
	assert_int_equal(reads, 0);
}

static void test_paused_while_it_fills(void **state)
{
	(void)state;
	ask(64);
	d->dev.ops->quiesce(&d->dev);
	fake_io_run(vm);
	d->dev.ops->resume(&d->dev);
	fake_io_run(vm);
	assert_int_equal(answered(), 64);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_gives_what_is_asked_for),
		T(test_the_exit_handler_serves_from_stock),
		T(test_a_large_buffer_gets_a_part),
		T(test_blocked_without_a_seed),
		T(test_a_buffer_to_read_gets_nothing),
		T(test_quota),
		T(test_detached_while_it_fills),
		T(test_paused_while_it_fills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
