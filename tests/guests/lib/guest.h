/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the test guests stand on: a serial console, reports, interrupts, exit with a code.
 * Runs in ring 0 of a virtual machine (RayOS, or any other with a 16550 at 0x3F8).
 */
#ifndef RAYOS_TESTS_GUESTS_GUEST_H
#define RAYOS_TESTS_GUESTS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORT_EXIT      0xf4u  /* OUT: the machine ends, the byte is its code */
#define PORT_COUNT     0x520u /* testdev: counted */
#define PORT_KICK      0x530u /* testdev: raises MSI vector 0x40 */
#define MMIO_COUNT     0xd0001000ul
#define VECTOR_KICK    0x40u
#define VECTOR_SELF    0x41u
#define VECTOR_TIMER   0x42u
#define VECTOR_SPURIOUS 0xffu

#define MSR_APIC_BASE    0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC_ID    0x802u
#define MSR_X2APIC_EOI   0x80bu
#define MSR_X2APIC_SVR   0x80fu
#define MSR_X2APIC_ICR   0x830u
#define MSR_X2APIC_TIMER 0x832u
#define MSR_X2APIC_SELF  0x83fu

struct isr_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/** Minimal printf to the serial console: %s %c %u %d %x %lu %ld %lx %%, no widths. */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Let the TSC advance by so many ticks, without an exit. */
static inline void spin(uint64_t ticks)
{
	uint64_t begin = rdtsc();

	while (rdtsc() - begin < ticks)
		;
}

/** Wait for a byte on the serial line and take it. */
void wait_byte(void);

/** Print "PASS what" or "FAIL what" and count it. */
void report(bool ok, const char *what);

/**
 * Print "GUEST:DONE passed=N failed=N" and end the machine; code 0 when nothing failed. With
 * "linger" on the command line it waits for a byte on the serial line first.
 */
void __attribute__((noreturn)) finish(void);

/** End the machine with a code through port 0xF4 (and halt where there is no such port). */
void __attribute__((noreturn)) guest_exit(uint8_t code);

/** Load the IDT; every vector goes to isr_common() until replaced. */
void idt_init(void);

/** Let a vector go to assembly of the caller's own (which ends in iretq). */
void idt_set(uint8_t vector, void (*handler)(void));

/** C handler of a vector; runs on the interrupted stack with interrupts off. */
void isr_set(uint8_t vector, void (*handler)(struct isr_frame *frame));

/**
 * Run @fn and catch the first exception in it.
 * Returns: the vector, or -1 when there was none
 */
int catch_fault(void (*fn)(void));

/** Turn the local APIC on in x2APIC mode. */
void x2apic_enable(void);

/**
 * Start the CPU with an APIC id (INIT, SIPI) and run @fn on it.
 * Returns: whether it came up within a second's worth of polling
 */
bool cpu_start(uint32_t apic_id, void (*fn)(void));

/** TSC ticks in a second, measured against the 8254's channel 2. */
uint64_t tsc_hz(void);

/** Halt until the TSC has advanced by so many ticks; interrupts are on meanwhile. */
void sleep_ticks(uint64_t ticks);

/**
 * The n-th range of usable memory from the Multiboot memory map.
 * Returns: false when there are fewer
 */
bool memory_range(unsigned n, uint64_t *base, uint64_t *len);

/** First byte behind this image. */
extern uint8_t guest_end[];

/** The command line of the boot protocol, never NULL. */
const char *guest_cmdline(void);

/** Whether a word stands on the command line. */
bool cmdline_has(const char *word);

/** The number after "name=" on the command line, or @otherwise. */
uint64_t cmdline_number(const char *name, uint64_t otherwise);

/** What each guest defines: its work. The machine ends when it returns. */
void guest_run(void);

#endif
