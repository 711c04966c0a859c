/* SPDX-License-Identifier: Apache-2.0 */
/* What vm*.c and vcpu*.c share about a vCPU and nobody else sees. */
#ifndef RAYOS_HV_VCPU_PRIV_H
#define RAYOS_HV_VCPU_PRIV_H

#include "hv/vcpu.h"

/** Registers, MSRs and FPU as after RESET, or as after INIT (@init: caches, MSRs, FPU and TSC
 *  stay; SDM vol. 3, table 9-1). Context: loaded. */
void vcpu_arch_reset(struct vcpu *v, bool init);

/** Bring the state onto this CPU / back to memory. Context: IRQs off. */
void vcpu_state_in(struct vcpu *v);
void vcpu_state_out(struct vcpu *v);

/** Let a parked thread go on. Pre: vm->state is VM_RUNNING already. */
void vcpu_unpark(struct vcpu *v);
/** End the thread and wait for it. Pre: the vCPU is parked or the VM is ending. */
void vcpu_end(struct vcpu *v);

/*
 * Work on a vCPU whose thread is parked or not yet started: its state is on this CPU between
 * the two calls, preemption and interrupts are off. Returns the flags for release.
 */
uint64_t vcpu_borrow(struct vcpu *v);
void vcpu_return(struct vcpu *v, uint64_t flags);

#endif
