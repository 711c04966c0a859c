/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/lib/muldiv.h"

uint64_t div_wide(unsigned __int128 num, uint64_t den)
{
	uint64_t hi = (uint64_t)(num >> 64), lo = (uint64_t)num;
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
