// SPDX-License-Identifier: Apache-2.0
#include "hv/vmx/vmx_priv.h"
#include "kernel/lib/err.h"

#define RANGE     0x2000u           /* MSRs of each of the two ranges */
#define HIGH_BASE 0xc0000000u
#define WRITES    (PAGE_SIZE / 2 * 8) /* first bit of the half that is about writing */

/* SDM vol. 3, 25.6.9. */
static int bits(uint32_t msr, uint32_t *read, uint32_t *write)
{
	if (msr < RANGE)
		*read = msr;
	else if (msr - HIGH_BASE < RANGE)
		*read = RANGE + (msr - HIGH_BASE);
	else
		return -RAY_ERANGE;
	*write = WRITES + *read;
	return 0;
}

const struct msr_map_format vmx_msr_map_format = { .order = 0, .bits = bits };
