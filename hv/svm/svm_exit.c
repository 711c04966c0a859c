// SPDX-License-Identifier: Apache-2.0
#include "hv/svm/svm_exit.h"

#define PLAIN(k)  HV_EXIT_##k
#define DETAIL(k) (HV_EXIT_##k | SVM_DETAIL)
#define OTHER     DETAIL(UNKNOWN)

const uint8_t svm_exit_kinds[SVM_EXIT_TABLE_SIZE] = {
	[SVM_EXIT_CR_READ ... SVM_EXIT_CR_WRITE + 15] = DETAIL(CR),
	[SVM_EXIT_DR_READ ... SVM_EXIT_DR_WRITE + 15] = DETAIL(DR),
	[SVM_EXIT_EXCEPTION ... SVM_EXIT_EXCEPTION + HV_VEC_MC - 1] = DETAIL(EXCEPTION),
	[SVM_EXIT_EXCEPTION + HV_VEC_MC] = DETAIL(MCE),
	[SVM_EXIT_EXCEPTION + HV_VEC_MC + 1 ... SVM_EXIT_EXCEPTION + 31] = DETAIL(EXCEPTION),
	[SVM_EXIT_INTR] = PLAIN(EXTINT),
	[SVM_EXIT_NMI] = PLAIN(NMI),
	[SVM_EXIT_SMI] = PLAIN(EXTINT),
	[SVM_EXIT_INIT] = DETAIL(INIT),
	[SVM_EXIT_VINTR] = PLAIN(INTR_WINDOW),
	[SVM_EXIT_VINTR + 1 ... SVM_EXIT_RDPMC - 1] = OTHER,
	[SVM_EXIT_RDPMC] = PLAIN(RDPMC),
	[SVM_EXIT_RDPMC + 1 ... SVM_EXIT_CPUID - 1] = OTHER,
	[SVM_EXIT_CPUID] = PLAIN(CPUID),
	[SVM_EXIT_RSM] = PLAIN(VIRT_INSN),
	[SVM_EXIT_IRET] = DETAIL(NMI_WINDOW),
	[SVM_EXIT_IRET + 1] = OTHER,
	[SVM_EXIT_INVD] = PLAIN(CACHE),
	[SVM_EXIT_PAUSE] = PLAIN(PAUSE),
	[SVM_EXIT_HLT] = PLAIN(HLT),
	[SVM_EXIT_HLT + 1] = OTHER,
	[SVM_EXIT_INVLPGA] = PLAIN(VIRT_INSN),
	[SVM_EXIT_IOIO] = DETAIL(IO),
	[SVM_EXIT_MSR] = DETAIL(MSR_READ),
	[SVM_EXIT_TASK_SWITCH] = DETAIL(TASK_SWITCH),
	[SVM_EXIT_FERR] = OTHER,
	[SVM_EXIT_SHUTDOWN] = PLAIN(TRIPLE_FAULT),
	[SVM_EXIT_VMRUN] = PLAIN(VIRT_INSN),
	[SVM_EXIT_VMMCALL] = PLAIN(HYPERCALL),
	[SVM_EXIT_VMLOAD ... SVM_EXIT_SKINIT] = PLAIN(VIRT_INSN),
	[SVM_EXIT_SKINIT + 1 ... SVM_EXIT_WBINVD - 1] = OTHER,
	[SVM_EXIT_WBINVD] = PLAIN(CACHE),
	[SVM_EXIT_MONITOR ... SVM_EXIT_MWAIT_ARMED] = PLAIN(MONITOR),
	[SVM_EXIT_XSETBV] = PLAIN(XSETBV),
	[SVM_EXIT_RDPRU] = PLAIN(VIRT_INSN),
};

BUILD_ASSERT(HV_EXIT_KIND_COUNT <= SVM_KIND_MASK, "kinds and flags share a byte");

/* Vectors whose delivery pushes an error code (APM vol. 2, 8.2). */
#define ERROR_VECTORS                                                                              \
	(BIT(HV_VEC_DF) | BIT(HV_VEC_TS) | BIT(HV_VEC_NP) | BIT(HV_VEC_SS) | BIT(HV_VEC_GP) |      \
	 BIT(HV_VEC_PF) | BIT(HV_VEC_AC) | BIT(21))

static void decode_npf(const struct svm_vmcb *vmcb, const struct hv_caps *caps,
		       struct hv_exit *exit)
{
	uint64_t info = vmcb->exit_info1;
	uint32_t access = HV_ACCESS_READ;

	/* A reserved bit can only be in a table of ours. */
	if (info & SVM_NPF_RSV)
		exit->kind = HV_EXIT_STAGE2_BROKEN;
	if (info & SVM_NPF_FETCH)
		access = HV_ACCESS_EXEC;
	else if (info & SVM_NPF_WRITE)
		access = HV_ACCESS_WRITE;
	if (info & SVM_NPF_PTWALK)
		access |= HV_ACCESS_PTWALK;
	exit->u.s2 = (struct hv_exit_stage2){ .gpa = GPA(vmcb->exit_info2), .access = access };
	if (caps->decode_assists) {
		unsigned int n = MIN(vmcb->insn_len & 0xfu, HV_INSN_MAX);

		for (unsigned int i = 0; i < n; i++)
			exit->insn_bytes[i] = vmcb->insn[i];
		exit->insn_bytes_len = (uint8_t)n;
	}
}

static void decode_exception(const struct svm_vmcb *vmcb, struct hv_exit *exit)
{
	uint8_t vector = (uint8_t)(vmcb->exit_code - SVM_EXIT_EXCEPTION);

	exit->u.exc = (struct hv_exit_exception){
		.vector = vector,
		.has_error = (ERROR_VECTORS & BIT(vector)) != 0,
		.error = (uint32_t)vmcb->exit_info1,
		.addr = vmcb->exit_info2,
	};
}

static void decode_cr_dr(const struct svm_vmcb *vmcb, struct hv_exit *exit)
{
	uint8_t number = vmcb->exit_code & 0xfu;
	uint8_t gpr = vmcb->exit_info1 & 0xfu;
	bool write = (vmcb->exit_code & 0x10u) != 0;

	if (exit->kind == HV_EXIT_DR) {
		exit->u.dr.dr = number;
		exit->u.dr.gpr = gpr;
		exit->u.dr.write = write;
		return;
	}
	exit->u.cr = (struct hv_exit_cr){ .cr = number, .gpr = gpr, .write = write };
}

void svm_exit_detail(const struct svm_vmcb *vmcb, const struct hv_caps *caps, struct hv_exit *exit)
{
	exit->raw_reason = vmcb->exit_code;
	exit->raw_info[0] = vmcb->exit_info1;
	exit->raw_info[1] = vmcb->exit_info2;
	/* Of all that comes here only MOV CR and MOV DR end where nRIP says. */
	if (vmcb->exit_code > SVM_EXIT_DR_WRITE + 15)
		exit->insn_len = 0;
	if (vmcb->exit_code >= SVM_EXIT_TABLE_SIZE) {
		exit->kind = HV_EXIT_UNKNOWN;
		if (vmcb->exit_code == SVM_EXIT_NPF)
			exit->kind = HV_EXIT_STAGE2;
		else if (vmcb->exit_code == SVM_EXIT_INVALID)
			exit->kind = HV_EXIT_ENTRY_FAILED;
	}
	switch (exit->kind) {
	case HV_EXIT_STAGE2:
		decode_npf(vmcb, caps, exit);
		break;
	case HV_EXIT_EXCEPTION:
		decode_exception(vmcb, exit);
		break;
	case HV_EXIT_CR:
	case HV_EXIT_DR:
		decode_cr_dr(vmcb, exit);
		break;
	default:
		break;
	}
}

bool svm_event_decode(uint64_t info, struct hv_event *ev)
{
	uint8_t type = (info >> SVM_EVENT_TYPE_SHIFT) & 7u;
	uint8_t vector = info & 0xffu;

	if (!(info & SVM_EVENT_VALID) || type == HV_EVENT_SOFT_INT)
		return false;
	if (type == HV_EVENT_EXCEPTION && (vector == HV_VEC_BP || vector == HV_VEC_OF))
		return false;
	*ev = (struct hv_event){
		.valid = true,
		.type = type,
		.vector = vector,
		.has_error = (info & SVM_EVENT_ERROR_VALID) != 0,
		.error = (uint32_t)(info >> SVM_EVENT_ERROR_SHIFT),
	};
	return true;
}
