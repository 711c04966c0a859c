/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPUID a guest sees: the host's, filtered once when the vCPU is made, with the few bits
 * that change at run time put in on each read.
 */
#ifndef RAYOS_HV_CPUID_H
#define RAYOS_HV_CPUID_H

#include "kernel/lib/types.h"

struct vcpu;

#define CPUID_BASIC_MAX 0x20u
#define CPUID_EXT_MAX   0x22u
#define CPUID_HV_MAX    0x11u
#define CPUID_SUB_MAX   16u

struct cpuid_out {
	uint32_t eax, ebx, ecx, edx;
};

/* A leaf whose answer depends on ECX. */
struct cpuid_sub {
	uint32_t leaf, subleaf;
	struct cpuid_out out;
};

struct cpuid_model {
	uint32_t basic_top, ext_top; /* highest leaf of each range */
	struct cpuid_out basic[CPUID_BASIC_MAX];
	struct cpuid_out ext[CPUID_EXT_MAX];
	struct cpuid_out hv[CPUID_HV_MAX];
	struct cpuid_sub sub[CPUID_SUB_MAX];
	uint32_t sub_count;
	uint64_t xcr0_mask; /* state components the guest may enable */
	uint64_t cr4_mask;  /* CR4 bits the guest may set */
	uint64_t efer_mask;
	uint64_t spec_ctrl_mask; /* bits of SPEC_CTRL it has; 0: no such MSR */
	uint64_t arch_caps;      /* ARCH_CAPABILITIES, if it has that */
	uint8_t maxphyaddr;
	bool amd;
	bool rdtscp, xsave;
	bool ibpb, has_arch_caps;
};

/* Basic leaves whose answer depends on more than the leaf. */
#define CPUID_VARYING (BIT(1) | BIT(4) | BIT(7) | BIT(0xb) | BIT(0xd))

/** The answer to a basic leaf that is always the same, NULL for all others. */
static inline const struct cpuid_out *cpuid_constant(const struct cpuid_model *m, uint32_t leaf)
{
	return leaf <= m->basic_top && (CPUID_VARYING >> leaf & 1) == 0 ? &m->basic[leaf] : NULL;
}

/** Build the model for one vCPU. Context: thread. 0 or -RAY_ENOMEM. */
int __must_check cpuid_model_create(struct vcpu *v);
void cpuid_model_destroy(struct vcpu *v);

/* KVM_CPUID_FEATURES EAX (Linux Documentation/virt/kvm/x86/cpuid.rst); what is offered is done. */
#define PV_FEATURE_CLOCKSOURCE   BIT(0)
#define PV_FEATURE_NOP_IO_DELAY  BIT(1)
#define PV_FEATURE_CLOCKSOURCE2  BIT(3)
#define PV_FEATURE_STEAL_TIME    BIT(5)
#define PV_FEATURE_PV_EOI        BIT(6)
#define PV_FEATURE_PV_UNHALT     BIT(7)
#define PV_FEATURE_PV_TLB_FLUSH  BIT(9)
#define PV_FEATURE_PV_SEND_IPI   BIT(11)
#define PV_FEATURE_PV_YIELD      BIT(13)
#define PV_FEATURE_CLOCK_STABLE  BIT(24)

#endif
