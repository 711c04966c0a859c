// SPDX-License-Identifier: Apache-2.0
/* The VMX state of a vCPU as text, with what makes an entry fail pointed out. */
#include "hv/vcpu.h"
#include "hv/vmx/vmx_check.h"
#include "hv/vmx/vmx_priv.h"
#include "kernel/lib/fmt.h"

typedef void (*emit_fn)(void *ctx, const char *line);
typedef unsigned long long ull;

static void dump_gprs(struct vcpu *v, emit_fn emit, void *ctx)
{
	static const char *const names[GPR_COUNT] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						      "rsi", "rdi", "r8",  "r9",  "r10", "r11",
						      "r12", "r13", "r14", "r15" };
	char line[128];

	ray_snprintf(line, sizeof(line), "rip=%016llx rflags=%08llx cr2=%016llx", (ull)v->rip,
		     (ull)v->rflags, (ull)vmx_reg_get(v, HV_REG_CR2));
	emit(ctx, line);
	for (unsigned int i = 0; i < GPR_COUNT; i += 4) {
		ray_snprintf(line, sizeof(line), "%3s=%016llx %3s=%016llx %3s=%016llx %3s=%016llx",
			     names[i], (ull)v->gpr[i], names[i + 1], (ull)v->gpr[i + 1],
			     names[i + 2], (ull)v->gpr[i + 2], names[i + 3], (ull)v->gpr[i + 3]);
		emit(ctx, line);
	}
}

static void dump_segments(struct vcpu *v, emit_fn emit, void *ctx)
{
	static const char *const names[HV_SEG_COUNT] = { "es", "cs",   "ss", "ds",   "fs",
							 "gs", "ldtr", "tr", "gdtr", "idtr" };
	char line[128];

	for (unsigned int s = 0; s < HV_SEG_COUNT; s++) {
		struct hv_segment seg;

		vmx_seg_get(v, s, &seg);
		ray_snprintf(line, sizeof(line), "%-4s sel=%04x attr=%05x limit=%08x base=%016llx",
			     names[s], seg.selector, seg.attr, seg.limit, (ull)seg.base);
		emit(ctx, line);
	}
}

static void dump_fields(emit_fn emit, void *ctx)
{
	static const struct {
		const char *name;
		uint16_t field;
	} list[] = {
		{ "cr0", VMCS_GUEST_CR0 },
		{ "cr0_shadow", VMCS_CR0_SHADOW },
		{ "cr3", VMCS_GUEST_CR3 },
		{ "cr4", VMCS_GUEST_CR4 },
		{ "cr4_shadow", VMCS_CR4_SHADOW },
		{ "efer", VMCS_GUEST_EFER },
		{ "dr7", VMCS_GUEST_DR7 },
		{ "intr_state", VMCS_GUEST_INTR_STATE },
		{ "activity", VMCS_GUEST_ACTIVITY },
		{ "pending_dbg", VMCS_GUEST_PENDING_DBG },
		{ "pin", VMCS_PIN_CTL },
		{ "proc", VMCS_PROC_CTL },
		{ "proc2", VMCS_PROC2_CTL },
		{ "exit_ctl", VMCS_EXIT_CTL },
		{ "entry_ctl", VMCS_ENTRY_CTL },
		{ "entry_intr", VMCS_ENTRY_INTR_INFO },
		{ "reason", VMCS_EXIT_REASON },
		{ "qual", VMCS_EXIT_QUAL },
		{ "intr_info", VMCS_EXIT_INTR_INFO },
		{ "idt_info", VMCS_IDT_INFO },
		{ "insn_len", VMCS_EXIT_INSN_LEN },
		{ "insn_error", VMCS_INSN_ERROR },
		{ "eptp", VMCS_EPTP },
		{ "vpid", VMCS_VPID },
		{ "tsc_offset", VMCS_TSC_OFFSET },
	};
	char line[160];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		n += ray_scnprintf(line + n, sizeof(line) - n, "%s%s=%llx", n ? " " : "",
				   list[i].name, (ull)vmx_read(list[i].field));
		if (n > 100 || i + 1 == ARRAY_SIZE(list)) {
			emit(ctx, line);
			n = 0;
		}
	}
}

void vmx_dump(struct vcpu *vcpu, emit_fn emit, void *ctx)
{
	struct vmx_access a;

	dump_gprs(vcpu, emit, ctx);
	vmx_access_begin(vcpu->vmx, &a);
	dump_segments(vcpu, emit, ctx);
	dump_fields(emit, ctx);
	vmx_access_end(vcpu->vmx, &a);
	vmx_check(vcpu, emit, ctx);
}
