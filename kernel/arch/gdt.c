/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/gdt.h"

#include "kernel/arch/percpu.h"

/* SDM vol. 3 sec. 3.4.5: present, DPL 0, accessed; the CPU would write the accessed bit. */
#define DESC_CODE64 0x00af9b000000ffffull
#define DESC_DATA   0x00cf93000000ffffull
#define DESC_TSS_AVAILABLE 0x89ull

#define GDT_ENTRIES 5u /* null, code, data, TSS in two */

struct cpu_segments {
	uint64_t gdt[GDT_ENTRIES];
	struct tss tss;
} __cacheline;

BUILD_ASSERT(sizeof(struct tss) == 104, "TSS layout");

static struct cpu_segments segments[CPU_MAX];

void gdt_ist_set(unsigned int id, void *const top[IST_COUNT])
{
	for (unsigned int i = 0; i < IST_COUNT; i++)
		segments[id].tss.ist[i] = (uint64_t)(uintptr_t)top[i];
}

void gdt_load(unsigned int id)
{
	struct cpu_segments *s = &segments[id];
	uint64_t base = (uint64_t)(uintptr_t)&s->tss;
	uint64_t limit = sizeof(s->tss) - 1;
	struct desc_ptr gdtr = {
		.limit = sizeof(s->gdt) - 1,
		.base = (uint64_t)(uintptr_t)s->gdt,
	};

	s->tss.iomap_base = sizeof(s->tss);
	s->gdt[SEL_KERNEL_CS / 8] = DESC_CODE64;
	s->gdt[SEL_KERNEL_DS / 8] = DESC_DATA;
	s->gdt[SEL_TSS / 8] = limit | ((base & 0xffffff) << 16) | (DESC_TSS_AVAILABLE << 40) |
			      (((base >> 24) & 0xff) << 56);
	s->gdt[SEL_TSS / 8 + 1] = base >> 32;

	/* FS and GS get the null selector first: loading it clears a base that is set later. */
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "movl %2, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%ss\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "lldt %%ax\n\t"
			 "movw %3, %%ax\n\t"
			 "ltr %%ax"
			 :
			 : "m"(gdtr), "i"(SEL_KERNEL_CS), "i"(SEL_KERNEL_DS), "i"(SEL_TSS)
			 : "rax", "memory");
}

uint64_t gdt_base(unsigned int id)
{
	return (uint64_t)(uintptr_t)segments[id].gdt;
}

uint64_t gdt_tss_base(unsigned int id)
{
	return (uint64_t)(uintptr_t)&segments[id].tss;
}
