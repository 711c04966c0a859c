/* UNIT: kernel/time/calibrate.c kernel/lib/muldiv.c kernel/time/scale.c */
/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/time/calibrate.h"
#include "kernel/time/tsc_sync.h"

/* A machine whose reads take time: all clocks derive from one count of nanoseconds. */
static struct {
	uint64_t ns;
	uint64_t tsc_hz, ref_hz, apic_hz;
	uint32_t ref_mask;
	uint64_t read_ns;       /* how long a read of the reference takes */
	uint64_t hiccup_every;  /* reads; 0 never */
	uint64_t reads;
} m;

static uint64_t scaled(uint64_t hz)
{
	return (uint64_t)((unsigned __int128)m.ns * hz / 1000000000);
}

static uint64_t model_tsc(void)
{
	m.ns += 10;
	return scaled(m.tsc_hz);
}

static uint32_t model_apic(void)
{
	m.ns += 20;
	return (uint32_t)scaled(m.apic_hz);
}

static uint32_t model_ref(void)
{
	m.ns += m.read_ns;
	if (m.hiccup_every && ++m.reads % m.hiccup_every == 0)
		m.ns += 400000;
	return (uint32_t)scaled(m.ref_hz) & m.ref_mask;
}

static uint32_t dead_ref(void)
{
	return 42;
}

static const struct clock_probe probe = { .tsc = model_tsc, .apic = model_apic };

static uint64_t measure(uint64_t *apic_counts, uint64_t *tsc_ticks)
{
	struct ref_clock ref = { .name = "model", .hz = m.ref_hz, .mask = m.ref_mask,
				 .read = model_ref };
	struct clock_sample a, b;
	uint64_t hz = calibrate_against(&ref, &probe, 4000000, &a, &b);

	*apic_counts = b.apic - a.apic;
	*tsc_ticks = b.tsc - a.tsc;
	return hz;
}

static void check(uint64_t tolerance_ppm)
{
	uint64_t counts, ticks, hz = measure(&counts, &ticks), expect;

	assert_in_range(hz, m.tsc_hz - m.tsc_hz / 1000000 * tolerance_ppm,
			m.tsc_hz + m.tsc_hz / 1000000 * tolerance_ppm);
	expect = ticks * m.apic_hz / m.tsc_hz;
	assert_in_range(counts, expect - expect * tolerance_ppm / 1000000,
			expect + expect * tolerance_ppm / 1000000 + 1);
}

static void model(uint64_t tsc_hz, uint64_t ref_hz, uint32_t mask, uint64_t read_ns)
{
	m.ns = 123456789;
	m.tsc_hz = tsc_hz;
	m.apic_hz = 1000000000;
	m.ref_hz = ref_hz;
	m.ref_mask = mask;
	m.read_ns = read_ns;
	m.hiccup_every = 0;
	m.reads = 0;
}

static void test_fast_ports(void **state)
{
	(void)state;
	model(1000000000, 1193182, 0xffff, 30);
	check(50);
	model(2899999000ull, 3579545, 0xffffff, 30);
	check(50);
	model(40000000, 1193182, 0xffff, 500);
	check(300);
}

static void test_slow_ports(void **state)
{
	(void)state;
	model(3500000000ull, 1193182, 0xffff, 3000);
	check(1500);
}

static void test_held_up_now_and_then(void **state)
{
	(void)state;
	model(2000000000, 1193182, 0xffff, 100);
	m.hiccup_every = 37;
	check(500);
}

static void test_counter_wraps(void **state)
{
	(void)state;
	model(1000000000, 1193182, 0xffff, 30);
	m.ns = 54900000; /* the 16 bits run over 26 us later */
	check(50);
}

static void test_dead_reference(void **state)
{
	const struct ref_clock ref = { .name = "dead", .hz = 1193182, .mask = 0xffff,
				       .read = dead_ref };
	struct clock_sample a, b;

	(void)state;
	assert_int_equal(calibrate_against(&ref, &probe, 4000000, &a, &b), 0);
}

static void test_cpuid(void **state)
{
	(void)state;
	assert_int_equal(calibrate_cpuid_hz(2, 168, 24000000, 0, 0), 2016000000);
	assert_int_equal(calibrate_cpuid_hz(2, 168, 0, 2000, 0), 2000000000);
	assert_int_equal(calibrate_cpuid_hz(0, 0, 0, 0, 2500000), 2500000000u);
	assert_int_equal(calibrate_cpuid_hz(0, 0, 0, 0, 0), 0);
	assert_true(calibrate_agree(1000, 1005));
	assert_true(calibrate_agree(1005, 1000));
	assert_false(calibrate_agree(3500000000ull, 40000000));
}

static void test_exchange(void **state)
{
	const struct tsc_exchange same = { 100, 150, 200 }, ahead = { 100, 260, 200 },
				  behind = { 100, 90, 200 };

	(void)state;
	assert_false(tsc_exchange_differs(&same));
	assert_true(tsc_exchange_differs(&ahead));
	assert_true(tsc_exchange_differs(&behind));
	assert_int_equal(tsc_exchange_offset(&same), 0);
	assert_int_equal(tsc_exchange_offset(&ahead), 110);
	assert_true(tsc_exchange_offset(&behind) == -60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast_ports),
		cmocka_unit_test(test_slow_ports),
		cmocka_unit_test(test_held_up_now_and_then),
		cmocka_unit_test(test_counter_wraps),
		cmocka_unit_test(test_dead_reference),
		cmocka_unit_test(test_cpuid),
		cmocka_unit_test(test_exchange),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
