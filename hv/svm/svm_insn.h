/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SVM instructions that C code uses (APM vol. 3, "System Instructions"); VMRUN and what
 * surrounds it is in svm_entry.S. Shadowed by a model in host tests.
 */
#ifndef RAYOS_HV_SVM_INSN_H
#define RAYOS_HV_SVM_INSN_H

#include "kernel/arch/trap.h"
#include "kernel/lib/types.h"

struct vcpu;

/** Store FS, GS, TR, LDTR and the system-call MSRs of this CPU into the VMCB at @pa. */
static inline void svm_vmsave(uint64_t pa)
{
	__asm__ volatile("vmsave %0" : : "a"(pa) : "memory");
}

/** Hand a machine check that ended the guest to the host: a panic, or it returns. */
static inline void svm_host_mce(void)
{
	trap_mce(NULL);
}

/**
 * Load the guest, run it until it exits, load the host (svm_entry.S).
 * @vcpu     GPRs but RAX and RSP are taken and given back; those two are in the VMCB
 * @vmcb_pa  guest VMCB
 * @host_pa  VMCB holding what svm_vmsave() stored on this CPU
 * Context:  IRQs off, preemption off; returns so. Pending NMIs and machine checks are taken
 *           before it returns.
 * Returns:  @vcpu. Whoever goes on with that, and with what it points to, spares the compiler
 *           from keeping its own copies across a call that leaves no register alone.
 */
static inline struct vcpu *svm_enter(struct vcpu *vcpu, uint64_t vmcb_pa, uint64_t host_pa)
{
	__asm__ volatile("call svm_switch"
			 : "+D"(vcpu), "+a"(vmcb_pa), "+d"(host_pa)
			 :
			 : "rbx", "rcx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			   "r15", "cc", "memory");
	return vcpu;
}

#endif
