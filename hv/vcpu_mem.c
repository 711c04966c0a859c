/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs and guest memory that comes and goes: everybody lets go of what is given back, and a
 * vCPU that needs memory waits until the host has some.
 */
#include "hv/vcpu.h"

#include "hv/vm.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/err.h"
#define LOG_TAG "vm"
#include "kernel/log.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define SETTLE_WAIT_NS 50000ull
/* A host out of memory: how often to ask again, and when to give up. */
#define SHORT_WAIT_NS 10000000ull
#define SHORT_END_NS  10000000000ull

/* --- letting go --- */

static void pointers_forget(struct vcpu *v)
{
	for (unsigned int i = 0; i < CODE_WALKS; i++)
		v->code_walks[i].page = 0;
}

void vcpu_mem_seen(struct vcpu *v)
{
	/* What was taken away before that round began is out of sight now. */
	uint64_t round = __atomic_load_n(&v->vm->mem_round, __ATOMIC_SEQ_CST);

	pointers_forget(v);
	__atomic_store_n(&v->mem_seen, round, __ATOMIC_RELEASE);
}

void vcpu_back(struct vcpu *v)
{
	/* A full barrier: who saw us away has set the request before, and it is seen here. */
	__atomic_exchange_n(&v->mode, (uint32_t)VCPU_OUTSIDE, __ATOMIC_SEQ_CST);
	if ((v->requests & VCPU_REQ_MEM) != 0)
		pointers_forget(v);
}

/*
 * A vCPU that blocks or is away holds nothing, and handles its requests before it enters the
 * guest, the only way to use what it has cached: it may sleep on.
 */
static bool settled(const struct vcpu *v, uint64_t round)
{
	uint32_t mode = __atomic_load_n(&v->mode, __ATOMIC_SEQ_CST);

	return mode == VCPU_BLOCKED || mode == VCPU_AWAY ||
	       __atomic_load_n(&v->mem_seen, __ATOMIC_ACQUIRE) >= round;
}

void vcpu_mem_settle(struct vm *vm)
{
	uint64_t round = __atomic_add_fetch(&vm->mem_round, 1, __ATOMIC_SEQ_CST);

	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *v = vm->vcpu[i];

		__atomic_fetch_or(&v->requests, VCPU_REQ_TLB | VCPU_REQ_MEM, __ATOMIC_SEQ_CST);
		if (v->mode == VCPU_IN_GUEST)
			ipi_kick(v->cpu);
	}
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		while (!settled(vm->vcpu[i], round))
			thread_sleep_until(time_now() + SETTLE_WAIT_NS);
	}
}

/* --- waiting for memory --- */

/* Returns: whether to ask again. @v: NULL for a thread of the VM's that is no vCPU's. */
static bool short_wait(struct vm *vm, struct vcpu *v, gpa_t gpa, uint64_t since)
{
	uint32_t mode = v != NULL ? v->mode : VCPU_AWAY;

	if (vm->ending != VM_END_NONE)
		return false;
	if (time_now() - since > SHORT_END_NS) {
		vm_end(vm, VM_END_CRASH, "out-of-host-memory gpa=0x%lx", (unsigned long)gpa.v);
		return false;
	}
	if (!__atomic_exchange_n(&vm->mem_short, true, __ATOMIC_RELAXED))
		log_warn("no host memory for guest name=%s", vm->def.name);
	/* A vCPU that is stopped stays what it is: somebody else works on it. */
	if (mode == VCPU_OUTSIDE)
		vcpu_away(v);
	thread_sleep_until(time_now() + SHORT_WAIT_NS);
	if (mode == VCPU_OUTSIDE)
		vcpu_back(v);
	return true;
}

static int populate_wait(struct vm *vm, struct vcpu *v, gpa_t gpa, uint64_t len)
{
	uint64_t since = time_now();
	int err;

	do {
		err = gmem_populate(&vm->mem, gpa, len);
	} while (unlikely(err == -RAY_ENOMEM) && short_wait(vm, v, gpa, since));
	return err;
}

int vcpu_populate(struct vcpu *v, gpa_t gpa, uint64_t len)
{
	return populate_wait(v->vm, v, gpa, len);
}

int vm_populate(struct vm *vm, gpa_t gpa, uint64_t len)
{
	return populate_wait(vm, NULL, gpa, len);
}

int vcpu_pin(struct vcpu *v, gpa_t gpa, uint64_t len)
{
	int err;

	if (!gmem_is_ram(&v->vm->mem, gpa, len))
		return -RAY_EFAULT;
	do {
		err = gmem_pin(&v->vm->mem, gpa, len);
		if (err != -RAY_EAGAIN)
			return err;
		err = vcpu_populate(v, gpa, len);
	} while (err == 0);
	return err;
}
