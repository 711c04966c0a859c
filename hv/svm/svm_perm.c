// SPDX-License-Identifier: Apache-2.0
/* Permission maps: every port exits; where MSRs stand in their map. */
#include "hv/svm/svm_priv.h"
#include "kernel/lib/err.h"
#include "kernel/mm/page.h"

#include <string.h>

#define IOPM_ORDER  2u /* 12 KiB are used */
#define MSRPM_ORDER 1u
#define MSRS_PER_RANGE 0x2000u

static uint64_t iopm_pa;

/* APM vol. 2, 15.11: three ranges of 0x2000 MSRs, two bits each. */
static int bits(uint32_t msr, uint32_t *read, uint32_t *write)
{
	static const uint32_t base[] = { 0, 0xc0000000, 0xc0010000 };

	for (uint32_t i = 0; i < ARRAY_SIZE(base); i++) {
		if (msr - base[i] < MSRS_PER_RANGE) {
			*read = (i * MSRS_PER_RANGE + (msr - base[i])) * 2;
			*write = *read + 1;
			return 0;
		}
	}
	return -RAY_ERANGE;
}

const struct msr_map_format svm_msr_map_format = { .order = MSRPM_ORDER, .bits = bits };

int svm_iopm_init(void)
{
	hpa_t page;
	int err;

	if (iopm_pa)
		return 0;
	err = page_alloc(IOPM_ORDER, 0, &page);
	if (err)
		return err;
	memset(hpa_to_va(page), 0xff, PAGE_SIZE << IOPM_ORDER);
	iopm_pa = page.v;
	return 0;
}

uint64_t svm_iopm_pa(void)
{
	return iopm_pa;
}
