/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host tests' kernel/arch/cpu.h: privileged instructions act on a model a test can read and
 * preset. Weak definitions, so that no test has to link anything for it.
 */
#ifndef RAYOS_KERNEL_ARCH_CPU_H
#define RAYOS_KERNEL_ARCH_CPU_H

#include "kernel/lib/err.h"
#include "kernel/lib/types.h"

#define FAKE_WEAK __attribute__((weak))

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

/* A test that cares sets the hook; without it every leaf is zero. */
FAKE_WEAK struct cpuid_regs (*fake_cpuid_hook)(uint32_t leaf, uint32_t subleaf);
FAKE_WEAK uint64_t fake_tsc;
FAKE_WEAK uint64_t fake_rflags = 0x202;
FAKE_WEAK uint64_t fake_xcr0 = 7;
FAKE_WEAK uint8_t fake_ymm[256]; /* upper halves, all that XSAVE and XRSTOR move here */
FAKE_WEAK unsigned int fake_xsavec_at = 576;
FAKE_WEAK uint64_t fake_cr[9];
FAKE_WEAK uint64_t fake_dr[8];
#define FAKE_MSRS 64
FAKE_WEAK struct {
	uint32_t msr;
	uint64_t value;
} fake_msrs[FAKE_MSRS];

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	return fake_cpuid_hook ? fake_cpuid_hook(leaf, subleaf) : (struct cpuid_regs){ 0 };
}

static inline uint64_t *fake_msr(uint32_t msr)
{
	for (unsigned int i = 0; i < FAKE_MSRS; i++) {
		if (fake_msrs[i].msr == msr || fake_msrs[i].msr == 0) {
			fake_msrs[i].msr = msr;
			return &fake_msrs[i].value;
		}
	}
	__builtin_trap();
}

static inline uint64_t rdmsr(uint32_t msr)
{
	return *fake_msr(msr);
}

static inline void wrmsr(uint32_t msr, uint64_t v)
{
	*fake_msr(msr) = v;
}

static inline int rdmsr_safe(uint32_t msr, uint64_t *out)
{
	*out = rdmsr(msr);
	return 0;
}

static inline int wrmsr_safe(uint32_t msr, uint64_t v)
{
	wrmsr(msr, v);
	return 0;
}

static inline uint64_t rdtsc(void)
{
	return fake_tsc;
}

#define FAKE_REG(name, array, n)                                                                   \
	static inline uint64_t name##n##_read(void)                                                \
	{                                                                                          \
		return array[n];                                                                   \
	}                                                                                          \
	static inline void name##n##_write(uint64_t v)                                             \
	{                                                                                          \
		array[n] = v;                                                                      \
	}
FAKE_REG(cr, fake_cr, 0)
FAKE_REG(cr, fake_cr, 2)
FAKE_REG(cr, fake_cr, 3)
FAKE_REG(cr, fake_cr, 4)
FAKE_REG(cr, fake_cr, 8)
FAKE_REG(dr, fake_dr, 0)
FAKE_REG(dr, fake_dr, 1)
FAKE_REG(dr, fake_dr, 2)
FAKE_REG(dr, fake_dr, 3)
FAKE_REG(dr, fake_dr, 6)
FAKE_REG(dr, fake_dr, 7)

/* Ports read as a floating bus, unless a test has a model behind them. */
FAKE_WEAK uint32_t (*fake_port_in)(uint16_t port, unsigned int size);
FAKE_WEAK void (*fake_port_out)(uint16_t port, unsigned int size, uint32_t v);

#define FAKE_PORT(bits)                                                                            \
	static inline uint##bits##_t in##bits(uint16_t port)                                       \
	{                                                                                          \
		return (uint##bits##_t)(fake_port_in ? fake_port_in(port, bits / 8) : UINT32_MAX); \
	}                                                                                          \
	static inline void out##bits(uint16_t port, uint##bits##_t v)                              \
	{                                                                                          \
		if (fake_port_out)                                                                 \
			fake_port_out(port, bits / 8, v);                                          \
	}
FAKE_PORT(8)
FAKE_PORT(16)
FAKE_PORT(32)
#undef FAKE_PORT

/* A CPU that never has a number, unless a test says otherwise. */
FAKE_WEAK bool (*fake_rdrand_hook)(uint64_t *out);
FAKE_WEAK bool (*fake_rdseed_hook)(uint64_t *out);
static inline bool rdrand64(uint64_t *out)
{
	return fake_rdrand_hook && fake_rdrand_hook(out);
}
static inline bool rdseed64(uint64_t *out)
{
	return fake_rdseed_hook && fake_rdseed_hook(out);
}

static inline void cpu_relax(void)
{
}

static inline void cpu_halt_forever(void) __noreturn;
static inline void cpu_halt_forever(void)
{
	__builtin_trap();
}

#define RFLAGS_IF (1ull << 9)
static inline uint64_t irq_save(void)
{
	uint64_t f = fake_rflags;

	fake_rflags &= ~RFLAGS_IF;
	return f;
}
static inline void irq_restore(uint64_t f)
{
	fake_rflags |= f & RFLAGS_IF;
}
static inline void irq_disable(void)
{
	fake_rflags &= ~RFLAGS_IF;
}
static inline void irq_enable(void)
{
	fake_rflags |= RFLAGS_IF;
}
static inline void irq_window(void)
{
}
static inline bool irq_enabled(void)
{
	return (fake_rflags & RFLAGS_IF) != 0;
}

static inline void cpu_buffers_clear(uint16_t data_selector)
{
	(void)data_selector;
}

static inline void invlpg(const void *va)
{
	(void)va;
}

static inline uint64_t xgetbv0(void)
{
	return fake_xcr0;
}
static inline void xsetbv0(uint64_t v)
{
	fake_xcr0 = v;
}
static inline void xsave64(void *area, uint64_t mask)
{
	(void)area;
	(void)mask;
}
static inline void xrstor64(const void *area, uint64_t mask)
{
	const uint8_t *p = area;

	for (unsigned int i = 0; (mask & 4) && i < sizeof(fake_ymm); i++)
		fake_ymm[i] = p[512] & 4 ? p[576 + i] : 0;
}
static inline void xsavec64(void *area, uint64_t mask)
{
	for (unsigned int i = 0; (mask & 4) && i < sizeof(fake_ymm); i++)
		((uint8_t *)area)[fake_xsavec_at + i] = fake_ymm[i];
}

#endif
