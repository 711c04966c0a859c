/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/gdt.h"
#include "kernel/arch/trap.h"

/* SDM vol. 3 sec. 6.14.1: 64-bit interrupt gate, present, DPL 0. */
struct idt_gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_mid;
	uint32_t offset_high;
	uint32_t rsvd;
};
#define GATE_INTERRUPT 0x8e
#define IDT_ENTRIES    256u
#define STUB_SIZE      16u

BUILD_ASSERT(sizeof(struct idt_gate) == 16, "IDT gate layout");

extern char trap_stubs[];

static struct idt_gate idt[IDT_ENTRIES] __aligned(4096);

static uint8_t vector_ist(unsigned int vector)
{
	switch (vector) {
	case TRAP_DF:
		return IST_DOUBLE_FAULT;
	case TRAP_NMI:
		return IST_NMI;
	case TRAP_MC:
		return IST_MACHINE_CHECK;
	default:
		return 0;
	}
}

void idt_init(void)
{
	for (unsigned int v = 0; v < IDT_ENTRIES; v++) {
		uint64_t stub = (uint64_t)(uintptr_t)trap_stubs + v * STUB_SIZE;

		idt[v] = (struct idt_gate){
			.offset_low = (uint16_t)stub,
			.selector = SEL_KERNEL_CS,
			.ist = vector_ist(v),
			.type = GATE_INTERRUPT,
			.offset_mid = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32),
		};
	}
}

void idt_load(void)
{
	struct desc_ptr idtr = {
		.limit = sizeof(idt) - 1,
		.base = (uint64_t)(uintptr_t)idt,
	};

	__asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}

uint64_t idt_base(void)
{
	return (uint64_t)(uintptr_t)idt;
}
