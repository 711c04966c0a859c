/* SPDX-License-Identifier: Apache-2.0 */
/* Wide division, for which the compiler's own helper is not linked. Pure. */
#ifndef RAYOS_KERNEL_LIB_MULDIV_H
#define RAYOS_KERNEL_LIB_MULDIV_H

#include "kernel/lib/types.h"

/**
 * num / den, rounded down; 0 when den is 0, UINT64_MAX when it does not fit. One bit at a time:
 * for set-up and slow paths.
 */
uint64_t div_wide(unsigned __int128 num, uint64_t den);

/** num * mul / den, likewise. */
static inline uint64_t mul_div(uint64_t num, uint64_t mul, uint64_t den)
{
	return div_wide((unsigned __int128)num * mul, den);
}

#endif
