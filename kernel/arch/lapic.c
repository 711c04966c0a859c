/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/lapic.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/msr_index.h"

/* Register numbers: MMIO offset / 16, and x2APIC MSR - 0x800 (SDM vol. 3 table 11-6). */
#define REG_ID      0x02u
#define REG_TPR     0x08u
#define REG_EOI     0x0bu
#define REG_LDR     0x0du
#define REG_DFR     0x0eu
#define REG_SVR     0x0fu
#define REG_ESR     0x28u
#define REG_LVT_CMCI 0x2fu
#define REG_ICR     0x30u
#define REG_ICR_HI  0x31u /* xAPIC only */
#define REG_LVT_TIMER 0x32u
#define REG_LVT_THERMAL 0x33u
#define REG_LVT_PERF 0x34u
#define REG_LVT_LINT0 0x35u
#define REG_LVT_LINT1 0x36u
#define REG_LVT_ERROR 0x37u
#define REG_TIMER_INIT 0x38u
#define REG_TIMER_CURRENT 0x39u
#define REG_TIMER_DIVIDE 0x3eu
#define REG_VERSION 0x03u

#define MSR_X2APIC_BASE 0x800u
#define APIC_BASE_X2    BIT(10)
#define APIC_BASE_EN    BIT(11)
#define APIC_BASE_ADDR  0x000ffffffffff000ull

#define SVR_ENABLE        BIT(8)
#define LVT_MASKED        BIT(16)
#define LVT_NMI           (4u << 8)
#define LVT_EXTINT        (7u << 8)
#define LVT_TIMER_DEADLINE (2u << 17)
#define TIMER_DIVIDE_BY_1 0xbu

#define ICR_NMI           (4u << 8)
#define ICR_INIT          (5u << 8)
#define ICR_STARTUP       (6u << 8)
#define ICR_PENDING       BIT(12)
#define ICR_ASSERT        BIT(14)
#define ICR_OTHERS        (3u << 18)

#define CPUID_1_ECX_X2APIC       (1u << 21)
#define CPUID_1_ECX_TSC_DEADLINE (1u << 24)

#define ICR_WAIT_MAX 1000000u

static volatile uint32_t *regs;
static bool x2apic, tsc_deadline, ready;
static uint64_t counts_per_tick; /* 32.32; 0: not calibrated */

static inline uint32_t reg_read(unsigned int reg)
{
	return x2apic ? (uint32_t)rdmsr(MSR_X2APIC_BASE + reg) : regs[reg * 4];
}

static inline void reg_write(unsigned int reg, uint32_t v)
{
	if (x2apic)
		wrmsr(MSR_X2APIC_BASE + reg, v);
	else
		regs[reg * 4] = v;
}

uint64_t lapic_phys_base(void)
{
	return rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDR;
}

bool lapic_is_x2apic(void)
{
	return x2apic;
}

bool lapic_ready(void)
{
	return ready;
}

static void lvt_init(void)
{
	unsigned int max_lvt = (reg_read(REG_VERSION) >> 16) & 0xff;

	/* Firmware may have left any of these armed; the numbers count from 0 (sec. 11.4.8). */
	reg_write(REG_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	reg_write(REG_LVT_LINT0, LVT_MASKED);
	reg_write(REG_LVT_LINT1, LVT_NMI);
	if (max_lvt >= 4)
		reg_write(REG_LVT_PERF, LVT_MASKED);
	if (max_lvt >= 5)
		reg_write(REG_LVT_THERMAL, LVT_MASKED);
	if (max_lvt >= 6)
		reg_write(REG_LVT_CMCI, LVT_MASKED);
	reg_write(REG_LVT_ERROR, VECTOR_ERROR);
	reg_write(REG_ESR, 0);
}

static void timer_init_cpu(void)
{
	if (tsc_deadline) {
		reg_write(REG_LVT_TIMER, LVT_TIMER_DEADLINE | VECTOR_TIMER);
		/* In xAPIC mode the store must be done before the first deadline (11.5.4.1). */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		return;
	}
	reg_write(REG_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
	reg_write(REG_TIMER_INIT, 0);
	reg_write(REG_LVT_TIMER, VECTOR_TIMER);
}

static void cpu_enable(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_EN;

	wrmsr(MSR_APIC_BASE, base);
	if (x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2);
	reg_write(REG_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	if (!x2apic) {
		reg_write(REG_DFR, 0xffffffffu);
		reg_write(REG_LDR, 0);
	}
	lvt_init();
	timer_init_cpu();
	reg_write(REG_TPR, 0);
	reg_write(REG_ESR, 0);
}

void lapic_init(volatile void *mmio)
{
	uint32_t ecx = cpuid(1, 0).ecx;

	regs = mmio;
	/* Firmware that has left it in x2APIC mode must be followed: there is no way back. */
	x2apic = (ecx & CPUID_1_ECX_X2APIC) || (rdmsr(MSR_APIC_BASE) & APIC_BASE_X2);
	tsc_deadline = ecx & CPUID_1_ECX_TSC_DEADLINE;
	cpu_enable();
	ready = true;
}

void lapic_init_ap(void)
{
	cpu_enable();
}

uint32_t lapic_id(void)
{
	uint32_t id = reg_read(REG_ID);

	return x2apic ? id : id >> 24;
}

void lapic_eoi(void)
{
	reg_write(REG_EOI, 0);
}

void lapic_look_again(void)
{
	reg_write(REG_TPR, 0);
}

void lapic_extint_enable(void)
{
	reg_write(REG_LVT_LINT0, LVT_EXTINT);
}

uint32_t lapic_error_read(void)
{
	/* A write latches what has happened since the last one (sec. 11.5.3). */
	reg_write(REG_ESR, 0);
	return reg_read(REG_ESR);
}

static void icr_wait(void)
{
	for (unsigned int i = 0; i < ICR_WAIT_MAX && (regs[REG_ICR * 4] & ICR_PENDING); i++)
		cpu_relax();
}

static void icr_write(uint32_t apic_id, uint32_t low)
{
	uint64_t flags;

	if (x2apic) {
		/* WRMSR to the ICR does not order earlier stores (sec. 11.12.3). */
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC_BASE + REG_ICR, ((uint64_t)apic_id << 32) | low);
		return;
	}
	/* An interrupt between the two halves could send to the wrong CPU. */
	flags = irq_save();
	icr_wait();
	regs[REG_ICR_HI * 4] = apic_id << 24;
	regs[REG_ICR * 4] = low;
	irq_restore(flags);
}

void lapic_ipi(uint32_t apic_id, uint8_t vector)
{
	icr_write(apic_id, ICR_ASSERT | vector);
}

void lapic_ipi_nmi(uint32_t apic_id)
{
	icr_write(apic_id, ICR_ASSERT | ICR_NMI);
}

void lapic_ipi_init(uint32_t apic_id)
{
	icr_write(apic_id, ICR_ASSERT | ICR_INIT);
}

void lapic_ipi_startup(uint32_t apic_id, uint8_t page)
{
	icr_write(apic_id, ICR_ASSERT | ICR_STARTUP | page);
}

void lapic_timer_calibrate_begin(void)
{
	reg_write(REG_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	reg_write(REG_TIMER_INIT, UINT32_MAX);
}

uint32_t lapic_timer_calibrate_read(void)
{
	return UINT32_MAX - reg_read(REG_TIMER_CURRENT);
}

void lapic_timer_calibrate_end(uint64_t counts, uint64_t ticks)
{
	counts_per_tick = ticks ? (counts << 32) / ticks : 0;
	timer_init_cpu();
}

bool lapic_timer_has_deadline(void)
{
	return tsc_deadline;
}

void lapic_timer_arm(uint64_t tsc)
{
	uint64_t now, count = 1;

	if (tsc_deadline) {
		/* Writing 0 would disarm. */
		wrmsr(MSR_TSC_DEADLINE, tsc ? tsc : 1);
		return;
	}
	now = rdtsc();
	if (tsc > now) {
		unsigned __int128 wide = (unsigned __int128)(tsc - now) * counts_per_tick;

		count = wide >> 64 ? UINT32_MAX : (uint64_t)(wide >> 32) + 1;
		count = MIN(count, (uint64_t)UINT32_MAX);
	}
	reg_write(REG_TIMER_INIT, (uint32_t)count);
}

void lapic_timer_disarm(void)
{
	if (tsc_deadline)
		wrmsr(MSR_TSC_DEADLINE, 0);
	else
		reg_write(REG_TIMER_INIT, 0);
}
