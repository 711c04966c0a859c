/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hv/ core needs of a virtualisation extension: one const table per vendor, every pointer
 * mandatory, optional behaviour behind a capability. hv/svm, hv/vmx and the scripted backend
 * of the host tests implement it. A backend stores and loads hardware state and translates
 * exit codes; it decides nothing about a guest.
 *
 * All calls but probe and cpu_* take the vCPU they mean, never an implicit current one.
 * Context "loaded": on the CPU where load() ran last, preemption off or inside a sched hook.
 */
#ifndef RAYOS_HV_BACKEND_H
#define RAYOS_HV_BACKEND_H

#include "hv/exit.h"
#include "hv/regs.h"
#include "kernel/lib/types.h"

struct vm;
struct vcpu;
struct hv_cpu;
struct stage2_format;
struct msr_map_format;

struct hv_caps {
	bool next_rip;        /* exits carry the instruction length */
	bool decode_assists;  /* stage-2 exits carry the instruction bytes */
	bool tagged_tlb;      /* VPID or ASID > 1 */
	bool unrestricted;    /* real mode runs natively */
	bool preempt_timer;
	bool pause_filter;
	bool page_1g;         /* stage 2 has 1 GiB pages */
	bool dirty_bits;      /* stage 2 has accessed and dirty bits */
	bool virt_nmi;        /* hardware tracks NMI blocking */
	bool tsc_scaling;
	bool boot_cpu_unfit;  /* guests are not to run on CPU 0 while there are others */
	uint32_t asid_count;
	uint8_t preempt_timer_shift; /* timer ticks once per 2^shift TSC ticks */
	char detail[160];     /* words for the `cpu` command */
};

struct hv_backend {
	const char *name; /* "svm", "vmx" */

	/** Whether this CPU has it and firmware lets us. 0, -RAY_ENODEV, -RAY_EPERM (locked). */
	int (*probe)(struct hv_caps *caps);
	/** Turn it on / off on the calling CPU. Context: IRQs off. */
	int (*cpu_enable)(void);
	void (*cpu_disable)(void);

	int (*vcpu_init)(struct vcpu *vcpu);
	void (*vcpu_fini)(struct vcpu *vcpu);
	/** Architectural state after RESET or INIT (SDM vol. 3, table 9-1). Context: loaded. */
	void (*vcpu_reset)(struct vcpu *vcpu);

	/** Make this CPU the one that may run the vCPU / let go of it (VMPTRLD, VMCLEAR). DR6 is
	 *  taken from vcpu->dr6 and given back there and in the CPU's own DR6. */
	void (*load)(struct vcpu *vcpu);
	void (*unload)(struct vcpu *vcpu);

	/**
	 * Enter the guest and come back. Takes vcpu->gpr, rip, rflags, cr8, inject; gives
	 * them back together with vcpu->exit. An event whose delivery was cut short makes
	 * vcpu->exitint valid; only the caller makes it invalid again.
	 * Context: loaded, IRQs off; returns with IRQs off.
	 */
	void (*run)(struct vcpu *vcpu);
	/** hv_run_loop() (hv/run_loop.h) around this backend's run(): enter again and again until
	 *  something needs the vCPU's thread. Context: as run(). Returns: what that is. */
	enum hv_disposition (*run_loop)(struct vcpu *vcpu);

	uint64_t (*reg_get)(struct vcpu *vcpu, enum hv_reg reg);
	void (*reg_set)(struct vcpu *vcpu, enum hv_reg reg, uint64_t value);
	void (*seg_get)(struct vcpu *vcpu, enum hv_seg seg, struct hv_segment *out);
	void (*seg_set)(struct vcpu *vcpu, enum hv_seg seg, const struct hv_segment *in);

	/** CR0, CR3, CR4, EFER, CS and the privilege level at once: translation is on hot paths. */
	void (*paging_get)(struct vcpu *vcpu, struct hv_paging *out);

	/** Current privilege level, 0 in real mode. Context: loaded. */
	unsigned int (*cpl_get)(struct vcpu *vcpu);
	/** CR3 while the vCPU executes 64-bit code, else HV_NOT_64BIT. Context: loaded. */
	uint64_t (*code64_cr3)(struct vcpu *vcpu);

	/** Guest can take an external interrupt at the next entry (IF, shadow). Context: loaded. */
	bool (*intr_allowed)(struct vcpu *vcpu);
	bool (*nmi_allowed)(struct vcpu *vcpu);
	/** Exit as soon as the guest can take one / stop asking. */
	void (*intr_window)(struct vcpu *vcpu, bool on);
	void (*nmi_window)(struct vcpu *vcpu, bool on);

	/** guest TSC = host TSC + offset. */
	void (*tsc_offset_set)(struct vcpu *vcpu, uint64_t offset);
	/** IA32_SPEC_CTRL while the guest runs: @value and what the host itself keeps on. Its own
	 *  value holds again after each exit; costs nothing while the two are the same. */
	void (*spec_ctrl_set)(struct vcpu *vcpu, uint64_t value);

	/** Stage-2 root changed or mappings were removed: no stale translation at the next entry. */
	void (*tlb_flush)(struct vcpu *vcpu);

	/** What only this backend knows of a vCPU, as text for crash reports. */
	void (*dump)(struct vcpu *vcpu, void (*emit)(void *ctx, const char *line), void *ctx);

	const struct stage2_format *stage2; /* entry encoding, hv/stage2.h */
	const struct msr_map_format *msr_map; /* where MSRs have their bits, hv/msr_map.h */
};

/* Chosen at boot by hv_init(); NULL when the CPU has neither. */
extern const struct hv_backend *hv_backend;
extern struct hv_caps hv_caps;

extern const struct hv_backend svm_backend;
extern const struct hv_backend vmx_backend;

/** Every pointer present, stage-2 format complete. 0 or -RAY_EINVAL (names the gap in the log). */
int hv_backend_validate(const struct hv_backend *b);

#endif
