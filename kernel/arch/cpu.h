/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Privileged instructions as inline functions: the only place (with the rest of kernel/arch)
 * for MSR, port, control-register and CPUID assembly. Shadowed by a model in host tests.
 */
#ifndef RAYOS_KERNEL_ARCH_CPU_H
#define RAYOS_KERNEL_ARCH_CPU_H

#include "kernel/lib/types.h"

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "0"(leaf), "2"(subleaf));
	return r;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return ((uint64_t)hi << 32) | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

/* Return 0, or -RAY_EFAULT when the access raised #GP (fixed up in the trap handler). */
int rdmsr_safe(uint32_t msr, uint64_t *out);
int wrmsr_safe(uint32_t msr, uint64_t v);

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return ((uint64_t)hi << 32) | lo;
}

/* Not before the loads and stores ahead of it are done (SDM vol. 2, RDTSC). */
static inline uint64_t rdtsc_ordered(void)
{
	__asm__ volatile("lfence" : : : "memory");
	return rdtsc();
}

#define DEFINE_CR(n)                                                                               \
	static inline uint64_t cr##n##_read(void)                                                  \
	{                                                                                          \
		uint64_t v;                                                                        \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v) : : "memory");                     \
		return v;                                                                          \
	}                                                                                          \
	static inline void cr##n##_write(uint64_t v)                                               \
	{                                                                                          \
		__asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");                         \
	}
DEFINE_CR(0)
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)
DEFINE_CR(8)
#undef DEFINE_CR

#define DEFINE_DR(n)                                                                               \
	static inline uint64_t dr##n##_read(void)                                                  \
	{                                                                                          \
		uint64_t v;                                                                        \
		__asm__ volatile("mov %%dr" #n ", %0" : "=r"(v));                                  \
		return v;                                                                          \
	}                                                                                          \
	static inline void dr##n##_write(uint64_t v)                                               \
	{                                                                                          \
		__asm__ volatile("mov %0, %%dr" #n : : "r"(v));                                    \
	}
DEFINE_DR(0)
DEFINE_DR(1)
DEFINE_DR(2)
DEFINE_DR(3)
DEFINE_DR(6)
DEFINE_DR(7)
#undef DEFINE_DR

static inline uint8_t in8(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline uint16_t in16(uint16_t port)
{
	uint16_t v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline uint32_t in32(uint16_t port)
{
	uint32_t v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline void out8(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline void out16(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}
static inline void out32(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

/* Write a line back to memory and drop it; and: what was stored or written back so far is there
 * before what follows (SDM vol. 2, CLFLUSH, MFENCE). */
static inline void cpu_cache_line_flush(const void *p)
{
	__asm__ volatile("clflush (%0)" : : "r"(p) : "memory");
}
static inline void cpu_store_fence(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

/* False: no number this time. For CPUs that have them (kernel/arch/features.h). */
static inline bool rdrand64(uint64_t *out)
{
	bool ok;

	__asm__ volatile("rdrand %0" : "=r"(*out), "=@ccc"(ok));
	return ok;
}
static inline bool rdseed64(uint64_t *out)
{
	bool ok;

	__asm__ volatile("rdseed %0" : "=r"(*out), "=@ccc"(ok));
	return ok;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}
static inline void cpu_halt_forever(void) __noreturn;
static inline void cpu_halt_forever(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

/* Interrupt flag. irq_save() returns RFLAGS; irq_restore() takes it back. */
#define RFLAGS_IF (1ull << 9)
static inline uint64_t irq_save(void)
{
	uint64_t f;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(f) : : "memory");
	return f;
}
static inline void irq_restore(uint64_t f)
{
	if (f & RFLAGS_IF)
		__asm__ volatile("sti" : : : "memory");
}
static inline void irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}
static inline void irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}
/*
 * Take what is pending and go on with IRQs off. STI holds interrupts off for one instruction,
 * so one stands between; not PAUSE, which under QEMU's TCG carries the shadow over to CLI.
 */
static inline void irq_window(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
}
static inline bool irq_enabled(void)
{
	uint64_t f;

	__asm__ volatile("pushfq; popq %0" : "=r"(f) : : "memory");
	return (f & RFLAGS_IF) != 0;
}

/* VERW with the microcode that goes with MD_CLEAR: overwrites the CPU's internal buffers. */
static inline void cpu_buffers_clear(uint16_t data_selector)
{
	__asm__ volatile("verw %0" : : "m"(data_selector) : "cc", "memory");
}

static inline void invlpg(const void *va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline uint64_t xgetbv0(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return ((uint64_t)hi << 32) | lo;
}
static inline void xsetbv0(uint64_t v)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
/* SDM vol. 1 ch. 13; the area is 64-byte aligned. */
static inline void xsave64(void *area, uint64_t mask)
{
	__asm__ volatile("xsave64 (%0)"
			 : : "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32)) : "memory");
}
/* Compacted: the components of @mask one behind the other (SDM vol. 1, 13.10). */
static inline void xsavec64(void *area, uint64_t mask)
{
	__asm__ volatile("xsavec64 (%0)"
			 : : "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32)) : "memory");
}
static inline void xrstor64(const void *area, uint64_t mask)
{
	__asm__ volatile("xrstor64 (%0)"
			 : : "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32)) : "memory");
}

#endif
