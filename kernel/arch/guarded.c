/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "guarded"
#include "kernel/arch/guarded.h"

#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/trap.h"
#include "kernel/log.h"

#define SLOTS 4u

struct slot {
	struct thread *thread; /* NULL: free */
	uint64_t sp;           /* where to land; set by guarded_enter() */
	uint64_t vector, rip, address;
};
static struct slot slots[SLOTS];

/* guarded_entry.S */
bool guarded_enter(uint64_t *save_sp, void (*fn)(void *arg), void *arg);
extern const char guarded_land[];

static struct slot *slot_find(const struct thread *t)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		if (__atomic_load_n(&slots[i].thread, __ATOMIC_RELAXED) == t)
			return &slots[i];
	}
	return NULL;
}

static struct slot *slot_take(struct thread *t)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		struct thread *none = NULL;

		if (__atomic_compare_exchange_n(&slots[i].thread, &none, t, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return &slots[i];
	}
	return NULL;
}

bool guarded_call(void (*fn)(void *arg), void *arg)
{
	struct thread *t = this_cpu()->current;
	struct slot *s = t && !slot_find(t) ? slot_take(t) : NULL;
	bool returned;

	if (!s) {
		fn(arg);
		return true;
	}
	returned = guarded_enter(&s->sp, fn, arg);
	if (!returned)
		log_err("fault contained: vector=%lu rip=0x%lx address=0x%lx", s->vector, s->rip,
			s->address);
	__atomic_store_n(&s->thread, NULL, __ATOMIC_RELEASE);
	return returned;
}

bool guarded_fault(struct trap_frame *tf)
{
	const struct cpu *c = this_cpu();
	struct slot *s;

	if (tf->vector != TRAP_DE && tf->vector != TRAP_UD && tf->vector != TRAP_GP &&
	    tf->vector != TRAP_PF)
		return false;
	/* Inside a lock the damage is the kernel's, not only the caller's. */
	if (!c->current || c->irq_depth != 0 || c->preempt_count != 0 || !(tf->rflags & RFLAGS_IF))
		return false;
	s = slot_find(c->current);
	if (!s || s->sp == 0)
		return false;
	s->vector = tf->vector;
	s->rip = tf->rip;
	s->address = tf->vector == TRAP_PF ? cr2_read() : 0;
	tf->rip = (uint64_t)(uintptr_t)guarded_land;
	tf->rsp = s->sp;
	s->sp = 0;
	return true;
}
