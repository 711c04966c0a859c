/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/trampoline.h"

#include <string.h>

#include "kernel/arch/gdt.h"

extern const char trampoline_begin[], trampoline_long[], trampoline_end[];

#define DESC_CODE64 0x00af9b000000ffffull /* present, DPL 0, 64-bit code */

static struct trampoline_data *data_of(const void *page)
{
	return (struct trampoline_data *)((uintptr_t)page + TRAMPOLINE_DATA);
}

void trampoline_fill(void *page, uint32_t phys, uint32_t cr3, void *stack,
		     void (*entry)(void *arg), void *arg)
{
	struct trampoline_data *d = data_of(page);
	uint32_t gdt = phys + TRAMPOLINE_GDT;

	memcpy(page, trampoline_begin, (size_t)(trampoline_end - trampoline_begin));
	*d = (struct trampoline_data){
		.claimed = 1,
		.cr3 = cr3,
		.far_offset = phys + (uint32_t)(trampoline_long - trampoline_begin),
		.far_selector = SEL_KERNEL_CS,
		.gdt_limit = sizeof(d->gdt) - 1,
		.gdt_base = { (uint16_t)gdt, (uint16_t)(gdt >> 16) },
		.stack = (uint64_t)(uintptr_t)stack,
		.entry = (uint64_t)(uintptr_t)entry,
		.arg = (uint64_t)(uintptr_t)arg,
		.gdt = { [SEL_KERNEL_CS / 8] = DESC_CODE64 },
	};
	/* Open it when everything else is in place. */
	__atomic_store_n(&d->claimed, 0, __ATOMIC_RELEASE);
}

bool trampoline_claimed(const void *page)
{
	return data_of(page)->claimed != 0;
}

void trampoline_close(void *page)
{
	__atomic_store_n(&data_of(page)->claimed, 1, __ATOMIC_RELEASE);
}
