/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/start.h"

#include "boot/boot_info.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/gdt.h"
#include "kernel/arch/image.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/trap.h"

/* Named by the compiler (-mstack-protector-guard=global). */
uintptr_t __stack_chk_guard;

uint64_t kernel_entry_tsc;

#define CPUID_1_ECX_RDRAND (1u << 30)
#define MIX_MULTIPLIER     0xff51afd7ed558ccdull /* finaliser of MurmurHash3 */

static inline __attribute__((always_inline)) uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * MIX_MULTIPLIER;
	return h ^ (h >> 33);
}

/* No stack protector here: the first call makes its value. */
__attribute__((no_stack_protector)) uint64_t arch_entropy(const struct boot_info *bi)
{
	uint64_t h = rdtsc();

	/* The loader's entropy, if this is our loader; bootinfo.c checks the rest later. */
	if (bi->magic == BOOT_INFO_MAGIC)
		for (unsigned int i = 0; i < BOOT_ENTROPY_MAX; i++)
			h = mix(h, bi->entropy[i]);
	if (cpuid(1, 0).ecx & CPUID_1_ECX_RDRAND) {
		uint64_t r = 0;

		__asm__ volatile("rdrand %0" : "+r"(r) : : "cc");
		h = mix(h, r);
	}
	return mix(h, rdtsc());
}

static void boot_ist_set(void)
{
	void *top[IST_COUNT];
	char *p = boot_stack_top;

	for (unsigned int i = 0; i < IST_COUNT; i++) {
		p += PAGE_SIZE + IST_STACK_SIZE;
		top[i] = p;
	}
	gdt_ist_set(0, top);
}

__attribute__((no_stack_protector)) void arch_start(struct boot_info *bi)
{
	/* A zero byte first in memory stops string functions that run over. */
	__stack_chk_guard = arch_entropy(bi) & ~0xffull;

	boot_ist_set();
	gdt_load(0);
	/* The APIC id is known once the local APIC is; nothing needs it before. */
	percpu_load(percpu_prepare(0, 0));
	percpu_publish(1);
	idt_init();
	idt_load();
	kernel_main(bi);
}
