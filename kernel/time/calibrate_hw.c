/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kernel/acpi/tables.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/lapic.h"
#include "kernel/panic.h"
#include "kernel/time/calibrate.h"
#include "kernel/time/scale.h"

#define CALIBRATE_NS 4000000ull

/* 8254: channel 2 and its gate in the port B of the 8255. */
#define PIT_HZ         1193182ull
#define PIT_CH2        0x42
#define PIT_COMMAND    0x43
#define PIT_CH2_MODE2  0xb4 /* low byte, high byte, rate generator, binary */
#define PIT_CH2_LATCH  0x80
#define PORT_B         0x61
#define PORT_B_GATE2   0x01
#define PORT_B_SPEAKER 0x02

#define PM_TIMER_HZ         3579545ull
#define FADT_PM_TMR_BLK     76u
#define FADT_PM_TMR_LEN     91u
#define FADT_FLAGS          112u
#define FADT_FLAG_HW_REDUCED BIT(20)

#define CPUID_HV_TIMING 0x40000010u

static uint16_t pm_port;

static void pit_start(void)
{
	out8(PORT_B, (uint8_t)((in8(PORT_B) & ~PORT_B_SPEAKER) | PORT_B_GATE2));
	out8(PIT_COMMAND, PIT_CH2_MODE2);
	out8(PIT_CH2, 0); /* 65536 */
	out8(PIT_CH2, 0);
}

static void pit_stop(void)
{
	out8(PORT_B, (uint8_t)(in8(PORT_B) & ~(PORT_B_SPEAKER | PORT_B_GATE2)));
}

static uint32_t pit_read(void)
{
	uint32_t lo, hi;

	out8(PIT_COMMAND, PIT_CH2_LATCH);
	lo = in8(PIT_CH2);
	hi = in8(PIT_CH2);
	return 0xffff - ((hi << 8) | lo); /* it counts down */
}

static uint32_t pm_read(void)
{
	return in32(pm_port) & 0xffffff;
}

static const struct ref_clock pit = {
	.name = "pit",
	.hz = PIT_HZ,
	.mask = 0xffff,
	.read = pit_read,
};

static const struct ref_clock pm_timer = {
	.name = "pm-timer",
	.hz = PM_TIMER_HZ,
	.mask = 0xffffff,
	.read = pm_read,
};

static uint32_t apic_count(void)
{
	return lapic_timer_has_deadline() ? 0 : lapic_timer_calibrate_read();
}

static uint64_t tsc_read(void)
{
	return rdtsc();
}

static const struct clock_probe probe = {
	.tsc = tsc_read,
	.apic = apic_count,
};

/* ACPI 6.5 sec. 5.2.9 and 4.8.3.3. */
static bool pm_timer_find(void)
{
	size_t len;
	const uint8_t *fadt = acpi_table_find("FACP", 0, &len);
	uint32_t port, flags = 0;

	if (!fadt || len <= FADT_PM_TMR_LEN)
		return false;
	memcpy(&port, fadt + FADT_PM_TMR_BLK, sizeof(port));
	if (len >= FADT_FLAGS + sizeof(flags))
		memcpy(&flags, fadt + FADT_FLAGS, sizeof(flags));
	if (port == 0 || port > 0xffff || fadt[FADT_PM_TMR_LEN] != 4 ||
	    (flags & FADT_FLAG_HW_REDUCED))
		return false;
	pm_port = (uint16_t)port;
	return true;
}

static uint64_t stated_hz(void)
{
	uint32_t max = cpuid(0, 0).eax, hv_khz = 0, l16 = 0;
	struct cpuid_regs l15 = { 0 };

	if (max >= 0x15)
		l15 = cpuid(0x15, 0);
	if (max >= 0x16)
		l16 = cpuid(0x16, 0).eax;
	if ((cpuid(1, 0).ecx & BIT(31)) && cpuid(0x40000000, 0).eax >= CPUID_HV_TIMING)
		hv_khz = cpuid(CPUID_HV_TIMING, 0).eax;
	return calibrate_cpuid_hz(l15.eax, l15.ebx, l15.ecx, l16, hv_khz);
}

static uint64_t measure(struct calibration *out, struct clock_sample *a, struct clock_sample *b)
{
	uint64_t hz;

	pit_start();
	hz = calibrate_against(&pit, &probe, CALIBRATE_NS, a, b);
	pit_stop();
	out->source = pit.name;
	if (hz == 0 && pm_timer_find()) {
		hz = calibrate_against(&pm_timer, &probe, CALIBRATE_NS, a, b);
		out->source = pm_timer.name;
	}
	return hz;
}

void calibrate(struct calibration *out)
{
	struct clock_sample a, b;
	uint64_t stated = stated_hz(), hz;

	if (!lapic_timer_has_deadline())
		lapic_timer_calibrate_begin();
	hz = measure(out, &a, &b);
	/*
	 * What CPUID states is exact where it is true; under an emulator whose clock counts
	 * instructions it is not.
	 */
	if (stated && (hz == 0 || calibrate_agree(stated, hz))) {
		out->tsc_hz = stated;
		out->source = "cpuid";
	} else {
		out->tsc_hz = hz;
	}
	if (out->tsc_hz < SCALE_HZ_MIN || out->tsc_hz > SCALE_HZ_MAX)
		panic("no clock to measure the TSC with (hz=%lu)", out->tsc_hz);
	if (lapic_timer_has_deadline())
		return;
	if (hz == 0)
		panic("no clock to measure the local APIC timer with");
	lapic_timer_calibrate_end(b.apic - a.apic, b.tsc - a.tsc);
}
