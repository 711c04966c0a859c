/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "time"
#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/log.h"
#include "kernel/time/calibrate.h"
#include "kernel/time/rtc.h"
#include "kernel/time/scale.h"
#include "kernel/time/time.h"

static struct clock_scale scale;
static uint64_t tsc_hz;
static uint64_t wall_base_ns; /* wall clock minus time_now() */
static bool tsc_stable;

uint64_t time_now(void)
{
	return scale_to_ns(&scale, rdtsc());
}

uint64_t time_tsc_hz(void)
{
	return tsc_hz;
}

uint64_t time_tsc_to_ns(uint64_t tsc)
{
	return scale_to_ns(&scale, tsc);
}

uint64_t time_ns_to_tsc(uint64_t ns)
{
	return scale_to_ticks(&scale, ns);
}

uint64_t time_wall_ns(void)
{
	return wall_base_ns + time_now();
}

uint64_t time_wall_seconds(void)
{
	return time_wall_ns() / NS_PER_SEC;
}

void time_delay_ns(uint64_t ns)
{
	uint64_t start = rdtsc(), ticks = scale_to_ticks(&scale, ns);

	while (rdtsc() - start < ticks)
		cpu_relax();
}

bool time_tsc_stable(void)
{
	return tsc_stable;
}

void time_tsc_set_unstable(const char *why)
{
	if (tsc_stable)
		log_warn("the TSC is no common clock: %s", why);
	tsc_stable = false;
}

void time_init(void)
{
	struct calibration cal;
	uint64_t seconds;

	calibrate(&cal);
	tsc_hz = cal.tsc_hz;
	scale_init(&scale, tsc_hz);
	log_info("TSC calibrated hz=%lu source=%s", tsc_hz, cal.source);
	/*
	 * Below a hypervisor or an emulator the flag is often left out though the TSC runs
	 * evenly; nothing here changes its rate or stops it (no P-states, no deep C-states).
	 */
	tsc_stable = cpu_features()->tsc_invariant || cpu_features()->hypervisor;
	if (rtc_read(&seconds))
		wall_base_ns = seconds * NS_PER_SEC - time_now();
	else
		log_warn("no sane date in the RTC");
}
