// SPDX-License-Identifier: Apache-2.0
/* Finding VMX, choosing controls, turning it on per CPU, and the backend table. */
#define LOG_TAG "vmx"
#include "hv/vmx/vmx_ctl.h"
#include "hv/vmx/vmx_priv.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/msr_index.h"
#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/log.h"
#include "kernel/mm/page.h"

/* SDM vol. 3, appendix A */
#define MSR_VMX_BASIC         0x480u
#define MSR_VMX_PIN           0x481u
#define MSR_VMX_PROC          0x482u
#define MSR_VMX_EXIT          0x483u
#define MSR_VMX_ENTRY         0x484u
#define MSR_VMX_MISC          0x485u
#define MSR_VMX_CR0_FIXED0    0x486u
#define MSR_VMX_CR4_FIXED0    0x488u
#define MSR_VMX_PROC2         0x48bu
#define MSR_VMX_EPT_VPID_CAP  0x48cu
#define MSR_VMX_TRUE_PIN      0x48du
#define MSR_VMX_TRUE_PROC     0x48eu
#define MSR_VMX_TRUE_EXIT     0x48fu
#define MSR_VMX_TRUE_ENTRY    0x490u
#define BASIC_TRUE_CONTROLS   BIT(55)
#define BASIC_REVISION_MASK   0x7fffffffu
#define MISC_TIMER_SHIFT_MASK 0x1fu
#define MISC_STORE_LMA        BIT(5)

#define FEATURE_LOCKED  BIT(0)
#define FEATURE_VMX_ON  BIT(2)
#define CPUID_1_ECX_VMX (1u << 5)

struct vmx_config vmx_config;
struct vmx_cpu vmx_cpus[CPU_MAX];

static int adjust(const char *name, uint32_t msr, uint32_t need, uint32_t off, uint32_t want,
		  uint32_t *out)
{
	int err = vmx_ctl_adjust(need, off, want, rdmsr(msr), out);

	if (err)
		log_warn("VMX lacks what a guest needs: control=%s bits=0x%x", name, *out);
	return err;
}

static int choose_processor_controls(uint32_t proc_msr)
{
	struct vmx_config *c = &vmx_config;
	uint32_t want2 = VMX_PROC2_RDTSCP | VMX_PROC2_WBINVD | VMX_PROC2_PLE | VMX_PROC2_INVPCID |
			 VMX_PROC2_XSAVES;
	uint32_t cr8 = 0;
	int err;

	err = adjust("processor", proc_msr,
		     VMX_PROC_TSC_OFFSET | VMX_PROC_HLT | VMX_PROC_MWAIT | VMX_PROC_RDPMC |
			     VMX_PROC_IO | VMX_PROC_MSR_BITMAP | VMX_PROC_MONITOR |
			     VMX_PROC_SECONDARY,
		     VMX_PROC_INVLPG | VMX_PROC_RDTSC | VMX_PROC_CR3_LOAD | VMX_PROC_CR3_STORE |
			     VMX_PROC_MOV_DR | VMX_PROC_INTR_WINDOW | VMX_PROC_NMI_WINDOW,
		     VMX_PROC_TPR_SHADOW, &c->proc);
	if (err)
		return err;
	c->tpr_shadow = (c->proc & VMX_PROC_TPR_SHADOW) != 0;
	if (!c->tpr_shadow) {
		cr8 = VMX_PROC_CR8_LOAD | VMX_PROC_CR8_STORE;
		c->proc |= cr8;
	}
	if (c->ept_vpid_cap & VMX_CAP_INVVPID &&
	    c->ept_vpid_cap & (VMX_CAP_INVVPID_ONE | VMX_CAP_INVVPID_ALL))
		want2 |= VMX_PROC2_VPID;
	err = adjust("secondary", MSR_VMX_PROC2, VMX_PROC2_EPT | VMX_PROC2_UNRESTRICTED, 0, want2,
		     &c->proc2);
	if (err)
		return err;
	c->vpid = (c->proc2 & VMX_PROC2_VPID) != 0;
	return 0;
}

static int choose_controls(void)
{
	struct vmx_config *c = &vmx_config;
	bool have_true = (rdmsr(MSR_VMX_BASIC) & BASIC_TRUE_CONTROLS) != 0;
	uint32_t first = have_true ? MSR_VMX_TRUE_PIN : MSR_VMX_PIN;
	int err;

	err = adjust("pin", first, VMX_PIN_EXTINT | VMX_PIN_NMI | VMX_PIN_VIRT_NMI, VMX_PIN_PREEMPT,
		     0, &c->pin);
	if (!err)
		err = choose_processor_controls(first + (MSR_VMX_PROC - MSR_VMX_PIN));
	if (!err)
		err = adjust("exit", first + (MSR_VMX_EXIT - MSR_VMX_PIN),
			     VMX_EXIT_HOST_64 | VMX_EXIT_SAVE_DEBUG | VMX_EXIT_SAVE_PAT |
				     VMX_EXIT_LOAD_PAT | VMX_EXIT_SAVE_EFER | VMX_EXIT_LOAD_EFER,
			     VMX_EXIT_ACK_INTR, 0, &c->exit);
	if (!err)
		err = adjust("entry", first + (MSR_VMX_ENTRY - MSR_VMX_PIN),
			     VMX_ENTRY_LOAD_DEBUG | VMX_ENTRY_LOAD_PAT | VMX_ENTRY_LOAD_EFER,
			     VMX_ENTRY_IA32E, 0, &c->entry);
	return err;
}

static void choose_cr_masks(void)
{
	struct vmx_config *c = &vmx_config;

	c->cr0_fixed = rdmsr(MSR_VMX_CR0_FIXED0) & ~(HV_CR0_PE | HV_CR0_PG);
	/* CD and NW outlive the exit: the host would run without caches (28.5.1). */
	c->cr0_mask = c->cr0_fixed | HV_CR0_CD | HV_CR0_NW;
	/* Otherwise the entry control would not follow a switch to long mode (28.2). */
	if (!(rdmsr(MSR_VMX_MISC) & MISC_STORE_LMA))
		c->cr0_mask |= HV_CR0_PG;
	/* A machine check with CR4.MCE clear would shut the machine down, not the guest. */
	c->cr4_on = rdmsr(MSR_VMX_CR4_FIXED0) | CR4_VMXE | CR4_MCE;
	c->cr4_mask = c->cr4_on;
}

static int feature_control_check(void)
{
	uint64_t fc;

	if (rdmsr_safe(MSR_FEATURE_CONTROL, &fc))
		return 0; /* emulators without the MSR have nothing locked */
	if ((fc & FEATURE_LOCKED) && !(fc & FEATURE_VMX_ON)) {
		log_warn("VMX is switched off by firmware: feature_control=0x%llx",
			 (unsigned long long)fc);
		return -RAY_EPERM;
	}
	return 0;
}

static int ept_check(void)
{
	const uint64_t need = VMX_CAP_WALK4 | VMX_CAP_WB | VMX_CAP_2M | VMX_CAP_INVEPT;
	uint64_t cap = rdmsr(MSR_VMX_EPT_VPID_CAP);

	vmx_config.ept_vpid_cap = cap;
	vmx_config.ept_ad = (cap & VMX_CAP_AD) != 0;
	if ((cap & need) != need || !(cap & (VMX_CAP_INVEPT_ONE | VMX_CAP_INVEPT_ALL))) {
		log_warn("EPT lacks what a guest needs: cap=0x%llx", (unsigned long long)cap);
		return -RAY_ENODEV;
	}
	return 0;
}

static void caps_fill(struct hv_caps *caps)
{
	const struct vmx_config *c = &vmx_config;
	uint64_t misc = rdmsr(MSR_VMX_MISC);

	*caps = (struct hv_caps){
		.next_rip = true,
		.tagged_tlb = c->vpid,
		.unrestricted = true,
		.preempt_timer = (rdmsr(MSR_VMX_PIN) >> 32 & VMX_PIN_PREEMPT) != 0,
		.preempt_timer_shift = misc & MISC_TIMER_SHIFT_MASK,
		.pause_filter = (c->proc2 & VMX_PROC2_PLE) != 0,
		.page_1g = (c->ept_vpid_cap & VMX_CAP_1G) != 0,
		.dirty_bits = c->ept_ad,
		.virt_nmi = true,
		.tsc_scaling = (rdmsr(MSR_VMX_PROC2) >> 32 & VMX_PROC2_TSC_SCALING) != 0,
		.asid_count = c->vpid ? 0x10000 : 1,
	};
	ray_snprintf(caps->detail, sizeof(caps->detail),
		     "ept unrestricted%s%s%s%s%s%s%s", c->vpid ? " vpid" : "",
		     c->ept_ad ? " ept-ad" : "", caps->page_1g ? " ept-1g" : "",
		     caps->preempt_timer ? " preemption-timer" : "",
		     c->tpr_shadow ? " tpr-shadow" : "", caps->pause_filter ? " pause-loop" : "",
		     caps->tsc_scaling ? " tsc-scaling" : "");
}

static int vmx_probe(struct hv_caps *caps)
{
	int err;

	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_VMX))
		return -RAY_ENODEV;
	err = feature_control_check();
	if (err)
		return err;
	vmx_config.revision = (uint32_t)rdmsr(MSR_VMX_BASIC) & BASIC_REVISION_MASK;
	if (!(rdmsr(MSR_VMX_PROC) >> 32 & VMX_PROC_SECONDARY)) {
		log_warn("VMX without EPT cannot be used");
		return -RAY_ENODEV;
	}
	err = ept_check();
	if (!err && choose_controls())
		err = -RAY_ENODEV;
	if (err)
		return err;
	choose_cr_masks();
	caps_fill(caps);
	return 0;
}

static int feature_control_set(void)
{
	uint64_t fc;

	if (rdmsr_safe(MSR_FEATURE_CONTROL, &fc) || (fc & FEATURE_LOCKED))
		return feature_control_check();
	/* Firmware left the choice to us (SDM vol. 3, 24.7). */
	return wrmsr_safe(MSR_FEATURE_CONTROL, fc | FEATURE_LOCKED | FEATURE_VMX_ON);
}

static int vmx_cpu_enable(void)
{
	struct vmx_cpu *c = &vmx_cpus[this_cpu()->id];
	hpa_t page;
	int err = feature_control_set();

	if (err)
		return err;
	if (!c->vmxon) {
		err = page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO, &page);
		if (err)
			return err;
		c->vmxon = hpa_to_va(page);
		*(uint32_t *)c->vmxon = vmx_config.revision;
	}
	cr0_write(cr0_read() | rdmsr(MSR_VMX_CR0_FIXED0));
	cr4_write(cr4_read() | rdmsr(MSR_VMX_CR4_FIXED0) | CR4_VMXE);
	if (!vmx_on(va_to_hpa(c->vmxon).v)) {
		cr4_write(cr4_read() & ~CR4_VMXE);
		log_err("VMXON failed: cpu=%u", this_cpu()->id);
		return -RAY_EIO;
	}
	c->on = true;
	/* What another system left in the TLB before us. */
	if (vmx_config.ept_vpid_cap & VMX_CAP_INVEPT_ALL)
		vmx_invept(VMX_INV_ALL, 0);
	if (vmx_config.ept_vpid_cap & VMX_CAP_INVVPID_ALL)
		vmx_invvpid(VMX_INV_ALL, 0);
	return 0;
}

static void vmx_cpu_disable(void)
{
	struct vmx_cpu *c = &vmx_cpus[this_cpu()->id];

	if (!c->on)
		return;
	if (c->current) {
		(void)vmx_clear(c->current->vmcs_pa);
		c->current = NULL;
	}
	vmx_off();
	cr4_write(cr4_read() & ~CR4_VMXE);
	c->on = false;
}

const struct hv_backend vmx_backend = {
	.name = "vmx",
	.probe = vmx_probe,
	.cpu_enable = vmx_cpu_enable,
	.cpu_disable = vmx_cpu_disable,
	.vcpu_init = vmx_vcpu_init,
	.vcpu_fini = vmx_vcpu_fini,
	.vcpu_reset = vmx_vcpu_reset,
	.load = vmx_vcpu_load,
	.unload = vmx_vcpu_unload,
	.run = vmx_run,
	.run_loop = vmx_run_loop,
	.reg_get = vmx_reg_get,
	.reg_set = vmx_reg_set,
	.seg_get = vmx_seg_get,
	.paging_get = vmx_paging_get,
	.cpl_get = vmx_cpl_get,
	.code64_cr3 = vmx_code64_cr3,
	.seg_set = vmx_seg_set,
	.intr_allowed = vmx_intr_allowed,
	.nmi_allowed = vmx_nmi_allowed,
	.intr_window = vmx_intr_window,
	.nmi_window = vmx_nmi_window,
	.tsc_offset_set = vmx_tsc_offset_set,
	.spec_ctrl_set = vmx_spec_ctrl_set,
	.tlb_flush = vmx_tlb_flush,
	.dump = vmx_dump,
	.stage2 = &vmx_ept_format,
	.msr_map = &vmx_msr_map_format,
};
