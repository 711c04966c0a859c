/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports what hardware state a guest sees: CPUID, MSRs, prefixed instructions, the machine's
 * old devices, interrupts. Each line is PASS or FAIL with what was looked at.
 */
#include "guest.h"

#define CPUID_HYPERVISOR (1u << 31)
#define CPUID_X2APIC     (1u << 21)
#define CPUID_VMX        (1u << 5)
#define CPUID_SVM        (1u << 2)
#define MSR_EFER         0xc0000080u
#define VECTOR_GP        13
#define VECTOR_UD        6

static volatile uint32_t kicks;

static void unknown_rdmsr(void)
{
	(void)rdmsr(0x12345);
}

static void unknown_wrmsr(void)
{
	wrmsr(0x12345, 1);
}

static void undefined(void)
{
	__asm__ volatile("ud2");
}

static void reserved_efer(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | 1ul << 40);
}

static void check_cpuid(void)
{
	struct cpuid_regs max = cpuid(0, 0), features = cpuid(1, 0), kvm = cpuid(0x40000000, 0);

	report(max.eax >= 7, "cpuid: basic leaves up to 7 at least");
	report((features.ecx & CPUID_HYPERVISOR) != 0, "cpuid: hypervisor bit");
	report((features.ecx & CPUID_X2APIC) != 0, "cpuid: x2APIC");
	report((features.ecx & CPUID_VMX) == 0, "cpuid: no VMX for guests");
	report((cpuid(0x80000001, 0).ecx & CPUID_SVM) == 0, "cpuid: no SVM for guests");
	report(kvm.ebx == 0x4b4d564b && kvm.ecx == 0x564b4d56 && kvm.edx == 0x4d,
	       "cpuid: KVM signature");
}

static void check_msrs(void)
{
	report(catch_fault(unknown_rdmsr) == VECTOR_GP, "rdmsr of an unknown MSR faults");
	report(catch_fault(unknown_wrmsr) == VECTOR_GP, "wrmsr of an unknown MSR faults");
	report(catch_fault(undefined) == VECTOR_UD, "ud2 faults");
	report(catch_fault(reserved_efer) == VECTOR_GP, "a reserved EFER bit faults");
	report((rdmsr(MSR_APIC_BASE) & 0x100) != 0, "IA32_APIC_BASE: boot CPU");
	wrmsr(0xc0000100, 0x123456789abcul);
	report(rdmsr(0xc0000100) == 0x123456789abcul, "FS base keeps its value");
}

/* An exit whose instruction is longer than it looks must go on behind all of it. */
static void check_prefixes(void)
{
	uint32_t a, b, c, d, mark = 0;

	__asm__ volatile("movl $0, %%eax; xorl %%ecx, %%ecx\n\t"
			 ".byte 0x66, 0x66, 0x2e, 0x0f, 0xa2\n\t" /* cpuid */
			 "incl %4"
			 : "=a"(a), "=b"(b), "=c"(c), "=d"(d), "+r"(mark));
	report(mark == 1 && a == cpuid(0, 0).eax && b == cpuid(0, 0).ebx, "cpuid with prefixes");
	__asm__ volatile(".byte 0x48, 0x0f, 0x32\n\t" /* rex.w rdmsr */
			 "incl %2"
			 : "=a"(a), "=d"(d), "+r"(mark)
			 : "c"(MSR_APIC_BASE));
	report(mark == 2 && a == (uint32_t)rdmsr(MSR_APIC_BASE), "rdmsr with prefix");
	__asm__ volatile(".byte 0x66, 0xee\n\t" /* outb with operand size prefix */
			 "incl %0"
			 : "+r"(mark)
			 : "a"(0), "d"(0x80));
	report(mark == 3, "out with prefix");
}

static void check_ports(void)
{
	static const uint8_t text[] = { 1, 2, 3, 4 };
	const uint8_t *from = text;
	uint64_t count = sizeof(text);

	report(inb(0x5a5a) == 0xff, "an unknown port reads as all ones");
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(0x80) : "memory");
	report(from == text + sizeof(text) && count == 0, "rep outsb advances");
}

static void on_interrupt(struct isr_frame *frame)
{
	(void)frame;
	kicks++;
	wrmsr(MSR_X2APIC_EOI, 0);
}

static void check_interrupts(void)
{
	uint64_t hz, begin, slept;

	x2apic_enable();
	report(rdmsr(MSR_X2APIC_ID) == 0, "x2APIC id of the boot CPU is 0");
	isr_set(VECTOR_SELF, on_interrupt);
	__asm__ volatile("sti");
	wrmsr(MSR_X2APIC_SELF, VECTOR_SELF);
	report(kicks == 1, "self-IPI arrives at once");
	__asm__ volatile("cli");
	wrmsr(MSR_X2APIC_SELF, VECTOR_SELF);
	report(kicks == 1, "with interrupts off it waits");
	__asm__ volatile("sti; nop; nop");
	report(kicks == 2, "and comes when they are on");
	__asm__ volatile("cli");
	hz = tsc_hz();
	report(hz > 1000000, "8254 channel 2 counts");
	begin = rdtsc();
	sleep_ticks(hz / 100);
	slept = rdtsc() - begin;
	report(slept >= hz / 100, "TSC-deadline timer is never early");
	if (cmdline_has("testdev")) {
		isr_set(VECTOR_KICK, on_interrupt);
		__asm__ volatile("sti");
		outl(PORT_KICK, 0);
		__asm__ volatile("nop; nop; cli");
		report(kicks == 3, "testdev's MSI arrives");
	}
}

void guest_run(void)
{
	uint64_t base, len;

	report(memory_range(0, &base, &len) && base == 0, "memory map: low memory first");
	report(memory_range(1, &base, &len) && base == 0x100000, "memory map: then from 1 MiB");
	check_cpuid();
	check_msrs();
	check_prefixes();
	check_ports();
	check_interrupts();
}
