/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/time/calibrate.h"

#include "kernel/lib/muldiv.h"
#include "kernel/time/scale.h"

#define EDGE_READS_MAX 200000u /* about 0.2 s of port reads on a real machine */
#define EDGES_MAX      32u
#define SMOOTH_FACTOR  3u

/*
 * Catch the reference just as it advances: the moment lies between two reads. An edge during
 * which we were held up (an SMI, a host that ran something else) shows by a long gap and is
 * not used: wanted is one no longer than SMOOTH_FACTOR times the shortest so far.
 */
static bool sample_edge(const struct ref_clock *ref, const struct clock_probe *probe,
			uint64_t *shortest, struct clock_sample *out)
{
	for (unsigned int edge = 0; edge < EDGES_MAX; edge++) {
		uint32_t value = ref->read(), now = value;
		uint64_t before = probe->tsc(), after = before, gap = 0;

		for (unsigned int i = 0; now == value; i++) {
			if (i == EDGE_READS_MAX)
				return false;
			before = after;
			now = ref->read();
			after = probe->tsc();
		}
		gap = after - before;
		out->apic = probe->apic();
		out->tsc = before + gap / 2;
		out->ref = now;
		if (gap < *shortest)
			*shortest = gap;
		if (edge > 0 && gap / SMOOTH_FACTOR <= *shortest)
			return true;
	}
	return true; /* never smooth: the best there is */
}

uint64_t calibrate_against(const struct ref_clock *ref, const struct clock_probe *probe,
			   uint64_t ns, struct clock_sample *first, struct clock_sample *last)
{
	uint64_t want = mul_div(ns, ref->hz, NS_PER_SEC), shortest = UINT64_MAX;
	uint32_t passed;

	if (!sample_edge(ref, probe, &shortest, first))
		return 0;
	do
		passed = (ref->read() - first->ref) & ref->mask;
	while (passed < want);
	if (!sample_edge(ref, probe, &shortest, last))
		return 0;
	passed = (last->ref - first->ref) & ref->mask;
	return mul_div(last->tsc - first->tsc, ref->hz, passed);
}

uint64_t calibrate_cpuid_hz(uint32_t l15_eax, uint32_t l15_ebx, uint32_t l15_ecx,
			    uint32_t l16_eax, uint32_t hv_khz)
{
	if (l15_eax && l15_ebx && l15_ecx)
		return mul_div(l15_ecx, l15_ebx, l15_eax);
	if (hv_khz)
		return (uint64_t)hv_khz * 1000;
	/* The base frequency in MHz: the TSC's on the CPUs that have leaf 15H without a rate. */
	return (uint64_t)(l16_eax & 0xffff) * 1000000;
}
