/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/trap.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/guarded.h"
#include "kernel/arch/percpu.h"

/* Offsets from their own addresses, so that the table needs no relocation. */
struct extable_entry {
	int32_t insn;
	int32_t fixup;
};
extern const struct extable_entry __extable_start[], __extable_end[];

#define TRAP_HANDLERS_MAX 4u
struct handler_list {
	trap_nmi_fn fn[TRAP_HANDLERS_MAX];
	unsigned int count;
};

static struct handler_list nmi_handlers, mce_handlers;
static uint64_t nmi_count[CPU_MAX];
static uint8_t nmi_depth[CPU_MAX];

void trap_dispatch(struct trap_frame *tf);

static void handler_add(struct handler_list *l, trap_nmi_fn fn)
{
	if (l->count == TRAP_HANDLERS_MAX)
		trap_fatal(NULL);
	l->fn[l->count] = fn;
	/* An NMI may come between the two stores: the slot is filled before it counts. */
	__atomic_store_n(&l->count, l->count + 1, __ATOMIC_RELEASE);
}

void trap_nmi_add(trap_nmi_fn fn)
{
	handler_add(&nmi_handlers, fn);
}

void trap_mce_add(trap_nmi_fn fn)
{
	handler_add(&mce_handlers, fn);
}

static bool handlers_run(struct handler_list *l, struct trap_frame *tf)
{
	unsigned int count = __atomic_load_n(&l->count, __ATOMIC_ACQUIRE);
	bool claimed = false;

	/* Several causes can have merged into one NMI: ask every handler. */
	for (unsigned int i = 0; i < count; i++)
		claimed |= l->fn[i](tf);
	return claimed;
}

void trap_nmi(struct trap_frame *tf)
{
	uint32_t id = this_cpu()->id;

	nmi_count[id]++;
	nmi_depth[id]++;
	if (!handlers_run(&nmi_handlers, tf))
		trap_fatal(tf);
	nmi_depth[id]--;
}

void trap_mce(struct trap_frame *tf)
{
	uint32_t id = this_cpu()->id;

	nmi_depth[id]++;
	if (!handlers_run(&mce_handlers, tf))
		trap_fatal(tf);
	nmi_depth[id]--;
}

bool trap_in_nmi(void)
{
	return nmi_depth[this_cpu()->id] != 0;
}

uint64_t trap_nmi_count(unsigned int cpu)
{
	return nmi_count[cpu];
}

static bool extable_fixup(struct trap_frame *tf)
{
	const struct extable_entry *e;

	for (e = __extable_start; e < __extable_end; e++) {
		if ((uint64_t)(uintptr_t)&e->insn + (uint64_t)(int64_t)e->insn == tf->rip) {
			tf->rip = (uint64_t)(uintptr_t)&e->fixup + (uint64_t)(int64_t)e->fixup;
			return true;
		}
	}
	return false;
}

bool trap_fixup_works(void)
{
	bool skipped = false;

	__asm__ volatile("1:\tud2\n\t"
			 "2:\tmovb $1, %0\n\t"
			 ".pushsection .extable, \"a\"\n\t"
			 ".long 1b - .\n\t"
			 ".long 2b - .\n\t"
			 ".popsection"
			 : "+r"(skipped)
			 :
			 : "memory");
	return skipped;
}

void trap_dispatch(struct trap_frame *tf)
{
	if (tf->vector >= TRAP_FIRST_IRQ) {
		irq_dispatch(tf, (unsigned int)tf->vector);
		return;
	}
	switch (tf->vector) {
	case TRAP_NMI:
		trap_nmi(tf);
		return;
	case TRAP_MC:
		trap_mce(tf);
		return;
	default:
		if (!extable_fixup(tf) && !guarded_fault(tf))
			trap_fatal(tf);
	}
}
