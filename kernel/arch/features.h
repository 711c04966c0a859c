/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this CPU is and can do, read from CPUID once, and the control registers that follow.
 * Owns: CR0, CR4, EFER, PAT and XCR0 of every CPU. Must not know: VMX and SVM (hv/ probes).
 */
#ifndef RAYOS_KERNEL_ARCH_FEATURES_H
#define RAYOS_KERNEL_ARCH_FEATURES_H

#include "kernel/lib/types.h"

struct cpu_features {
	char vendor[13];
	char brand[49];
	uint32_t family, model, stepping;
	uint32_t phys_bits, virt_bits;
	uint32_t max_leaf, max_ext_leaf;
	bool smep, smap, umip, nx, page_1g, pat, mce, mca;
	bool xsave, xsaveopt, xsavec, xsaves;
	bool x2apic, tsc_deadline, tsc_invariant, tsc_adjust, rdtscp, rdrand, rdseed;
	uint64_t xcr0;      /* every state component offered */
	uint32_t xsave_size; /* bytes of an area for all of them */
	/* Speculation: what the CPU offers to hold it back, and what it is free of. */
	bool spec_ctrl, ibpb, stibp, ssbd, virt_ssbd, arch_caps, l1d_flush, md_clear;
	bool auto_ibrs, srbds_ctrl;
	uint64_t arch_capabilities; /* MSR_ARCH_CAPABILITIES, 0 without it */
	bool hypervisor;	    /* we run under one */
};

/** Of the boot processor. Context: any, after cpu_init() there. */
const struct cpu_features *cpu_features(void);

/**
 * Set up control registers, EFER, PAT and XCR0 of the calling CPU, the boot processor first.
 * Context: IRQs off.
 * Returns: NULL, or what the kernel is built on and this CPU lacks.
 */
const char *cpu_init(void) __must_check;

#endif
