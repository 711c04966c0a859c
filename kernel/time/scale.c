/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/time/scale.h"

#include "kernel/lib/muldiv.h"

uint64_t scale_div_frac(uint64_t num, uint64_t den)
{
	uint64_t quotient = 0;

	for (int bit = 0; bit < 64; bit++) {
		bool carry = num >> 63;

		num <<= 1;
		quotient <<= 1;
		if (carry || num >= den) {
			num -= den;
			quotient |= 1;
		}
	}
	return quotient;
}

void scale_init(struct clock_scale *s, uint64_t hz)
{
	s->ns_per_tick = mul_div(NS_PER_SEC, 1ull << 32, hz);
	/* No clock is faster than 4e18 Hz, so that the quotient above is not zero. */
	/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
	s->ticks_per_ns = (1ull << 32) / s->ns_per_tick;
	s->ticks_frac = scale_div_frac((1ull << 32) % s->ns_per_tick, s->ns_per_tick);
}
