/* UNIT: tests/host/fake_virt.c hv/vdev.c hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c
 * hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c hv/irqchip/vlapic_timer.c
 * hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c devices/virt/virt.c
 * devices/virt/pit.c devices/virt/pit_channel.c devices/virt/rtc.c devices/virt/rtc_date.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The 8254, the speaker port and the real-time clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/rtc_date.h"
#include "devices/virt/virt.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_virt.h"

#define TICK_NS(n) (((n) * 1000000000ull + 1193181) / 1193182)

static struct vm *vm;

static void out(uint16_t port, uint8_t v)
{
	fake_out(vm, port, 1, v);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)fake_in(vm, port, 1);
}

static bool took(int want)
{
	int vec = vlapic_pending(vm->vcpu[0]);
	uint32_t zero = 0;

	if (vec < 0)
		return false;
	assert_int_equal(vec, want);
	vlapic_ack(vm->vcpu[0]);
	vlapic_mmio(vm->vcpu[0], 0xb0, true, &zero, false);
	return true;
}

static int setup(void **state)
{
	uint32_t svr = 0x1ff;

	(void)state;
	vm = fake_vm_create(1);
	vm->def.memory = GIB(5);
	assert_int_equal(vpit_create(vm), 0);
	assert_int_equal(vrtc_create(vm), 0);
	vlapic_mmio(vm->vcpu[0], 0xf0, true, &svr, true);
	fake_mmio_write(vm, 0xfec00000, 4, 0x14); /* pin 2: timer */
	fake_mmio_write(vm, 0xfec00010, 4, 0x30);
	fake_mmio_write(vm, 0xfec00000, 4, 0x20); /* pin 8: RTC */
	fake_mmio_write(vm, 0xfec00010, 4, 0x38);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_destroy(vm);
	return 0;
}

static void load(unsigned int ch, uint8_t mode, uint16_t count)
{
	out(0x43, (uint8_t)(ch << 6 | 0x30 | mode << 1));
	out((uint16_t)(0x40 + ch), (uint8_t)count);
	out((uint16_t)(0x40 + ch), (uint8_t)(count >> 8));
}

static unsigned int count(unsigned int ch)
{
	unsigned int lo;

	out(0x43, (uint8_t)(ch << 6));
	lo = in((uint16_t)(0x40 + ch));
	return lo | (unsigned int)in((uint16_t)(0x40 + ch)) << 8;
}

static void test_nothing_runs_after_reset(void **state)
{
	(void)state;
	assert_int_equal(fake_timer_next(), UINT64_MAX);
	fake_time_advance(1000000000);
	assert_false(took(0x30));
}

static void test_mode_0_one_interrupt(void **state)
{
	(void)state;
	load(0, 0, 1000);
	fake_time_advance(TICK_NS(1000) - 2);
	assert_false(took(0x30));
	fake_time_advance(2);
	assert_true(took(0x30));
	fake_time_advance(1000000000);
	assert_false(took(0x30));
	load(0, 0, 0); /* 65,536 */
	assert_in_range(fake_timer_next(), TICK_NS(65536) - 2, TICK_NS(65536) + 2);
	load(0, 4, 500); /* software strobe */
	fake_time_advance(TICK_NS(500) + 2);
	assert_true(took(0x30));
}

static void test_mode_2_and_3_periodic(void **state)
{
	(void)state;
	for (uint8_t mode = 2; mode <= 3; mode++) {
		uint64_t start = fake_now_ns;

		load(0, mode, 11932); /* 100 Hz */
		for (unsigned int i = 1; i <= 50; i++) {
			uint64_t edge = start + TICK_NS(11932ull * i);

			fake_time_advance(edge - 2 - fake_now_ns);
			assert_false(took(0x30));
			fake_time_advance(3);
			assert_true(took(0x30)); /* and it does not drift */
		}
	}
	load(0, 6, 11932); /* 6 is 2 */
	fake_time_advance(TICK_NS(11932) + 2);
	assert_true(took(0x30));
}

static void test_hostile_rate(void **state)
{
	(void)state;
	load(0, 2, 1);
	for (unsigned int i = 0; i < 20; i++) {
		assert_true(fake_timer_next() >= 49000);
		fake_time_advance(50000);
	}
	out(0x43, 0x34); /* a new control word stops it */
	fake_time_advance(200000);
	took(0x30);
	assert_int_equal(fake_timer_next(), UINT64_MAX);
}

static void test_reading(void **state)
{
	(void)state;
	load(0, 2, 10000);
	fake_time_advance(TICK_NS(2500));
	assert_int_equal(count(0), 7500);
	fake_time_advance(TICK_NS(10000) - TICK_NS(2500));
	assert_int_equal(count(0), 10000);
	load(0, 3, 10000); /* counts by two */
	fake_time_advance(TICK_NS(2500));
	assert_int_equal(count(0), 5000);
	fake_time_advance(TICK_NS(5000) - TICK_NS(2500) + 1);
	assert_int_equal(count(0), 10000);
	load(0, 0, 100);
	fake_time_advance(TICK_NS(150) + 1);
	assert_int_equal(count(0), 0xffce); /* goes on below zero */
	/* A latch holds, and is not replaced before it was read. */
	load(2, 0, 5000);
	out(0x61, 1);
	out(0x43, 0x80);
	fake_time_advance(TICK_NS(100) + 1);
	out(0x43, 0x80);
	assert_int_equal(in(0x42), 5000 & 0xff);
	assert_int_equal(in(0x42), 5000 >> 8);
	assert_int_equal(in(0x42), 4900 & 0xff);
	assert_int_equal(in(0x42), 4900 >> 8);
	/* One byte only. */
	out(0x43, 0x90);
	out(0x42, 200);
	assert_int_equal(in(0x42), 200);
	assert_int_equal(in(0x42), 200);
	out(0x43, 0xa0);
	out(0x42, 2);
	assert_int_equal(in(0x42), 2);
	fake_time_advance(TICK_NS(10) + 1);
	assert_int_equal(in(0x42), 1);
	out(0x43, 0x80);
	assert_int_equal(in(0x42), 1);
	assert_int_equal(in(0x43), 0xff); /* write-only */
}

static void test_read_back(void **state)
{
	(void)state;
	load(0, 2, 1000);
	out(0x43, 0xc2); /* count and status of 0 */
	assert_int_equal(in(0x40), 0xb4);
	assert_int_equal(in(0x40), 1000 & 0xff);
	assert_int_equal(in(0x40), 1000 >> 8);
	out(0x43, 0xb0);
	out(0x43, 0xe8); /* status of 2: null count */
	assert_int_equal(in(0x42), 0x70);
	load(2, 0, 1000);
	out(0x61, 1);
	out(0x43, 0xe8);
	assert_int_equal(in(0x42), 0x30);
	fake_time_advance(TICK_NS(1000) + 1);
	out(0x43, 0xe8);
	assert_int_equal(in(0x42), 0xb0); /* out is high */
}

static void test_speaker_gate(void **state)
{
	(void)state;
	out(0x61, 0);
	load(2, 0, 1000);
	fake_time_advance(TICK_NS(5000));
	assert_int_equal(count(2), 1000); /* gate low: waits */
	assert_int_equal(in(0x61) & 0x23, 0);
	out(0x61, 3);
	assert_int_equal(in(0x61) & 0x23, 3);
	fake_time_advance(TICK_NS(600));
	out(0x61, 0); /* stops half-way, continues */
	fake_time_advance(TICK_NS(600));
	assert_int_equal(count(2), 400);
	out(0x61, 1);
	fake_time_advance(TICK_NS(400) - 2);
	assert_int_equal(in(0x61) & 0x20, 0);
	fake_time_advance(4);
	assert_int_equal(in(0x61) & 0x21, 0x21);
	/* Mode 1: only a rising gate starts it. */
	out(0x61, 0);
	load(2, 1, 100);
	fake_time_advance(TICK_NS(200));
	out(0x61, 1);
	assert_int_equal(in(0x61) & 0x20, 0);
	fake_time_advance(TICK_NS(100) + 1);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	/* Mode 3: a rising gate starts a new period. */
	load(2, 3, 1000);
	fake_time_advance(TICK_NS(600));
	assert_int_equal(in(0x61) & 0x20, 0);
	out(0x61, 0);
	out(0x61, 1);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	assert_int_equal(count(2), 1000);
}

static void test_refresh_bit_toggles(void **state)
{
	uint8_t was = in(0x61) & 0x10;

	(void)state;
	fake_time_advance(15085);
	assert_int_not_equal(in(0x61) & 0x10, was);
}

/* Linux's pit_calibrate_tsc(): 10 ms on channel 2, polled. */
static void test_linux_calibration(void **state)
{
	uint64_t start, polls = 0;

	(void)state;
	out(0x61, (uint8_t)((in(0x61) & ~2) | 1));
	out(0x43, 0xb0);
	out(0x42, 11931 & 0xff);
	out(0x42, 11931 >> 8);
	start = fake_now_ns;
	while (!(in(0x61) & 0x20)) {
		fake_time_advance(1000);
		polls++;
	}
	assert_in_range(fake_now_ns - start, 9999000, 10001000);
	assert_true(polls > 9000);
}

static void test_pit_save_destroy_restore_continue(void **state)
{
	uint8_t bytes[256], again[256];
	struct vdev *d = fake_vdev(vm, "i8254");
	size_t len;

	(void)state;
	load(0, 2, 10000);
	out(0x61, 1);
	load(2, 0, 5000);
	fake_time_advance(TICK_NS(4000));
	out(0x61, 0);
	fake_time_advance(TICK_NS(1000));
	d->ops->quiesce(d);
	assert_int_equal(fake_timer_next(), UINT64_MAX);
	fake_time_advance(123456789);
	len = fake_save(d, bytes, sizeof(bytes));
	d->ops->destroy(d);
	assert_int_equal(vpit_create(vm), 0);
	d = fake_vdev(vm, "i8254");
	d->ops->quiesce(d);
	assert_int_equal(fake_load(d, bytes, len), 0);
	assert_int_equal(fake_save(d, again, sizeof(again)), len);
	assert_memory_equal(bytes, again, len);
	d->ops->resume(d);
	d->ops->resume(d);
	assert_in_range(count(0), 4998, 5002);
	assert_in_range(count(2), 998, 1002);
	assert_int_equal(in(0x61) & 0x21, 0);
	fake_time_advance(TICK_NS(4990));
	assert_false(took(0x30));
	fake_time_advance(TICK_NS(20));
	assert_true(took(0x30));
	bytes[1] = 9; /* no such mode */
	assert_int_equal(fake_load(d, bytes, len), -RAY_EINVAL);
}

/* --- RTC --- */

static uint8_t cmos(uint8_t reg)
{
	out(0x70, reg);
	return in(0x71);
}

static void cmos_set(uint8_t reg, uint8_t v)
{
	out(0x70, reg);
	out(0x71, v);
}

static void test_dates(void **state)
{
	static const struct {
		uint64_t s;
		struct rtc_date d;
	} t[] = {
		{0, {0, 0, 0, 5, 1, 1, 1970}},
		{951782400, {0, 0, 0, 3, 29, 2, 2000}},
		{951868799, {59, 59, 23, 3, 29, 2, 2000}},
		{1709164800, {0, 0, 0, 5, 29, 2, 2024}},
		{4107542400, {0, 0, 0, 2, 1, 3, 2100}},
		{1798761599, {59, 59, 23, 5, 31, 12, 2026}},
		{253402300799, {59, 59, 23, 6, 31, 12, 9999}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct rtc_date d;

		rtc_date_from(t[i].s, &d);
		assert_memory_equal(&d, &t[i].d, sizeof(d));
		assert_int_equal(rtc_date_to(&d), t[i].s);
	}
	for (uint64_t s = 0; s < 300ull * 366 * 86400; s += 86400 * 13 + 12345) {
		struct rtc_date d;

		rtc_date_from(s, &d);
		assert_int_equal(rtc_date_to(&d), s);
	}
	assert_int_equal(rtc_date_to(&(struct rtc_date){.year = 1960, .day = 1, .month = 1}), 0);
	assert_int_equal(rtc_date_to(&(struct rtc_date){.year = 1970, .day = 32, .month = 1}),
			 31 * 86400);
}

static void test_time_bcd_and_binary(void **state)
{
	(void)state;
	fake_wall = 1798761599; /* 2026-12-31 23:59:59, a Thursday */
	assert_int_equal(cmos(0), 0x59);
	assert_int_equal(cmos(2), 0x59);
	assert_int_equal(cmos(4), 0x23);
	assert_int_equal(cmos(6), 0x05);
	assert_int_equal(cmos(7), 0x31);
	assert_int_equal(cmos(8), 0x12);
	assert_int_equal(cmos(9), 0x26);
	assert_int_equal(cmos(0x32), 0x20);
	assert_int_equal(cmos(0x0d), 0x80);
	assert_int_equal(cmos(0x0a), 0x26);
	cmos_set(0x0b, 0x04); /* binary, 12 hours */
	assert_int_equal(cmos(0), 59);
	assert_int_equal(cmos(4), 0x80 | 11);
	assert_int_equal(cmos(9), 26);
	fake_time_advance(1000000000);
	assert_int_equal(cmos(4), 12); /* midnight */
	assert_int_equal(cmos(9), 27);
	assert_int_equal(in(0x70), 0xff);
}

static void test_setting_the_time(void **state)
{
	(void)state;
	fake_wall = 1000000000;
	cmos_set(0x0b, 0x82); /* SET, 24 hours */
	cmos_set(0, 0x30);
	cmos_set(2, 0x15);
	cmos_set(4, 0x12);
	cmos_set(6, 1);
	cmos_set(7, 0x24);
	cmos_set(8, 0x12);
	cmos_set(9, 0x31);
	cmos_set(0x32, 0x20);
	fake_time_advance(5000000000);
	assert_int_equal(cmos(0), 0x30); /* stands still */
	cmos_set(0x0b, 0x02);
	assert_int_equal(cmos(0), 0x30);
	fake_time_advance(31000000000);
	assert_int_equal(cmos(0), 0x01);
	assert_int_equal(cmos(2), 0x16);
	assert_int_equal(cmos(4), 0x12);
	assert_int_equal(cmos(7), 0x24);
	assert_int_equal(cmos(9), 0x31);
	cmos_set(2, 0x45); /* without SET too */
	assert_int_equal(cmos(2), 0x45);
	cmos_set(0x0b, 0x00); /* 12 hours */
	cmos_set(4, 0x82);
	assert_int_equal(cmos(4), 0x82);
	cmos_set(0x0b, 0x02);
	assert_int_equal(cmos(4), 0x14);
	for (unsigned int i = 0; i < 256; i++) /* garbage is only a wrong date */
		cmos_set((uint8_t)(i % 10), (uint8_t)(i * 37));
	cmos(0);
}

static void test_update_in_progress(void **state)
{
	(void)state;
	fake_time_advance(1000000000 - fake_now_ns);
	assert_int_equal(cmos(0x0a) & 0x80, 0);
	fake_time_advance(999755000);
	assert_int_equal(cmos(0x0a) & 0x80, 0);
	fake_time_advance(2000);
	assert_int_equal(cmos(0x0a) & 0x80, 0x80);
	cmos_set(0x0a, 0xff);
	assert_int_equal(cmos(0x0a), 0xff);
	fake_time_advance(300000);
	assert_int_equal(cmos(0x0a), 0x7f);
}

static void test_periodic_interrupt(void **state)
{
	(void)state;
	cmos(0x0c);
	cmos_set(0x0b, 0x42); /* 1,024 Hz */
	for (unsigned int i = 0; i < 10; i++) {
		fake_time_advance(976562);
		assert_true(took(0x38));
		assert_false(took(0x38));
		assert_int_equal(cmos(0x0c) & 0xc0, 0xc0);
		assert_int_equal(cmos(0x0c), 0);
	}
	cmos_set(0x0b, 0x02);
	fake_time_advance(5000000);
	assert_false(took(0x38));
	assert_int_equal(cmos(0x0c), 0x40); /* the flag comes without the interrupt */
	assert_int_equal(fake_timer_next(), UINT64_MAX);
	cmos_set(0x0a, 0x21); /* rate 1 is 256 Hz, 0 is off */
	cmos_set(0x0b, 0x42);
	assert_int_equal(fake_timer_next(), 3906250);
	cmos_set(0x0a, 0x20);
	fake_time_advance(4000000);
	assert_int_equal(fake_timer_next(), UINT64_MAX);
	took(0x38);
}

static void test_update_interrupt(void **state)
{
	(void)state;
	fake_time_advance(1000000000 - fake_now_ns);
	cmos(0x0c);
	cmos_set(0x0b, 0x12);
	fake_time_advance(999999999);
	assert_false(took(0x38));
	fake_time_advance(1);
	assert_true(took(0x38));
	assert_int_equal(cmos(0x0c) & 0x90, 0x90);
	cmos_set(0x0b, 0x92); /* SET clears UIE */
	assert_int_equal(cmos(0x0b), 0x82);
	cmos_set(0x0b, 0x02);
	cmos(0x0c);
	fake_time_advance(1000000000);
	assert_int_equal(cmos(0x0c) & 0x10, 0x10);
}

static void test_alarm(void **state)
{
	(void)state;
	fake_wall = 86400 * 20000; /* midnight */
	fake_time_advance(1000000000 - fake_now_ns);
	cmos_set(1, 0x05);
	cmos_set(3, 0x01);
	cmos_set(5, 0xff); /* every hour */
	cmos(0x0c);
	cmos_set(0x0b, 0x22);
	fake_time_advance(63000000000);
	assert_false(took(0x38));
	fake_time_advance(1000000000);
	assert_true(took(0x38));
	assert_int_equal(cmos(0x0c) & 0xa0, 0xa0);
	assert_int_equal(cmos(2), 0x01);
	assert_int_equal(cmos(0), 0x05);
	fake_time_advance(3599000000000);
	assert_false(took(0x38));
	fake_time_advance(1000000000);
	assert_true(took(0x38));
	cmos_set(0x0b, 0x02);
	cmos(0x0c);
	fake_time_advance(3600000000000); /* nobody looks at the right moment: no harm */
	cmos(0x0c);
}

static void test_cmos_bytes(void **state)
{
	(void)state;
	assert_int_equal(cmos(0x17) | cmos(0x18) << 8, 0xffff);
	assert_int_equal(cmos(0x34) | cmos(0x35) << 8, (GIB(3) - MIB(16)) >> 16);
	assert_int_equal(cmos(0x5b) | cmos(0x5c) << 8 | cmos(0x5d) << 16, GIB(2) >> 16);
	cmos_set(0x7f, 0x5a);
	assert_int_equal(cmos(0xff), 0x5a); /* bit 7 is the NMI mask */
	cmos_set(0x0f, 0x0a);
	assert_int_equal(cmos(0x0f), 0x0a);
	cmos_set(0x0c, 0xff);
	cmos_set(0x0d, 0);
	assert_int_equal(cmos(0x0d), 0x80);
}

static void test_rtc_save_destroy_restore_continue(void **state)
{
	uint8_t bytes[256], again[256];
	struct vdev *d = fake_vdev(vm, "mc146818");
	size_t len;

	(void)state;
	fake_wall = 1000000000;
	cmos_set(9, 0x40);
	cmos_set(0x0b, 0x52);
	cmos_set(0x50, 0x99);
	d->ops->quiesce(d);
	len = fake_save(d, bytes, sizeof(bytes));
	d->ops->destroy(d);
	fake_time_advance(10000000000); /* the clock on the wall goes on */
	assert_int_equal(vrtc_create(vm), 0);
	d = fake_vdev(vm, "mc146818");
	d->ops->quiesce(d);
	assert_int_equal(fake_load(d, bytes, len), 0);
	assert_int_equal(fake_save(d, again, sizeof(again)), len);
	assert_memory_equal(bytes, again, len);
	d->ops->resume(d);
	took(0x38);
	assert_int_equal(cmos(9), 0x40);
	assert_int_equal(cmos(0x50), 0x99);
	assert_int_equal(cmos(0), 0x50);
	cmos(0x0c);
	fake_time_advance(976563);
	assert_true(took(0x38));
	bytes[0] = 200;
	assert_int_equal(fake_load(d, bytes, len), -RAY_EINVAL);
}

static void test_rtc_reset(void **state)
{
	struct vdev *d = fake_vdev(vm, "mc146818");

	(void)state;
	fake_wall = 1000000000;
	cmos_set(0x0b, 0x82);
	cmos_set(9, 0x44);
	d->ops->reset(d);
	assert_int_equal(cmos(0x0b), 2);
	assert_int_equal(cmos(9), 0x44); /* the clock outlives a reset */
	fake_time_advance(2000000000);
	assert_int_equal(fake_timer_next(), UINT64_MAX);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_nothing_runs_after_reset),
		T(test_mode_0_one_interrupt),
		T(test_mode_2_and_3_periodic),
		T(test_hostile_rate),
		T(test_reading),
		T(test_read_back),
		T(test_speaker_gate),
		T(test_refresh_bit_toggles),
		T(test_linux_calibration),
		T(test_pit_save_destroy_restore_continue),
		T(test_dates),
		T(test_time_bcd_and_binary),
		T(test_setting_the_time),
		T(test_update_in_progress),
		T(test_periodic_interrupt),
		T(test_update_interrupt),
		T(test_alarm),
		T(test_cmos_bytes),
		T(test_rtc_save_destroy_restore_continue),
		T(test_rtc_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
