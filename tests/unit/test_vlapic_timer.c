/* UNIT: tests/host/fake_virt.c hv/vdev.c hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c
 * hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c hv/irqchip/vlapic_timer.c
 * hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The local APIC timer in its three modes, and the local APIC's state record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/err.h"
#include "tests/host/fake_virt.h"

#define X2(reg)      (0x800u + (reg))
#define TSC_DEADLINE 0x6e0u
#define TSC_OFFSET   0xfffffffff0000000ull /* the guest's TSC started long after the host's */

static struct vm *vm;
static struct vcpu *v0;

static uint64_t rd(uint32_t msr)
{
	uint64_t v;

	assert_int_equal(vlapic_msr_read(v0, msr, &v, true), 0);
	return v;
}

static void wr(uint32_t msr, uint64_t v)
{
	assert_int_equal(vlapic_msr_write(v0, msr, v, true), 0);
}

static int pop(void)
{
	int vec = vlapic_pending(v0);

	if (vec >= 0) {
		vlapic_ack(v0);
		wr(X2(0x0b), 0);
	}
	return vec;
}

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(1);
	v0 = vm->vcpu[0];
	v0->tsc_offset = TSC_OFFSET;
	fake_now_ns = 1000000000;
	wr(0x1b, 0xfee00d00);
	wr(X2(0x0f), 0x1ff);
	wr(X2(0x3e), 0xb); /* divide by 1 */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_destroy(vm);
	return 0;
}

static void test_deadline(void **state)
{
	uint64_t when = vcpu_guest_tsc(v0) + 3000;

	(void)state;
	wr(TSC_DEADLINE, when); /* ignored in one-shot mode */
	assert_int_equal(rd(TSC_DEADLINE), 0);
	wr(X2(0x32), 0x40030);
	wr(TSC_DEADLINE, when);
	assert_int_equal(rd(TSC_DEADLINE), when);
	fake_time_advance(999);
	assert_int_equal(pop(), -1);
	fake_time_advance(1);
	assert_int_equal(pop(), 0x30);
	assert_int_equal(rd(TSC_DEADLINE), 0);
	fake_time_advance(1000000);
	assert_int_equal(pop(), -1);
	wr(X2(0x38), 100); /* the count does nothing in this mode */
	assert_int_equal(rd(X2(0x39)), 0);
	assert_int_equal(fake_timer_next(), UINT64_MAX);
}

static void test_deadline_past_disarm_rearm_masked(void **state)
{
	(void)state;
	wr(X2(0x32), 0x40030);
	wr(TSC_DEADLINE, vcpu_guest_tsc(v0));
	assert_int_equal(pop(), 0x30);
	assert_int_equal(rd(TSC_DEADLINE), 0);
	wr(TSC_DEADLINE, vcpu_guest_tsc(v0) + 3000);
	wr(TSC_DEADLINE, 0);
	fake_time_advance(2000);
	assert_int_equal(pop(), -1);
	wr(TSC_DEADLINE, vcpu_guest_tsc(v0) + 3000);
	wr(TSC_DEADLINE, vcpu_guest_tsc(v0) + 30000);
	fake_time_advance(9999);
	assert_int_equal(pop(), -1);
	fake_time_advance(1);
	assert_int_equal(pop(), 0x30);
	wr(X2(0x32), 0x50030);
	wr(TSC_DEADLINE, vcpu_guest_tsc(v0) + 3000);
	fake_time_advance(2000);
	assert_int_equal(pop(), -1);
	assert_int_equal(rd(TSC_DEADLINE), 0);
}

static void test_deadline_never_early_when_it_wraps(void **state)
{
	static const uint64_t far[] = {UINT64_MAX, UINT64_MAX - 1, 1ull << 63};
	uint64_t ahead;

	(void)state;
	wr(X2(0x32), 0x40030);
	for (size_t i = 0; i < ARRAY_SIZE(far); i++) {
		for (unsigned int n = 0; n < 2; n++) {
			v0->tsc_offset = n ? 0x10000000 : TSC_OFFSET - 0x100000000;
			if (far[i] <= vcpu_guest_tsc(v0))
				continue;
			wr(TSC_DEADLINE, far[i]);
			assert_int_equal(pop(), -1);
			ahead = (far[i] - vcpu_guest_tsc(v0)) / FAKE_TSC_PER_NS;
			assert_true(fake_timer_next() >= MIN(ahead, 1000000000ull * 86400));
		}
	}
}

static void test_one_shot(void **state)
{
	(void)state;
	wr(X2(0x32), 0x31);
	wr(X2(0x3e), 0x3); /* divide by 16 */
	wr(X2(0x38), 1000);
	assert_int_equal(rd(X2(0x39)), 1000);
	fake_time_advance(8000);
	assert_int_equal(rd(X2(0x39)), 500);
	fake_time_advance(7999);
	assert_int_equal(rd(X2(0x39)), 1);
	assert_int_equal(pop(), -1);
	fake_time_advance(1);
	assert_int_equal(rd(X2(0x39)), 0);
	assert_int_equal(pop(), 0x31);
	fake_time_advance(100000);
	assert_int_equal(pop(), -1);
	wr(X2(0x38), 1000);
	wr(X2(0x38), 0); /* stops */
	assert_int_equal(fake_timer_next(), UINT64_MAX);
}

static void test_divide_table(void **state)
{
	static const uint8_t tdcr[] = {0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa};

	(void)state;
	wr(X2(0x32), 0x31);
	for (unsigned int i = 0; i < ARRAY_SIZE(tdcr); i++) {
		wr(X2(0x3e), tdcr[i]);
		wr(X2(0x38), 100000);
		assert_int_equal(fake_timer_next(), 100000ull << i);
	}
}

static void test_divide_changes_on_the_run(void **state)
{
	(void)state;
	wr(X2(0x32), 0x31);
	wr(X2(0x38), 1000000);
	fake_time_advance(400000);
	wr(X2(0x3e), 0); /* the remaining 600,000 now take two each */
	assert_int_equal(rd(X2(0x39)), 600000);
	fake_time_advance(1199999);
	assert_int_equal(pop(), -1);
	fake_time_advance(1);
	assert_int_equal(pop(), 0x31);
}

static void test_periodic(void **state)
{
	(void)state;
	wr(X2(0x32), 0x20032);
	wr(X2(0x38), 1000000);
	for (unsigned int i = 0; i < 5; i++) {
		fake_time_advance(999999);
		assert_int_equal(pop(), -1);
		assert_int_equal(rd(X2(0x39)), 1);
		fake_time_advance(1);
		assert_int_equal(pop(), 0x32);
		assert_int_equal(rd(X2(0x39)), 1000000);
	}
	wr(X2(0x38), 1); /* a hostile period costs the host 20,000 interrupts a second at most */
	fake_time_advance(1);
	assert_true(fake_timer_next() >= 49000);
	wr(X2(0x32), 0x40032); /* another mode disarms */
	assert_int_equal(fake_timer_next(), UINT64_MAX);
	assert_int_equal(rd(X2(0x38)), 0);
}

static void test_quiesce(void **state)
{
	(void)state;
	wr(X2(0x32), 0x31);
	wr(X2(0x38), 1000);
	fake_time_advance(400);
	vlapic_quiesce(v0);
	vlapic_quiesce(v0);
	assert_int_equal(fake_timer_next(), UINT64_MAX);
	fake_time_advance(5000);
	vlapic_resume(v0);
	vlapic_resume(v0);
	fake_time_advance(599);
	assert_int_equal(pop(), -1);
	fake_time_advance(1);
	assert_int_equal(pop(), 0x31);
	wr(X2(0x32), 0x40031);
	wr(TSC_DEADLINE, vcpu_guest_tsc(v0) + 3000);
	vlapic_quiesce(v0);
	fake_time_advance(5000);
	assert_int_equal(pop(), -1);
	vlapic_resume(v0); /* by now the guest's TSC has passed it */
	assert_int_equal(pop(), 0x31);
}

static size_t save(uint8_t *buf, size_t cap)
{
	struct state_buf b = {.data = buf, .cap = cap};

	vlapic_save(v0, &b);
	assert_false(b.bad);
	return b.len;
}

static int load(const uint8_t *buf, size_t len)
{
	uint8_t *copy = malloc(len + 1);
	struct state_buf b = {.data = copy, .cap = len, .len = len};
	int err;

	memcpy(copy, buf, len);
	err = vlapic_load(v0, &b, VLAPIC_STATE_VERSION);
	free(copy);
	return err;
}

static void recreate(void)
{
	vlapic_destroy(v0);
	assert_int_equal(vlapic_create(v0), 0);
}

static void test_save_destroy_restore_continue(void **state)
{
	uint8_t one[1024], two[1024];
	size_t len;

	(void)state;
	assert_int_equal(vlapic_pv_eoi_set(v0, 0x2001), 0);
	wr(X2(0x32), 0x20032);
	wr(X2(0x38), 100000);
	vlapic_set_irq(v0, 0x41, false);
	vlapic_pending(v0);
	vlapic_ack(v0); /* in service, with the PV offer out */
	vlapic_set_irq(v0, 0x45, true);
	vlapic_set_irq(v0, 0x22, false);
	fake_time_advance(30000);
	len = save(one, sizeof(one));
	assert_int_equal(fake_ram[0x2000], 0);
	recreate();
	assert_int_equal(load(one, len), 0);
	assert_int_equal(save(two, sizeof(two)), len);
	assert_memory_equal(one, two, len);
	assert_true(vlapic_maybe_pending(v0));
	assert_int_equal(vlapic_pending(v0), -1); /* 0x41 is still in service */
	wr(X2(0x0b), 0);
	assert_int_equal(vlapic_pending(v0), 0x45);
	vlapic_ack(v0);
	assert_int_equal(vlapic_msr_write(v0, X2(0x0b), 0, true), -RAY_EAGAIN); /* TMR came too */
	assert_int_equal(vlapic_msr_write(v0, X2(0x0b), 0, false), 0);
	assert_int_equal(pop(), 0x22);
	fake_time_advance(69999);
	assert_int_equal(pop(), -1);
	fake_time_advance(1);
	assert_int_equal(pop(), 0x32);
	fake_time_advance(100000);
	assert_int_equal(pop(), 0x32);
}

static void test_save_deadline(void **state)
{
	uint8_t buf[1024];
	uint64_t when = vcpu_guest_tsc(v0) + 30000;
	size_t len;

	(void)state;
	wr(X2(0x32), 0x40030);
	wr(TSC_DEADLINE, when);
	vlapic_quiesce(v0);
	len = save(buf, sizeof(buf));
	recreate();
	vlapic_quiesce(v0);
	assert_int_equal(load(buf, len), 0);
	assert_int_equal(fake_timer_next(), UINT64_MAX);
	vlapic_resume(v0);
	assert_int_equal(rd(TSC_DEADLINE), when);
	fake_time_advance(10000);
	assert_int_equal(pop(), 0x30);
}

static void test_bad_records_change_nothing(void **state)
{
	uint8_t good[1024], bad[1024], after[1024];
	size_t len;

	(void)state;
	vlapic_set_irq(v0, 0x41, false);
	len = save(good, sizeof(good));
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(load(good, cut), -RAY_EINVAL);
	memcpy(bad, good, len);
	bad[0] |= 1; /* reserved bit of the base */
	assert_int_equal(load(bad, len), -RAY_EINVAL);
	memcpy(bad, good, len);
	bad[24] |= 1; /* IRR vector 0 */
	assert_int_equal(load(bad, len), -RAY_EINVAL);
	memcpy(bad, good, len);
	bad[24 + 32 + 8] |= 3; /* two in service in one class */
	assert_int_equal(load(bad, len), -RAY_EINVAL);
	memcpy(bad, good, len);
	bad[8] = 3; /* PV EOI address */
	assert_int_equal(load(bad, len), -RAY_EINVAL);
	assert_int_equal(save(after, sizeof(after)), len);
	assert_memory_equal(good, after, len);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_deadline),
		T(test_deadline_past_disarm_rearm_masked),
		T(test_deadline_never_early_when_it_wraps),
		T(test_one_shot),
		T(test_divide_table),
		T(test_divide_changes_on_the_run),
		T(test_periodic),
		T(test_quiesce),
		T(test_save_destroy_restore_continue),
		T(test_save_deadline),
		T(test_bad_records_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
