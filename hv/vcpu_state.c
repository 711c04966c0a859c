/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU as a state record: written and read in one fixed order. Loading decodes everything
 * into a struct of its own first; only a complete and valid record is applied.
 */
#include <string.h>

#include "hv/cpuid.h"
#include "hv/hv.h"
#include "hv/pv.h"
#include "hv/vcpu_priv.h"
#include "hv/vm.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

/* Asked of the vCPU, not done yet. */
#define PENDING_NMI    1u
#define PENDING_INIT   2u
#define PENDING_SIPI   4u
#define PENDING_UNHALT 8u
#define PENDING_ALL    15u

/* Everything but the XSAVE area, the vLAPIC and the paravirtual part, which follow it. */
struct vcpu_record {
	uint64_t gpr[GPR_COUNT];
	uint64_t rip, rflags;
	uint64_t reg[HV_REG_COUNT];
	struct hv_segment seg[HV_SEG_COUNT];
	struct hv_event inject, reinject;
	uint64_t tsc_ahead; /* of the VM's TSC, as a WRMSR may have left it */
	uint64_t tsc_adjust, tsc_aux;
	uint64_t xcr0, dr[4], dr6;
	uint64_t misc_enable, mtrr_def_type, mtrr_fixed[11], mtrr_var[16];
	uint32_t mp;
	uint8_t sipi_vector, pending; /* PENDING_* */
	uint32_t xsave_size;
	uint64_t spec_ctrl;
};

/* Moves one field between record and buffer, in the direction of the call. */
struct mover {
	struct state_buf *b;
	bool saving;
};

static void move(struct mover *m, void *p, size_t n)
{
	if (m->saving)
		state_put(m->b, p, n);
	else
		state_get(m->b, p, n);
}
#define MOVE(m, field) move((m), &(field), sizeof(field))

static void move_event(struct mover *m, struct hv_event *e)
{
	uint8_t valid = e->valid;
	uint8_t has_error = e->has_error;

	MOVE(m, valid);
	MOVE(m, e->type);
	MOVE(m, e->vector);
	MOVE(m, has_error);
	MOVE(m, e->error);
	MOVE(m, e->insn_len);
	e->valid = valid != 0;
	e->has_error = has_error != 0;
}

static void move_record(struct mover *m, struct vcpu_record *r)
{
	MOVE(m, r->gpr);
	MOVE(m, r->rip);
	MOVE(m, r->rflags);
	MOVE(m, r->reg);
	for (unsigned int i = 0; i < HV_SEG_COUNT; i++) {
		MOVE(m, r->seg[i].base);
		MOVE(m, r->seg[i].limit);
		MOVE(m, r->seg[i].selector);
		MOVE(m, r->seg[i].attr);
	}
	move_event(m, &r->inject);
	move_event(m, &r->reinject);
	MOVE(m, r->tsc_ahead);
	MOVE(m, r->tsc_adjust);
	MOVE(m, r->tsc_aux);
	MOVE(m, r->xcr0);
	MOVE(m, r->dr);
	MOVE(m, r->dr6);
	MOVE(m, r->misc_enable);
	MOVE(m, r->mtrr_def_type);
	MOVE(m, r->mtrr_fixed);
	MOVE(m, r->mtrr_var);
	MOVE(m, r->mp);
	MOVE(m, r->sipi_vector);
	MOVE(m, r->pending);
	MOVE(m, r->xsave_size);
	MOVE(m, r->spec_ctrl);
}

/* What others asked of it and no entry has seen yet is state; the other requests are made anew
 * by the loading. */
static const struct {
	uint8_t pending;
	uint64_t request;
} asked[] = {
	{ PENDING_NMI, VCPU_REQ_NMI },
	{ PENDING_INIT, VCPU_REQ_INIT },
	{ PENDING_SIPI, VCPU_REQ_SIPI },
	{ PENDING_UNHALT, VCPU_REQ_UNHALT },
};

static uint8_t pending_get(const struct vcpu *v)
{
	uint8_t pending = v->nmi_pending ? PENDING_NMI : 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(asked); i++) {
		if ((v->requests & asked[i].request) != 0)
			pending |= asked[i].pending;
	}
	return pending;
}

static void pending_set(struct vcpu *v, uint8_t pending)
{
	v->nmi_pending = false;
	for (unsigned int i = 0; i < ARRAY_SIZE(asked); i++) {
		__atomic_fetch_and(&v->requests, ~asked[i].request, __ATOMIC_SEQ_CST);
		if ((pending & asked[i].pending) != 0)
			vcpu_request(v, asked[i].request);
	}
}

static void collect(struct vcpu *v, struct vcpu_record *r)
{
	uint64_t flags = vcpu_borrow(v);

	for (unsigned int i = 0; i < HV_REG_COUNT; i++)
		r->reg[i] = hv_backend->reg_get(v, (enum hv_reg)i);
	for (unsigned int i = 0; i < HV_SEG_COUNT; i++)
		hv_backend->seg_get(v, (enum hv_seg)i, &r->seg[i]);
	vcpu_return(v, flags);
	memcpy(r->gpr, v->gpr, sizeof(r->gpr));
	r->rip = v->rip;
	r->rflags = v->rflags;
	r->inject = v->inject;
	r->reinject = v->reinject;
	r->tsc_ahead = v->tsc_offset - v->vm->tsc_offset;
	r->tsc_adjust = v->tsc_adjust;
	r->tsc_aux = v->tsc_aux;
	r->spec_ctrl = v->spec_ctrl;
	r->xcr0 = v->xcr0;
	memcpy(r->dr, v->dr, sizeof(r->dr));
	r->dr6 = v->dr6;
	r->misc_enable = v->misc_enable;
	r->mtrr_def_type = v->mtrr_def_type;
	memcpy(r->mtrr_fixed, v->mtrr_fixed, sizeof(r->mtrr_fixed));
	memcpy(r->mtrr_var, v->mtrr_var, sizeof(r->mtrr_var));
	r->mp = v->mp;
	r->sipi_vector = v->sipi_vector;
	r->pending = pending_get(v);
	r->xsave_size = hv_xsave_size();
}

static void apply(struct vcpu *v, const struct vcpu_record *r)
{
	uint64_t flags = vcpu_borrow(v);

	for (unsigned int i = 0; i < HV_REG_COUNT; i++)
		hv_backend->reg_set(v, (enum hv_reg)i, r->reg[i]);
	for (unsigned int i = 0; i < HV_SEG_COUNT; i++)
		hv_backend->seg_set(v, (enum hv_seg)i, &r->seg[i]);
	v->tsc_offset = v->vm->tsc_offset + r->tsc_ahead;
	hv_backend->tsc_offset_set(v, v->tsc_offset);
	hv_backend->spec_ctrl_set(v, r->spec_ctrl);
	hv_backend->tlb_flush(v);
	vcpu_return(v, flags);
	memcpy(v->gpr, r->gpr, sizeof(v->gpr));
	v->rip = r->rip;
	v->rflags = r->rflags | HV_RFLAGS_RESERVED1;
	v->inject = r->inject;
	v->reinject = r->reinject;
	v->tsc_adjust = r->tsc_adjust;
	v->tsc_aux = r->tsc_aux;
	v->spec_ctrl = r->spec_ctrl;
	v->xcr0 = r->xcr0;
	memcpy(v->dr, r->dr, sizeof(v->dr));
	v->dr6 = r->dr6;
	v->misc_enable = r->misc_enable;
	v->mtrr_def_type = r->mtrr_def_type;
	memcpy(v->mtrr_fixed, r->mtrr_fixed, sizeof(v->mtrr_fixed));
	memcpy(v->mtrr_var, r->mtrr_var, sizeof(v->mtrr_var));
	v->mp = r->mp;
	v->sipi_vector = r->sipi_vector;
	pending_set(v, r->pending);
}

static bool event_ok(const struct hv_event *e)
{
	if (!e->valid)
		return true;
	if (e->type == HV_EVENT_EXCEPTION || e->type == HV_EVENT_NMI)
		return e->vector < 32;
	return e->type == HV_EVENT_EXTINT || e->type == HV_EVENT_SOFT_INT ||
	       e->type == HV_EVENT_PRIV_SW || e->type == HV_EVENT_SW_EXCEPTION;
}

/* What entry would refuse or the host would fault on; the rest is the guest's own affair. */
static bool record_ok(const struct vcpu *v, const struct vcpu_record *r)
{
	const struct cpuid_model *m = v->cpuid;

	return (r->reg[HV_REG_EFER] & ~m->efer_mask) == 0 && (r->reg[HV_REG_CR4] & ~m->cr4_mask) == 0 &&
	       r->reg[HV_REG_CR0] >> 32 == 0 && r->reg[HV_REG_DR7] >> 32 == 0 && r->dr6 >> 32 == 0 &&
	       (r->xcr0 & BIT(0)) != 0 && (r->xcr0 & ~m->xcr0_mask) == 0 && r->tsc_aux >> 32 == 0 &&
	       r->mp <= VCPU_MP_WAIT_SIPI && (r->pending & ~PENDING_ALL) == 0 &&
	       event_ok(&r->inject) && event_ok(&r->reinject) &&
	       r->xsave_size == hv_xsave_size() && (r->spec_ctrl & ~m->spec_ctrl_mask) == 0;
}

/* XRSTOR faults on reserved bits (SDM vol. 1, 13.8); that must not be the host's fault. */
static bool xsave_ok(const uint8_t *area)
{
	uint64_t header[8];
	uint32_t mxcsr;

	memcpy(header, area + 512, sizeof(header));
	memcpy(&mxcsr, area + 24, sizeof(mxcsr));
	for (unsigned int i = 1; i < 8; i++) {
		if (header[i] != 0)
			return false;
	}
	return (header[0] & ~hv_host_xcr0()) == 0 && mxcsr >> 16 == 0;
}

void vcpu_save(struct vcpu *v, struct state_buf *b)
{
	struct vcpu_record r;
	struct mover m = { .b = b, .saving = true };

	memset(&r, 0, sizeof(r));
	collect(v, &r);
	move_record(&m, &r);
	state_put(b, v->xsave, hv_xsave_size());
	pv_save(v, b);
	vlapic_save(v, b);
}

int vcpu_load_state(struct vcpu *v, struct state_buf *b)
{
	struct vcpu_record r;
	struct mover m = { .b = b, .saving = false };
	uint8_t *area;
	int err = -RAY_EINVAL;

	area = kzalloc(hv_xsave_size(), MEM_VM);
	if (area == NULL)
		return -RAY_ENOMEM;
	memset(&r, 0, sizeof(r));
	move_record(&m, &r);
	state_get(b, area, hv_xsave_size());
	if (!b->bad && record_ok(v, &r) && xsave_ok(area)) {
		pv_load(v, b);
		err = vlapic_load(v, b, VLAPIC_STATE_VERSION);
	}
	if (err == 0 && b->bad)
		err = -RAY_EINVAL;
	if (err == 0) {
		apply(v, &r);
		memcpy(v->xsave, area, hv_xsave_size());
	}
	kfree(area);
	return err;
}
