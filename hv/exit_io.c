/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port accesses and second-level faults.
 */
#include "hv/emulate.h"
#include "hv/exit_priv.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"

/* --- ports --- */

static uint64_t in_merge(uint64_t rax, uint64_t data, unsigned int size)
{
	if (size == 4)
		return (uint32_t)data; /* 32-bit results clear the upper half */
	uint64_t mask = size == 1 ? 0xff : 0xffff;

	return (rax & ~mask) | (data & mask);
}

static enum hv_disposition io_access(struct vcpu *v, struct hv_exit *e, bool fast)
{
	const struct hv_exit_io *io = &e->u.io;
	uint64_t data = 0;

	if (!io->in)
		data = v->gpr[GPR_RAX] & (io->size == 4 ? 0xffffffffu : io->size == 2 ? 0xffffu : 0xffu);
	if (!vcpu_port_access(v, io->port, io->size, !io->in, &data, fast))
		return HV_THREAD;
	if (vcpu_advance(v, e) != 0)
		return HV_RESUME;
	if (io->in)
		v->gpr[GPR_RAX] = in_merge(v->gpr[GPR_RAX], data, io->size);
	return HV_RESUME;
}

enum hv_disposition exit_io_fast(struct vcpu *v, struct hv_exit *e)
{
	return e->u.io.string ? HV_THREAD : io_access(v, e, true);
}

enum hv_disposition exit_io_thread(struct vcpu *v, struct hv_exit *e)
{
	if (!e->u.io.string)
		return io_access(v, e, false);
	if (emulate_string_io(v, e) == 0)
		return HV_RESUME;
	return exit_unexpected(v, e);
}

/* --- second-level faults --- */

static enum hv_disposition stage2_crash(struct vcpu *v, const struct hv_exit *e, const char *what)
{
	vm_end(v->vm, VM_END_CRASH, "%s vcpu=%u rip=0x%lx gpa=0x%lx", what, v->id,
	       (unsigned long)v->rip, (unsigned long)e->u.s2.gpa.v);
	return HV_STOP;
}

static enum hv_disposition mmio(struct vcpu *v, struct hv_exit *e, bool fast)
{
	int err = emulate_mmio(v, e, e->u.s2.gpa, fast);

	if (err == -RAY_EAGAIN && fast)
		return HV_THREAD;
	return err == 0 ? HV_RESUME : stage2_crash(v, e, "cannot-emulate");
}

enum hv_disposition exit_stage2_fast(struct vcpu *v, struct hv_exit *e)
{
	if ((e->u.s2.access & (HV_ACCESS_EXEC | HV_ACCESS_PTWALK)) != 0)
		return HV_THREAD;
	/* RAM faults only while it is being dirty-logged: that takes the memory lock. */
	if (gmem_ptr(&v->vm->mem, e->u.s2.gpa, 1) != NULL)
		return HV_THREAD;
	return mmio(v, e, true);
}

static bool dirty_fault(struct vcpu *v, const struct hv_exit *e)
{
	uint64_t flags;
	int err;

	if ((e->u.s2.access & HV_ACCESS_WRITE) == 0)
		return false;
	flags = spin_lock_irqsave(&v->vm->mem_lock);
	err = gmem_dirty_fault(&v->vm->mem, e->u.s2.gpa);
	spin_unlock_irqrestore(&v->vm->mem_lock, flags);
	if (err == 0)
		vcpu_request(v, VCPU_REQ_TLB);
	return err == 0;
}

enum hv_disposition exit_stage2_thread(struct vcpu *v, struct hv_exit *e)
{
	if (dirty_fault(v, e))
		return HV_RESUME;
	if ((e->u.s2.access & HV_ACCESS_PTWALK) != 0)
		return stage2_crash(v, e, "page-table-outside-ram");
	if ((e->u.s2.access & HV_ACCESS_EXEC) != 0)
		return stage2_crash(v, e, "executes-outside-ram");
	return mmio(v, e, false);
}
