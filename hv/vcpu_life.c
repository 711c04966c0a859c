/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's beginning, reset and end.
 */
#include <string.h>

#include "hv/cpuid.h"
#include "hv/hv.h"
#include "hv/pv.h"
#include "hv/vcpu_priv.h"
#include "hv/vm.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

/* Reset values: SDM vol. 3, table 9-1 and 12.12.4; vol. 1, 10.2.3. */
#define RESET_RFLAGS HV_RFLAGS_RESERVED1
#define RESET_DR6    0xffff0ff0ull
#define RESET_MXCSR  0x1f80u
#define RESET_FCW    0x037fu
#define FXSAVE_MXCSR 24u

static void fpu_reset(struct vcpu *v)
{
	uint8_t *area = v->xsave;
	uint32_t mxcsr = RESET_MXCSR;
	uint16_t fcw = RESET_FCW;

	/* An empty header gives every component its initial state; MXCSR is read all the same. */
	memset(area, 0, hv_xsave_size());
	memcpy(area, &fcw, sizeof(fcw));
	memcpy(area + FXSAVE_MXCSR, &mxcsr, sizeof(mxcsr));
	v->xcr0 = BIT(0);
}

void vcpu_arch_reset(struct vcpu *v, bool init)
{
	memset(v->gpr, 0, sizeof(v->gpr));
	v->gpr[GPR_RDX] = v->cpuid->basic[1].eax; /* processor signature */
	v->rip = 0xfff0;
	v->rflags = RESET_RFLAGS;
	v->inject.valid = false;
	v->exitint.valid = false;
	v->reinject.valid = false;
	v->nmi_pending = false;
	hv_backend->vcpu_reset(v);
	hv_backend->intr_window(v, false);
	hv_backend->nmi_window(v, false);
	v->window_on = false;
	v->nmi_window_on = false;
	memset(v->dr, 0, sizeof(v->dr));
	v->dr6 = RESET_DR6;
	if (init) {
		vlapic_init_signal(v);
		return;
	}
	fpu_reset(v);
	v->tsc_aux = 0;
	v->tsc_adjust = 0;
	v->tsc_offset = v->vm->tsc_offset;
	hv_backend->tsc_offset_set(v, v->tsc_offset);
	v->spec_ctrl = 0;
	hv_backend->spec_ctrl_set(v, v->spec_ctrl);
	v->misc_enable = BIT(0); /* fast strings */
	v->mtrr_def_type = 0;
	memset(v->mtrr_fixed, 0, sizeof(v->mtrr_fixed));
	memset(v->mtrr_var, 0, sizeof(v->mtrr_var));
	pv_vcpu_reset(v);
	vlapic_reset(v);
	v->mp = v->id == 0 ? VCPU_MP_RUNNING : VCPU_MP_WAIT_SIPI;
}

uint64_t vcpu_borrow(struct vcpu *v)
{
	uint64_t flags = irq_save();

	v->cpu = this_cpu()->id;
	hv_backend->load(v);
	return flags;
}

void vcpu_return(struct vcpu *v, uint64_t flags)
{
	hv_backend->unload(v);
	irq_restore(flags);
}

static void vcpu_free(struct vcpu *v)
{
	pv_vcpu_destroy(v);
	cpuid_model_destroy(v);
	kfree(v->xsave);
	kfree(v);
}

int vcpu_create(struct vm *vm, unsigned int id)
{
	struct vcpu *v = kzalloc(sizeof(*v), MEM_VM);
	uint64_t flags;
	int err = -RAY_ENOMEM;

	if (v == NULL)
		return err;
	v->vm = vm;
	v->id = id;
	v->mode = VCPU_AWAY;
	waitq_init(&v->wait);
	/* A whole page is page aligned, and XSAVE wants 64 bytes. */
	v->xsave = kzalloc(ALIGN_UP((size_t)hv_xsave_size(), PAGE_SIZE), MEM_VM);
	if (v->xsave == NULL || cpuid_model_create(v) != 0 || pv_vcpu_create(v) != 0)
		goto free;
	err = hv_backend->vcpu_init(v);
	if (err != 0)
		goto free;
	err = vlapic_create(v);
	if (err != 0)
		goto fini;
	vm->vcpu[id] = v;
	vm->vcpu_count = id + 1;
	flags = vcpu_borrow(v);
	vcpu_arch_reset(v, false);
	vcpu_return(v, flags);
	return 0;

fini:
	hv_backend->vcpu_fini(v);
free:
	vcpu_free(v);
	return err;
}

void vcpu_destroy(struct vcpu *v)
{
	v->vm->vcpu[v->id] = NULL;
	vlapic_destroy(v);
	hv_backend->vcpu_fini(v);
	vcpu_free(v);
}
