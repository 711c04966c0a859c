/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the rate of the TSC, and of the local APIC's timer against it, by a clock of known
 * rate: the 8254's channel 2, else the ACPI PM timer.
 */
#ifndef RAYOS_KERNEL_TIME_CALIBRATE_H
#define RAYOS_KERNEL_TIME_CALIBRATE_H

#include "kernel/lib/types.h"

struct calibration {
	uint64_t tsc_hz;
	const char *source;
};

/** Also sets up lapic_timer_arm(). Panics when nothing counts. Context: BSP, IRQs off. */
void calibrate(struct calibration *out);

/* A counter of known rate, as a struct so that a test can put a model in its place. */
struct ref_clock {
	const char *name;
	uint64_t hz;
	uint32_t mask;          /* bits that count, from bit 0 */
	uint32_t (*read)(void); /* rises; wraps at mask */
};

/* One moment on three clocks. */
struct clock_sample {
	uint64_t tsc;
	uint32_t ref;
	uint32_t apic;
};

struct clock_probe {
	uint64_t (*tsc)(void);
	uint32_t (*apic)(void);
};

/**
 * Wait until the reference has advanced by @ns, comparing at its edges. Pure but for the
 * clocks it is given.
 * Returns: TSC rate, or 0 when the reference does not count. *apic_per_tsc: the two counts.
 */
uint64_t calibrate_against(const struct ref_clock *ref, const struct clock_probe *probe,
			   uint64_t ns, struct clock_sample *first, struct clock_sample *last);

/** The rate CPUID states, 0 when it states none. SDM vol. 2, CPUID leaves 15H and 16H. */
uint64_t calibrate_cpuid_hz(uint32_t l15_eax, uint32_t l15_ebx, uint32_t l15_ecx,
			    uint32_t l16_eax, uint32_t hv_khz);

/** Whether two rates agree within 1 %. */
static inline bool calibrate_agree(uint64_t a, uint64_t b)
{
	uint64_t diff = a > b ? a - b : b - a;

	return diff <= b / 100;
}

#endif
