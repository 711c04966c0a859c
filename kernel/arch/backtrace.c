/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/backtrace.h"

size_t backtrace_walk(uint64_t rbp, uint64_t *pcs, size_t max, bool (*readable)(uint64_t addr))
{
	size_t n = 0;

	while (n < max && rbp != 0 && IS_ALIGNED(rbp, 8) && readable(rbp)) {
		const uint64_t *frame = (const uint64_t *)(uintptr_t)rbp;

		if (frame[1] == 0)
			break;
		pcs[n++] = frame[1];
		/* The chain goes from an interrupt stack to the thread's, at any distance, but
		 * on one stack it only rises; equality would loop. */
		if (frame[0] == rbp)
			break;
		rbp = frame[0];
	}
	return n;
}
