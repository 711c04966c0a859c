/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"

/* The result starts as the error and becomes 0 only when the instruction before it did not
 * fault; a fault continues at label 2 with the error still in place. */
#define EXTABLE_12                                                                                 \
	".pushsection .extable, \"a\"\n\t"                                                         \
	".long 1b - .\n\t"                                                                         \
	".long 2f - .\n\t"                                                                         \
	".popsection\n"

int rdmsr_safe(uint32_t msr, uint64_t *out)
{
	uint32_t lo = 0, hi = 0;
	int err = -RAY_EFAULT;

	__asm__ volatile("1:\trdmsr\n\t"
			 "xorl %0, %0\n\t" EXTABLE_12 "2:"
			 : "+r"(err), "+a"(lo), "+d"(hi)
			 : "c"(msr)
			 : "memory", "cc");
	if (err == 0)
		*out = ((uint64_t)hi << 32) | lo;
	return err;
}

int wrmsr_safe(uint32_t msr, uint64_t v)
{
	int err = -RAY_EFAULT;

	__asm__ volatile("1:\twrmsr\n\t"
			 "xorl %0, %0\n\t" EXTABLE_12 "2:"
			 : "+r"(err)
			 : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32))
			 : "memory", "cc");
	return err;
}
