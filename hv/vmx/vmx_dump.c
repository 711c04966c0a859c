// SPDX-License-Identifier: Apache-2.0
/* The VMCS of a vCPU as text, with what makes an entry fail pointed out. */
#include "hv/vcpu.h"
#include "hv/vmx/vmx_check.h"
#include "hv/vmx/vmx_priv.h"
#include "kernel/lib/fmt.h"

typedef void (*emit_fn)(void *ctx, const char *line);
typedef unsigned long long ull;

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

	vmx_access_begin(vcpu->vmx, &a);
	dump_fields(emit, ctx);
	vmx_access_end(vcpu->vmx, &a);
	vmx_check(vcpu, emit, ctx);
}
