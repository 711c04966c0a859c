/* SPDX-License-Identifier: Apache-2.0 */
#include "meter.h"

#include "guest.h"

#define COM1       0x3f8u
#define LSR        (COM1 + 5)
#define LSR_DATA   0x01u
#define LOOK_TICKS 2000000u  /* between looks at the serial line: each is an exit */
#define QUIET      80000000u /* until the host has done with its console line: 115200 baud, and its screen */
#define MSR_PV_EOI 0x4b564d04u

volatile uint32_t meter_handled;
volatile uint64_t meter_tsc;
static volatile uint32_t pv_eoi __attribute__((aligned(4)));

void on_device(void);
__asm__(".text\n.align 16\non_device:\n\t"
	"pushq %rax\n\tpushq %rdx\n\tpushq %rcx\n\t"
	"rdtsc\n\tshlq $32, %rdx\n\torq %rdx, %rax\n\tmovq %rax, meter_tsc(%rip)\n\t"
	"incl meter_handled(%rip)\n\t"
	"lock btrl $0, pv_eoi(%rip)\n\tjc 1f\n\t"
	"movl $0x80b, %ecx\n\txorl %eax, %eax\n\txorl %edx, %edx\n\twrmsr\n"
	"1:\tpopq %rcx\n\tpopq %rdx\n\tpopq %rax\n\tiretq\n");

void meter_init(void)
{
	x2apic_enable();
	idt_set(METER_VECTOR, on_device);
	idt_set(METER_VECTOR_2, on_device);
	wrmsr(MSR_PV_EOI, (uintptr_t)&pv_eoi | 1);
	__asm__ volatile("sti");
}

void meter_wait(uint32_t until)
{
	if (meter_handled == until)
		return;
	__asm__ volatile("cli");
	while (meter_handled != until)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	__asm__ volatile("sti");
}

void meter_menu(void (*run)(uint8_t byte))
{
	uint8_t byte;

	do {
		print("BENCH ready\n");
		while (!(inb(LSR) & LSR_DATA))
			spin(LOOK_TICKS);
		byte = inb(COM1);
		spin(QUIET);
		if (byte != 'q')
			run(byte);
	} while (byte != 'q');
}

void meter_fail(const char *why)
{
	print("BENCH failed: %s\n", why);
	guest_exit(1);
}
