/* SPDX-License-Identifier: Apache-2.0 */
/* hv/svm/svm_insn.h for host tests: the test is the CPU. */
#ifndef RAYOS_HV_SVM_INSN_H
#define RAYOS_HV_SVM_INSN_H

#include "kernel/lib/types.h"

struct vcpu;

void test_svm_host_mce(void);
void test_svm_enter(struct vcpu *vcpu, uint64_t vmcb_pa, uint64_t host_pa);

static inline void svm_host_mce(void)
{
	test_svm_host_mce();
}

static inline struct vcpu *svm_enter(struct vcpu *vcpu, uint64_t vmcb_pa, uint64_t host_pa)
{
	test_svm_enter(vcpu, vmcb_pa, host_pa);
	return vcpu;
}

#endif
