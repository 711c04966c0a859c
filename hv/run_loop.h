/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inner loop of a vCPU: enter, count, call the fast handler, enter again, until something
 * needs the vCPU's thread. A backend instantiates it around its own run(), so that the way of
 * every exit is one function: no call through a table on either side of the guest, and no
 * registers saved that the guest has overwritten anyway.
 * Owns: the vCPU's side of the kick protocol (hv/vcpu.h). Must not know: VMCS, VMCB, devices.
 * Context: the vCPU's thread, state loaded, IRQs off throughout, no locks.
 */
#ifndef RAYOS_HV_RUN_LOOP_H
#define RAYOS_HV_RUN_LOOP_H

#include "hv/exit.h"
#include "hv/vcpu.h"
#include "kernel/arch/preempt.h"

/** The slow half of hv_run_loop(): choose what the next entry delivers. */
void vcpu_events_prepare(struct vcpu *v);

/** @run  the backend's run(), inline; its result is the vCPU again, by which the compiler need
 *        not keep anything across the guest, which leaves no register alone */
static __force_inline enum hv_disposition hv_run_loop(struct vcpu *v,
						      struct vcpu *(*run)(struct vcpu *vcpu))
{
	enum hv_disposition d;

	do {
		__atomic_store_n(&v->mode, (uint32_t)VCPU_IN_GUEST, __ATOMIC_SEQ_CST);
		/* Plain loads, once for each round: the store above is a barrier. */
		if (unlikely(*(const uint64_t *)&v->requests != 0) || unlikely(need_resched())) {
			v->mode = VCPU_OUTSIDE;
			return HV_RESUME;
		}
		if (unlikely(*(const uint32_t *)&v->entry_work != 0) || unlikely(v->reinject.valid))
			vcpu_events_prepare(v);
		v = run(v);
		v->mode = VCPU_OUTSIDE;

		if (unlikely(v->exitint.valid)) {
			v->reinject = v->exitint;
			v->exitint.valid = false;
		}
		v->exits[v->exit.kind]++;
		d = hv_exit_table[v->exit.kind].fast(v, &v->exit);
	} while (likely(d == HV_RESUME));
	return d;
}

#endif
