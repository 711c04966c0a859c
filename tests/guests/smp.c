/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two CPUs: the second is started by INIT and SIPI, they count together, and interrupt each
 * other, awake and halted.
 */
#include "guest.h"

#define COUNTS     20000u
#define ROUNDS     100u
#define VECTOR     0x50u
#define POLLS      20000000u
#define LOW_DEST(id) ((uint64_t)(id) << 32)

static volatile uint32_t counter, got[2], ap_id, phase;

static void on_ipi(struct isr_frame *frame)
{
	(void)frame;
	got[rdmsr(MSR_X2APIC_ID) & 1]++;
	wrmsr(MSR_X2APIC_EOI, 0);
}

static bool wait_for(volatile uint32_t *what, uint32_t value)
{
	for (uint32_t i = 0; i < POLLS; i++) {
		if (*what >= value)
			return true;
		__asm__ volatile("pause");
	}
	return false;
}

static void count(void)
{
	for (uint32_t i = 0; i < COUNTS; i++)
		__atomic_fetch_add(&counter, 1, __ATOMIC_SEQ_CST);
}

static void ap(void)
{
	x2apic_enable();
	ap_id = (uint32_t)rdmsr(MSR_X2APIC_ID);
	phase = 1;
	count();
	phase = 2;
	/* Each interrupt wakes it, and is answered. */
	for (uint32_t i = 0; i < ROUNDS; i++) {
		__asm__ volatile("cli");
		while (got[1] == i)
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		wrmsr(MSR_X2APIC_ICR, LOW_DEST(0) | VECTOR);
	}
	phase = 3;
}

void guest_run(void)
{
	bool all = true;

	x2apic_enable();
	isr_set(VECTOR, on_ipi);
	__asm__ volatile("sti");
	report(cpu_start(1, ap), "smp: INIT and SIPI start the second CPU");
	report(wait_for(&phase, 1), "smp: it runs");
	report(ap_id == 1, "smp: its x2APIC id is 1");
	count();
	wait_for(&phase, 2);
	report(counter == 2 * COUNTS, "smp: both count, none is lost");
	for (uint32_t i = 0; i < ROUNDS && all; i++) {
		wrmsr(MSR_X2APIC_ICR, LOW_DEST(1) | VECTOR);
		all = wait_for(&got[0], i + 1);
	}
	report(all, "smp: every interrupt wakes the halted one and is answered");
	report(wait_for(&phase, 3), "smp: the second CPU ends its work");
}
