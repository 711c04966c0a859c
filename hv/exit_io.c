/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port accesses and second-level faults.
 */
#include "hv/access.h"
#include "hv/emulate.h"
#include "hv/exit_priv.h"
#include "hv/insn.h"
#include "kernel/lib/err.h"

/* --- ports --- */

static const uint32_t io_mask[] = { [1] = 0xff, [2] = 0xffff, [4] = 0xffffffff };

static uint64_t in_merge(uint64_t rax, uint64_t data, unsigned int size)
{
	if (size == 4)
		return (uint32_t)data; /* 32-bit results clear the upper half */
	return (rax & ~(uint64_t)io_mask[size]) | (data & io_mask[size]);
}

enum hv_disposition exit_io_fast(struct vcpu *v, struct hv_exit *e)
{
	const struct hv_exit_io *io = &e->u.io;
	uint64_t data = v->gpr[GPR_RAX] & io_mask[io->size];

	if (unlikely(io->string) ||
	    unlikely(!access_fast(v, &v->port_hit, io->port, io->size, !io->in, data)))
		return HV_THREAD;
	if (io->in)
		v->gpr[GPR_RAX] = in_merge(v->gpr[GPR_RAX], v->access.data, io->size);
	(void)vcpu_advance(v, e); /* the CPU has told the length */
	return HV_RESUME;
}

enum hv_disposition exit_io_thread(struct vcpu *v, struct hv_exit *e)
{
	const struct hv_exit_io *io = &e->u.io;
	uint64_t data = v->gpr[GPR_RAX] & io_mask[io->size];

	if (io->string)
		return emulate_string_io(v, e) == 0 ? HV_RESUME : exit_unexpected(v, e);
	vcpu_port_access(v, io->port, io->size, !io->in, &data);
	if (io->in)
		v->gpr[GPR_RAX] = in_merge(v->gpr[GPR_RAX], data, io->size);
	(void)vcpu_advance(v, e);
	return HV_RESUME;
}

/* --- second-level faults --- */

static enum hv_disposition stage2_crash(struct vcpu *v, const struct hv_exit *e, const char *what)
{
	vm_end(v->vm, VM_END_CRASH, "%s vcpu=%u rip=0x%lx gpa=0x%lx", what, v->id,
	       (unsigned long)v->rip, (unsigned long)e->u.s2.gpa.v);
	return HV_STOP;
}

/* The move the vCPU stands at, if it has met it before; NULL: the thread is to decode. */
static const struct mov_form *mov_here(struct vcpu *v)
{
	const struct mov_form *f = &v->mov_forms[emulate_mov_slot(v->rip)];
	const uint8_t *code = vcpu_code_here(v, sizeof(f->bytes));

	return likely(code != NULL && mov_form_matches(f, code)) ? f : NULL;
}

/* A page of RAM under the xAPIC's answers itself, and faults only while it is dirty-logged or
 * absent. Out of line, as its frame would be that of every access. */
static __noinline bool lapic_fast(struct vcpu *v, gpa_t gpa, bool write, uint64_t data)
{
	uint32_t value = (uint32_t)data;
	bool done = !gmem_covers(&v->vm->mem, gpa) &&
		    vlapic_mmio(v, (uint32_t)(gpa.v & (PAGE_SIZE - 1)), write, &value, true);

	v->access.data = value;
	return done;
}

enum hv_disposition exit_stage2_fast(struct vcpu *v, struct hv_exit *e)
{
	uint32_t access = e->u.s2.access;
	gpa_t gpa = e->u.s2.gpa;
	bool write = (access & HV_ACCESS_WRITE) != 0;
	const struct mov_form *f;
	uint64_t data = 0;
	bool done;

	if (unlikely((access & (HV_ACCESS_EXEC | HV_ACCESS_PTWALK)) != 0))
		return HV_THREAD;
	f = mov_here(v);
	/* Other bytes may stand there by now than those the CPU executed. */
	if (unlikely(f == NULL) || unlikely(f->store != write))
		return HV_THREAD;
	if (write)
		data = mov_form_value(f, v->gpr);
	if (unlikely(access_is_lapic(v, gpa)))
		done = lapic_fast(v, gpa, write, data);
	else
		done = access_fast(v, &v->mmio_hit, gpa.v, f->size, write, data);
	if (unlikely(!done))
		return HV_THREAD;
	if (!write)
		mov_form_load(f, v->gpr, v->access.data);
	e->insn_len = f->len;
	(void)vcpu_advance(v, e);
	return HV_RESUME;
}

/* RAM faults while it is absent (it may have come by now) and when dirty-logged pages are
 * written to. */
static enum hv_disposition ram_fault(struct vcpu *v, const struct hv_exit *e)
{
	if (vcpu_populate(v, e->u.s2.gpa, 1) != 0)
		return HV_STOP;
	if ((e->u.s2.access & HV_ACCESS_WRITE) != 0 &&
	    gmem_dirty_fault(&v->vm->mem, e->u.s2.gpa) == 0)
		vcpu_request(v, VCPU_REQ_TLB);
	return HV_RESUME;
}

enum hv_disposition exit_stage2_thread(struct vcpu *v, struct hv_exit *e)
{
	if (gmem_is_ram(&v->vm->mem, e->u.s2.gpa, 1))
		return ram_fault(v, e);
	if ((e->u.s2.access & HV_ACCESS_PTWALK) != 0)
		return stage2_crash(v, e, "page-table-outside-ram");
	if ((e->u.s2.access & HV_ACCESS_EXEC) != 0)
		return stage2_crash(v, e, "executes-outside-ram");
	return emulate_mmio(v, e, e->u.s2.gpa) == 0 ? HV_RESUME : stage2_crash(v, e, "cannot-emulate");
}
