/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queueing exceptions for a guest, with the architecture's rules for two at once.
 */
#include "hv/vcpu.h"
#include "hv/vm.h"

enum exc_class { EXC_BENIGN, EXC_CONTRIBUTORY, EXC_PAGE_FAULT, EXC_DOUBLE_FAULT };

/* SDM vol. 3, table 6-4. */
static enum exc_class class_of(uint8_t vector)
{
	switch (vector) {
	case HV_VEC_DE:
	case HV_VEC_TS:
	case HV_VEC_NP:
	case HV_VEC_SS:
	case HV_VEC_GP:
		return EXC_CONTRIBUTORY;
	case HV_VEC_PF:
		return EXC_PAGE_FAULT;
	case HV_VEC_DF:
		return EXC_DOUBLE_FAULT;
	default:
		return EXC_BENIGN;
	}
}

/* SDM vol. 3, table 6-5. */
static bool makes_double_fault(enum exc_class first, enum exc_class second)
{
	if (first == EXC_CONTRIBUTORY)
		return second == EXC_CONTRIBUTORY;
	if (first == EXC_PAGE_FAULT)
		return second == EXC_CONTRIBUTORY || second == EXC_PAGE_FAULT;
	return false;
}

void vcpu_inject_exception(struct vcpu *v, uint8_t vector, bool has_error, uint32_t error)
{
	struct hv_event *first = v->inject.valid ? &v->inject : &v->reinject;

	if (first->valid && first->type == HV_EVENT_EXCEPTION) {
		enum exc_class a = class_of(first->vector);
		enum exc_class b = class_of(vector);

		first->valid = false;
		if (a == EXC_DOUBLE_FAULT && b != EXC_BENIGN) {
			vm_end(v->vm, VM_END_CRASH, "triple-fault vcpu=%u rip=0x%lx", v->id,
			       (unsigned long)v->rip);
			return;
		}
		if (makes_double_fault(a, b)) {
			vector = HV_VEC_DF;
			has_error = true;
			error = 0;
		}
	}
	v->inject = (struct hv_event){ .valid = true,
				       .type = HV_EVENT_EXCEPTION,
				       .vector = vector,
				       .has_error = has_error,
				       .error = error };
}

void vcpu_inject_gp(struct vcpu *v)
{
	vcpu_inject_exception(v, HV_VEC_GP, true, 0);
}

void vcpu_inject_ud(struct vcpu *v)
{
	vcpu_inject_exception(v, HV_VEC_UD, false, 0);
}

void vcpu_inject_pf(struct vcpu *v, uint64_t addr, uint32_t error)
{
	hv_backend->reg_set(v, HV_REG_CR2, addr);
	vcpu_inject_exception(v, HV_VEC_PF, true, error);
}
