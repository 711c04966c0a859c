// SPDX-License-Identifier: Apache-2.0
#include "hv/vmx/vmx_ctl.h"
#include "kernel/lib/err.h"

int vmx_ctl_adjust(uint32_t need, uint32_t off, uint32_t want, uint64_t cap, uint32_t *out)
{
	uint32_t must = (uint32_t)cap;
	uint32_t may = (uint32_t)(cap >> 32);
	uint32_t bad = (need & ~may) | (off & must);

	if (bad) {
		*out = bad;
		return -RAY_ENOSYS;
	}
	*out = (need | (want & may) | must) & ~off;
	return 0;
}

uint32_t vmx_ar_encode(uint32_t attr)
{
	if (attr & HV_SEG_UNUSABLE)
		return HV_SEG_UNUSABLE;
	return (attr & 0xffu) | ((attr & 0xf00u) << 4);
}

uint32_t vmx_ar_decode(uint32_t ar)
{
	return (ar & 0xffu) | ((ar >> 4) & 0xf00u) | (ar & HV_SEG_UNUSABLE);
}

#define INSN(k)      { HV_EXIT_##k, VMX_NEED_LEN }
#define INSN_QUAL(k) { HV_EXIT_##k, VMX_NEED_LEN | VMX_NEED_QUAL }
#define PLAIN(k)     { HV_EXIT_##k, 0 }
#define OTHER        { HV_EXIT_UNKNOWN, VMX_NEED_QUAL }

const struct vmx_reason_desc vmx_reasons[VMX_REASON_COUNT] = {
	[VMX_REASON_EXCEPTION] = { HV_EXIT_EXCEPTION, VMX_NEED_INTR | VMX_NEED_QUAL },
	[VMX_REASON_EXTINT] = PLAIN(EXTINT),
	[VMX_REASON_TRIPLE_FAULT] = PLAIN(TRIPLE_FAULT),
	[VMX_REASON_INIT ... VMX_REASON_SIPI] = { HV_EXIT_INIT, VMX_NEED_QUAL },
	[VMX_REASON_SIPI + 1 ... VMX_REASON_INTR_WINDOW - 1] = OTHER,
	[VMX_REASON_INTR_WINDOW] = PLAIN(INTR_WINDOW),
	[VMX_REASON_NMI_WINDOW] = PLAIN(NMI_WINDOW),
	[VMX_REASON_TASK_SWITCH] = { HV_EXIT_TASK_SWITCH, VMX_NEED_QUAL },
	[VMX_REASON_CPUID] = INSN(CPUID),
	[VMX_REASON_GETSEC] = INSN(VIRT_INSN),
	[VMX_REASON_HLT] = INSN(HLT),
	[VMX_REASON_INVD] = INSN(CACHE),
	[VMX_REASON_INVD + 1] = OTHER,
	[VMX_REASON_RDPMC] = INSN(RDPMC),
	[VMX_REASON_RDPMC + 1] = OTHER,
	[VMX_REASON_RSM] = INSN(VIRT_INSN),
	[VMX_REASON_VMCALL] = INSN(HYPERCALL),
	[VMX_REASON_VMCLEAR ... VMX_REASON_VMXON] = INSN(VIRT_INSN),
	[VMX_REASON_CR] = INSN_QUAL(CR),
	[VMX_REASON_DR] = INSN_QUAL(DR),
	[VMX_REASON_IO] = INSN_QUAL(IO),
	[VMX_REASON_RDMSR] = INSN(MSR_READ),
	[VMX_REASON_WRMSR] = INSN(MSR_WRITE),
	[VMX_REASON_BAD_STATE ... VMX_REASON_MWAIT - 1] = OTHER,
	[VMX_REASON_MWAIT] = INSN(MONITOR),
	[VMX_REASON_MWAIT + 1 ... VMX_REASON_MONITOR - 1] = OTHER,
	[VMX_REASON_MONITOR] = INSN(MONITOR),
	[VMX_REASON_PAUSE] = INSN(PAUSE),
	[VMX_REASON_ENTRY_MCE ... VMX_REASON_TPR - 1] = OTHER,
	/* CR8 fell below the threshold: a masked interrupt may be deliverable. */
	[VMX_REASON_TPR] = PLAIN(INTR_WINDOW),
	[VMX_REASON_TPR + 1 ... VMX_REASON_EPT_VIOLATION - 1] = OTHER,
	[VMX_REASON_EPT_VIOLATION] = { HV_EXIT_STAGE2, VMX_NEED_QUAL | VMX_NEED_GPA },
	[VMX_REASON_EPT_MISCONFIG] = { HV_EXIT_STAGE2_BROKEN, VMX_NEED_GPA },
	[VMX_REASON_INVEPT] = INSN(VIRT_INSN),
	[VMX_REASON_INVEPT + 1] = OTHER,
	[VMX_REASON_PREEMPT_TIMER] = PLAIN(PREEMPT_TIMER),
	[VMX_REASON_INVVPID] = INSN(VIRT_INSN),
	[VMX_REASON_WBINVD] = INSN(CACHE),
	[VMX_REASON_XSETBV] = INSN(XSETBV),
	[VMX_REASON_XSETBV + 1 ... VMX_REASON_VMFUNC - 1] = OTHER,
	[VMX_REASON_VMFUNC] = INSN(VIRT_INSN),
	[VMX_REASON_VMFUNC + 1 ... VMX_REASON_COUNT - 1] = OTHER,
};

static void decode_exception(const struct vmx_exit_raw *raw, struct hv_exit *exit)
{
	uint8_t vector = VMX_INTR_VECTOR(raw->intr_info);

	if (VMX_INTR_TYPE(raw->intr_info) == HV_EVENT_NMI) {
		exit->kind = HV_EXIT_NMI;
		return;
	}
	if (vector == HV_VEC_MC) {
		exit->kind = HV_EXIT_MCE;
		return;
	}
	exit->u.exc = (struct hv_exit_exception){
		.vector = vector,
		.has_error = (raw->intr_info & VMX_INTR_ERROR_VALID) != 0,
		.error = raw->intr_error,
		.addr = raw->qual,
	};
}

/* Table 28-3. */
static void decode_cr(uint64_t qual, struct hv_exit *exit)
{
	unsigned int access = (qual >> 4) & 3u;

	exit->u.cr = (struct hv_exit_cr){
		.cr = qual & 0xfu,
		.gpr = (qual >> 8) & 0xfu,
		.write = access != 1,
		.is_clts = access == 2,
		.is_lmsw = access == 3,
		.lmsw_source = (uint16_t)(qual >> 16),
	};
}

/* Table 28-4. */
static void decode_dr(uint64_t qual, struct hv_exit *exit)
{
	exit->u.dr.dr = qual & 7u;
	exit->u.dr.gpr = (qual >> 8) & 0xfu;
	exit->u.dr.write = !(qual & 0x10u);
}

void vmx_exit_decode(const struct vmx_exit_raw *raw, struct hv_exit *exit)
{
	switch (exit->kind) {
	case HV_EXIT_EXCEPTION:
		decode_exception(raw, exit);
		break;
	case HV_EXIT_CR:
		decode_cr(raw->qual, exit);
		break;
	case HV_EXIT_DR:
		decode_dr(raw->qual, exit);
		break;
	case HV_EXIT_STAGE2_BROKEN:
		vmx_ept_decode(raw->qual, raw->gpa, raw->gva, &exit->u.s2);
		break;
	default:
		break;
	}
}

uint32_t vmx_event_encode(const struct hv_event *ev, bool real_mode)
{
	uint32_t info = VMX_INTR_VALID | ev->vector | ((uint32_t)ev->type << 8);

	if (ev->has_error && !real_mode)
		info |= VMX_INTR_ERROR_VALID;
	return info;
}

bool vmx_event_decode(uint32_t info, uint32_t error, uint32_t insn_len, struct hv_event *ev)
{
	if (!(info & VMX_INTR_VALID))
		return false;
	*ev = (struct hv_event){
		.valid = true,
		.type = VMX_INTR_TYPE(info),
		.vector = VMX_INTR_VECTOR(info),
		.has_error = (info & VMX_INTR_ERROR_VALID) != 0,
		.error = error,
		.insn_len = (uint8_t)insn_len,
	};
	return true;
}
