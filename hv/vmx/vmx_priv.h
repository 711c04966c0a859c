/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the VMX backend share.
 * Owns: per-CPU, per-VM and per-vCPU state of VMX. Must not know: devices, exit handling.
 *
 * A VMCS is current on the CPU its vCPU is loaded on, and clear otherwise. Whoever touches
 * fields of a vCPU that may not be loaded does so between vmx_access_begin() and _end(),
 * which make it current for a moment; on a loaded vCPU the pair costs one test.
 * Locking: a vCPU's state belongs to its thread; a CPU's to whatever runs there with
 * preemption off.
 */
#ifndef RAYOS_HV_VMX_PRIV_H
#define RAYOS_HV_VMX_PRIV_H

#include "hv/backend.h"
#include "hv/msr_map.h"
#include "hv/vmx/vmx_insn.h"
#include "hv/vmx/vmx_vmcs.h"

/* What the CPU offers and what was chosen from it; constant after the probe. */
struct vmx_config {
	uint32_t revision;
	uint32_t pin, proc, proc2, exit, entry;
	uint64_t ept_vpid_cap;
	uint64_t cr0_fixed; /* bits that are 1 in VMX operation, PE and PG apart */
	uint64_t cr0_mask;  /* host-owned bits of the guest's CR0 */
	uint64_t cr4_mask;
	uint64_t cr4_on;    /* host-owned bits that are 1 in hardware */
	bool tpr_shadow;
	bool vpid;
	bool ept_ad;
};
extern struct vmx_config vmx_config;

struct vmx_vcpu;

struct vmx_cpu {
	void *vmxon;
	struct vmx_vcpu *current; /* whose VMCS VMPTRLD made current */
	bool on;
};
extern struct vmx_cpu vmx_cpus[];

/* MSRs the host has no use for: the guest's while it is loaded. */
enum vmx_guest_msr {
	VMX_MSR_STAR,
	VMX_MSR_LSTAR,
	VMX_MSR_CSTAR,
	VMX_MSR_SFMASK,
	VMX_MSR_KERNEL_GS_BASE,
	VMX_MSR_COUNT
};
extern const uint32_t vmx_msr_index[VMX_MSR_COUNT];

/* Work before the next entry that most entries do not have. */
#define VMX_EXTRA_FLUSH (1u << 0) /* forget this vCPU's translations */
#define VMX_EXTRA_PDPTE (1u << 1) /* PAE page-directory pointers may have changed */
#define VMX_EXTRA_CR8   (1u << 2) /* CR8 is not 0: it may keep an interrupt out */
#define VMX_EXTRA_LAUNCH (1u << 3) /* the VMCS is clear: VMLAUNCH */
#define VMX_EXTRA_BUFFERS (1u << 4) /* at every entry, where mitigate_guest_wanted() */

/* Entry of an MSR-load area; its address is a multiple of 16 (SDM vol. 3, 25.7.2). */
struct vmx_msr_load {
	uint32_t index, reserved;
	uint64_t value;
};

struct vmx_vcpu {
	/* Last value in the VMCS: written only when the vCPU's differs. */
	uint64_t rflags, rsp;
	uint32_t extra;  /* VMX_EXTRA_* */
	uint32_t proc;   /* processor-based controls as in the VMCS */
	uint8_t cr8;     /* as VTPR in vapic has it */
	bool loaded;     /* current on the CPU it is loaded on */
	uint8_t *vtpr;   /* in the virtual-APIC page, nothing else of which is used */

	void *vmcs;
	void *vapic;
	uint64_t vmcs_pa;
	uint64_t eptp;
	uint64_t msr_bitmap_pa;
	uint16_t vpid;
	struct vmx_cpu *cpu; /* whose host state and translations it last used */
	uint64_t cr2;                /* while not loaded, as the MSRs */
	uint64_t msr[VMX_MSR_COUNT];
	struct vmx_msr_load spec_guest __aligned(16); /* SPEC_CTRL, where it is not the host's */
	struct vmx_msr_load spec_host;
};
BUILD_ASSERT(offsetof(struct vmx_vcpu, spec_host) % 16 == 0, "SDM vol. 3, 25.7.2");

/* vmx_vcpu.c */
struct vmx_access {
	struct vmx_vcpu *previous;
	uint64_t irq_flags;
	bool switched;
};
void vmx_access_begin(struct vmx_vcpu *vx, struct vmx_access *a);
void vmx_access_end(struct vmx_vcpu *vx, const struct vmx_access *a);
int vmx_vcpu_init(struct vcpu *vcpu);
void vmx_vcpu_fini(struct vcpu *vcpu);
void vmx_vcpu_load(struct vcpu *vcpu);
void vmx_vcpu_unload(struct vcpu *vcpu);
void vmx_tlb_flush(struct vcpu *vcpu);
void vmx_tsc_offset_set(struct vcpu *vcpu, uint64_t offset);
void vmx_spec_ctrl_set(struct vcpu *vcpu, uint64_t value);
/** Drop what this CPU has cached for the vCPU. Context: loaded, IRQs off. */
void vmx_tlb_drop(const struct vmx_vcpu *vx);

/* vmx_setup.c */
/** Fields that never change after creation. Pre: between access_begin and _end. */
void vmx_vmcs_init(struct vcpu *vcpu);
/** Host state of the calling CPU. Pre: the VMCS is current. */
void vmx_host_state_set(void);
void vmx_vcpu_reset(struct vcpu *vcpu);

/* vmx_run.c */
void vmx_run(struct vcpu *vcpu);
enum hv_disposition vmx_run_loop(struct vcpu *vcpu);
bool vmx_intr_allowed(struct vcpu *vcpu);
bool vmx_nmi_allowed(struct vcpu *vcpu);
void vmx_intr_window(struct vcpu *vcpu, bool on);
void vmx_nmi_window(struct vcpu *vcpu, bool on);

/* vmx_regs.c */
uint64_t vmx_reg_get(struct vcpu *vcpu, enum hv_reg reg);
void vmx_reg_set(struct vcpu *vcpu, enum hv_reg reg, uint64_t value);
void vmx_seg_get(struct vcpu *vcpu, enum hv_seg seg, struct hv_segment *out);
unsigned int vmx_cpl_get(struct vcpu *vcpu);
uint64_t vmx_code64_cr3(struct vcpu *vcpu);
void vmx_paging_get(struct vcpu *vcpu, struct hv_paging *out);
void vmx_seg_set(struct vcpu *vcpu, enum hv_seg seg, const struct hv_segment *in);

/* vmx_msr.c */
extern const struct msr_map_format vmx_msr_map_format;

/* vmx_vpid.c */
/** A number no other vCPU has, or 0 when there are none left. Context: any but NMI. */
uint16_t vmx_vpid_alloc(void);
void vmx_vpid_free(uint16_t vpid);

/* vmx_ept.c */
extern const struct stage2_format vmx_ept_format;
/** EPT pointer of a root table. */
uint64_t vmx_eptp(hpa_t root);

/* vmx_dump.c */
void vmx_dump(struct vcpu *vcpu, void (*emit)(void *ctx, const char *line), void *ctx);

#endif
