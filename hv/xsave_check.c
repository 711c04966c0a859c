/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether XSAVEC does what XRSTOR expects. Bochs 2.7 writes YMM's upper halves to where the
 * legacy region ends for it and reads them where the format has them (SDM vol. 1, 13.4.3): a
 * guest that keeps its threads' state by XSAVEC, as Linux does, loses vector registers at a
 * switch of threads.
 */
#include <string.h>

#include "hv/hv.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

#define YMM          BIT(2)
#define SSE_YMM      (BIT(1) | YMM)
#define XSTATE_BV    512u
#define YMM_AT       576u /* in either format: the first component behind the header */
#define YMM_LEN      256u
#define MXCSR        24u
#define MXCSR_RESET  0x1f80u

/* An area that makes XRSTOR load @bv's components: a pattern, or their initial state for 0. */
static void area_fill(uint8_t *area, uint64_t bv)
{
	memset(area, 0, hv_xsave_size());
	memcpy(area + MXCSR, &(const uint32_t){MXCSR_RESET}, sizeof(uint32_t));
	memcpy(area + XSTATE_BV, &bv, sizeof(bv));
	for (unsigned int i = 0; bv && i < YMM_LEN; i++)
		area[YMM_AT + i] = (uint8_t)(i + 1);
}

int hv_xsavec_check(bool *good)
{
	/* Two areas: what is loaded, and what is saved. */
	size_t size = ALIGN_UP((size_t)hv_xsave_size(), 64u);
	uint8_t *area;

	*good = true;
	if (!(hv_host_xcr0() & YMM))
		return 0;
	area = kzalloc(ALIGN_UP(2 * size, PAGE_SIZE), MEM_VM); /* whole pages are aligned */
	if (area == NULL)
		return -RAY_ENOMEM;
	area_fill(area, SSE_YMM);
	xrstor64(area, SSE_YMM);
	xsavec64(area + size, SSE_YMM);
	*good = memcmp(area + YMM_AT, area + size + YMM_AT, YMM_LEN) == 0;
	area_fill(area, 0);
	xrstor64(area, SSE_YMM);
	kfree(area);
	return 0;
}
