// SPDX-License-Identifier: Apache-2.0
#include "hv/vmx/vmx_check.h"
#include "hv/vcpu.h"
#include "hv/vmx/vmx_ctl.h"
#include "hv/vmx/vmx_priv.h"
#include "kernel/lib/fmt.h"

struct check {
	void (*emit)(void *ctx, const char *line);
	void *ctx;
	unsigned int broken;
};

static void rule(struct check *c, bool ok, const char *what)
{
	char line[128];

	if (ok)
		return;
	c->broken++;
	ray_snprintf(line, sizeof(line), "entry check: %s", what);
	c->emit(c->ctx, line);
}

static bool canonical(uint64_t v)
{
	return (int64_t)(v << 16) >> 16 == (int64_t)v;
}

static void check_control(struct check *c, struct vcpu *v)
{
	uint64_t cr0 = vmx_read(VMCS_GUEST_CR0);
	uint64_t cr4 = vmx_read(VMCS_GUEST_CR4);
	uint64_t efer = vmx_read(VMCS_GUEST_EFER);
	bool long_mode = (vmx_read(VMCS_ENTRY_CTL) & VMX_ENTRY_IA32E) != 0;
	bool paging = (cr0 & HV_CR0_PG) != 0;

	rule(c, !paging || (cr0 & HV_CR0_PE), "cr0.pg without cr0.pe");
	rule(c, (cr0 & vmx_config.cr0_fixed) == vmx_config.cr0_fixed, "cr0 lacks fixed bits");
	rule(c, cr4 & HV_CR4_VMXE, "cr4.vmxe is clear");
	rule(c, !long_mode || (paging && (cr4 & HV_CR4_PAE)), "long mode without paging or pae");
	rule(c, long_mode == ((efer & HV_EFER_LMA) != 0), "efer.lma differs from the entry control");
	rule(c, !paging || ((efer & HV_EFER_LMA) != 0) == ((efer & HV_EFER_LME) != 0),
	     "efer.lma differs from efer.lme under paging");
	rule(c, long_mode || !(cr4 & (1ull << 17)), "cr4.pcide outside long mode");
	rule(c, canonical(vmx_read(VMCS_GUEST_SYSENTER_ESP)), "sysenter_esp is not canonical");
	rule(c, canonical(vmx_read(VMCS_GUEST_SYSENTER_EIP)), "sysenter_eip is not canonical");
	rule(c, long_mode ? canonical(v->rip) : v->rip >> 32 == 0, "rip is outside its mode's range");
	rule(c, v->rflags & HV_RFLAGS_RESERVED1, "rflags bit 1 is clear");
	rule(c, !(v->rflags & 0xffffffffffc08028ull), "rflags has reserved bits");
	rule(c, !((v->rflags & HV_RFLAGS_VM) && long_mode), "rflags.vm in long mode");
}

static void check_segment(struct check *c, struct vcpu *v, enum hv_seg s, const char *name)
{
	struct hv_segment seg;
	char what[64];

	vmx_seg_get(v, s, &seg);
	if (seg.attr & HV_SEG_UNUSABLE)
		return;
	ray_snprintf(what, sizeof(what), "%s is not a present code or data segment", name);
	rule(c, (seg.attr & HV_SEG_ATTR_S) && (seg.attr & HV_SEG_ATTR_P), what);
	ray_snprintf(what, sizeof(what), "%s has not been accessed (type bit 0)", name);
	rule(c, seg.attr & 1u, what);
	ray_snprintf(what, sizeof(what), "%s limit does not fit its granularity", name);
	rule(c, !((seg.attr & HV_SEG_ATTR_G) && (seg.limit & 0xfff) != 0xfff) &&
			!(!(seg.attr & HV_SEG_ATTR_G) && seg.limit > 0xfffff),
	     what);
}

static void check_segments(struct check *c, struct vcpu *v)
{
	static const char *const names[] = { "es", "cs", "ss", "ds", "fs", "gs" };
	struct hv_segment cs, ss, tr;
	bool long_mode = (vmx_read(VMCS_ENTRY_CTL) & VMX_ENTRY_IA32E) != 0;

	for (unsigned int s = HV_SEG_ES; s <= HV_SEG_GS; s++)
		check_segment(c, v, s, names[s]);
	vmx_seg_get(v, HV_SEG_CS, &cs);
	vmx_seg_get(v, HV_SEG_SS, &ss);
	vmx_seg_get(v, HV_SEG_TR, &tr);
	rule(c, !(cs.attr & HV_SEG_UNUSABLE), "cs is unusable");
	rule(c, !(long_mode && (cs.attr & HV_SEG_ATTR_L) && (cs.attr & HV_SEG_ATTR_DB)),
	     "cs has both L and D");
	rule(c, cs.base >> 32 == 0, "cs base is above 4 GiB");
	rule(c, (ss.attr & HV_SEG_UNUSABLE) || HV_SEG_ATTR_DPL(ss.attr) == (ss.selector & 3u) ||
			!(vmx_read(VMCS_GUEST_CR0) & HV_CR0_PE),
	     "ss dpl differs from its rpl");
	rule(c, HV_SEG_ATTR_TYPE(tr.attr) == 11 || (!long_mode && HV_SEG_ATTR_TYPE(tr.attr) == 3),
	     "tr is not a busy tss");
	rule(c, (tr.attr & HV_SEG_ATTR_P) && !(tr.attr & HV_SEG_ATTR_S), "tr is not present");
}

static void check_events(struct check *c, struct vcpu *v)
{
	uint32_t info = (uint32_t)vmx_read(VMCS_ENTRY_INTR_INFO);
	uint64_t blocking = vmx_read(VMCS_GUEST_INTR_STATE);
	uint64_t shadow = blocking & (VMX_INTR_STI | VMX_INTR_MOVSS);

	rule(c, shadow != (VMX_INTR_STI | VMX_INTR_MOVSS), "blocking by both sti and mov ss");
	rule(c, !(blocking & VMX_INTR_STI) || (v->rflags & HV_RFLAGS_IF),
	     "blocking by sti with rflags.if clear");
	rule(c, vmx_read(VMCS_GUEST_ACTIVITY) == 0, "activity state is not active");
	rule(c, !shadow || !(v->rflags & HV_RFLAGS_TF) ||
			(vmx_read(VMCS_GUEST_PENDING_DBG) & BIT(14)),
	     "single step in a shadow without pending_dbg.bs");
	if (!(info & VMX_INTR_VALID))
		return;
	rule(c, VMX_INTR_TYPE(info) != HV_EVENT_EXTINT ||
			((v->rflags & HV_RFLAGS_IF) && !shadow),
	     "interrupt injected while blocked");
	rule(c, VMX_INTR_TYPE(info) != HV_EVENT_NMI || !(blocking & (VMX_INTR_NMI | VMX_INTR_MOVSS)),
	     "nmi injected while blocked");
}

unsigned int vmx_check(struct vcpu *vcpu, void (*emit)(void *ctx, const char *line), void *ctx)
{
	struct check c = { .emit = emit, .ctx = ctx };
	struct vmx_access a;

	vmx_access_begin(vcpu->vmx, &a);
	check_control(&c, vcpu);
	check_segments(&c, vcpu);
	check_events(&c, vcpu);
	vmx_access_end(vcpu->vmx, &a);
	return c.broken;
}
