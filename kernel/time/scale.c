/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/time/scale.h"

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

uint64_t scale_mul_div(uint64_t num, uint64_t mul, uint64_t den)
{
	unsigned __int128 product = (unsigned __int128)num * mul;
	uint64_t hi = (uint64_t)(product >> 64), lo = (uint64_t)product;
	uint64_t quotient = 0;

	if (den == 0)
		return 0;
	if (hi >= den)
		return UINT64_MAX;
	for (int bit = 63; bit >= 0; bit--) {
		bool carry = hi >> 63;

		hi = (hi << 1) | ((lo >> bit) & 1);
		quotient <<= 1;
		if (carry || hi >= den) {
			hi -= den;
			quotient |= 1;
		}
	}
	return quotient;
}

void scale_init(struct clock_scale *s, uint64_t hz)
{
	s->ns_per_tick = scale_mul_div(NS_PER_SEC, 1ull << 32, hz);
	/* No clock is faster than 4e18 Hz, so that the quotient above is not zero. */
	/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
	s->ticks_per_ns = (1ull << 32) / s->ns_per_tick;
	s->ticks_frac = scale_div_frac((1ull << 32) % s->ns_per_tick, s->ns_per_tick);
}
