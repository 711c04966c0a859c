// SPDX-License-Identifier: Apache-2.0
#include "hv/svm/svm_exit.h"

/* Set in a table entry when the exit is an instruction whose length nRIP gives. */
#define INSN 0x80u

static const uint8_t kinds[SVM_EXIT_TABLE_SIZE] = {
	[SVM_EXIT_CR_READ ... SVM_EXIT_CR_WRITE + 15] = HV_EXIT_CR | INSN,
	[SVM_EXIT_DR_READ ... SVM_EXIT_DR_WRITE + 15] = HV_EXIT_DR | INSN,
	[SVM_EXIT_EXCEPTION ... SVM_EXIT_EXCEPTION + HV_VEC_MC - 1] = HV_EXIT_EXCEPTION,
	[SVM_EXIT_EXCEPTION + HV_VEC_MC] = HV_EXIT_MCE,
	[SVM_EXIT_EXCEPTION + HV_VEC_MC + 1 ... SVM_EXIT_EXCEPTION + 31] = HV_EXIT_EXCEPTION,
	[SVM_EXIT_INTR] = HV_EXIT_EXTINT,
	[SVM_EXIT_NMI] = HV_EXIT_NMI,
	[SVM_EXIT_SMI] = HV_EXIT_EXTINT,
	[SVM_EXIT_INIT] = HV_EXIT_INIT,
	[SVM_EXIT_VINTR] = HV_EXIT_INTR_WINDOW,
	[SVM_EXIT_VINTR + 1 ... SVM_EXIT_RDPMC - 1] = HV_EXIT_UNKNOWN,
	[SVM_EXIT_RDPMC] = HV_EXIT_RDPMC | INSN,
	[SVM_EXIT_RDPMC + 1 ... SVM_EXIT_CPUID - 1] = HV_EXIT_UNKNOWN,
	[SVM_EXIT_CPUID] = HV_EXIT_CPUID | INSN,
	[SVM_EXIT_RSM] = HV_EXIT_VIRT_INSN | INSN,
	[SVM_EXIT_IRET] = HV_EXIT_NMI_WINDOW,
	[SVM_EXIT_IRET + 1] = HV_EXIT_UNKNOWN,
	[SVM_EXIT_INVD] = HV_EXIT_CACHE | INSN,
	[SVM_EXIT_PAUSE] = HV_EXIT_PAUSE | INSN,
	[SVM_EXIT_HLT] = HV_EXIT_HLT | INSN,
	[SVM_EXIT_HLT + 1] = HV_EXIT_UNKNOWN,
	[SVM_EXIT_INVLPGA] = HV_EXIT_VIRT_INSN | INSN,
	[SVM_EXIT_IOIO] = HV_EXIT_IO,
	[SVM_EXIT_MSR] = HV_EXIT_MSR_READ | INSN,
	[SVM_EXIT_TASK_SWITCH] = HV_EXIT_TASK_SWITCH,
	[SVM_EXIT_FERR] = HV_EXIT_UNKNOWN,
	[SVM_EXIT_SHUTDOWN] = HV_EXIT_TRIPLE_FAULT,
	[SVM_EXIT_VMRUN] = HV_EXIT_VIRT_INSN | INSN,
	[SVM_EXIT_VMMCALL] = HV_EXIT_HYPERCALL | INSN,
	[SVM_EXIT_VMLOAD ... SVM_EXIT_SKINIT] = HV_EXIT_VIRT_INSN | INSN,
	[SVM_EXIT_SKINIT + 1 ... SVM_EXIT_WBINVD - 1] = HV_EXIT_UNKNOWN,
	[SVM_EXIT_WBINVD] = HV_EXIT_CACHE | INSN,
	[SVM_EXIT_MONITOR ... SVM_EXIT_MWAIT_ARMED] = HV_EXIT_MONITOR | INSN,
	[SVM_EXIT_XSETBV] = HV_EXIT_XSETBV | INSN,
	[SVM_EXIT_RDPRU] = HV_EXIT_VIRT_INSN | INSN,
};

BUILD_ASSERT(HV_EXIT_KIND_COUNT <= INSN, "kinds and the flag share a byte");

/* Vectors whose delivery pushes an error code (APM vol. 2, 8.2). */
#define ERROR_VECTORS                                                                              \
	(BIT(HV_VEC_DF) | BIT(HV_VEC_TS) | BIT(HV_VEC_NP) | BIT(HV_VEC_SS) | BIT(HV_VEC_GP) |      \
	 BIT(HV_VEC_PF) | BIT(HV_VEC_AC) | BIT(21))

static void decode_io(const struct svm_vmcb *vmcb, struct hv_exit *exit)
{
	uint32_t info = (uint32_t)vmcb->exit_info1;

	exit->u.io = (struct hv_exit_io){
		.port = (uint16_t)(info >> SVM_IOIO_PORT_SHIFT),
		.size = (info >> SVM_IOIO_SIZE_SHIFT) & 7u,
		.in = (info & SVM_IOIO_IN) != 0,
		.string = (info & SVM_IOIO_STRING) != 0,
		.rep = (info & SVM_IOIO_REP) != 0,
	};
	/* EXITINFO2 has the next RIP on every CPU, with or without nRIP (15.10.2). */
	exit->insn_len = (uint8_t)(vmcb->exit_info2 - vmcb->rip);
}

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

/* The kinds with more to tell than their name. */
static void decode_detail(const struct svm_vmcb *vmcb, const struct hv_caps *caps,
			  struct hv_exit *exit)
{
	switch (exit->kind) {
	case HV_EXIT_IO:
		decode_io(vmcb, exit);
		break;
	case HV_EXIT_MSR_READ:
		if (vmcb->exit_info1 & 1)
			exit->kind = HV_EXIT_MSR_WRITE;
		break;
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

void svm_exit_decode(const struct svm_vmcb *vmcb, const struct hv_caps *caps, struct hv_exit *exit)
{
	uint64_t code = vmcb->exit_code;
	uint8_t entry = HV_EXIT_UNKNOWN;
	uint64_t len = 0;

	if (likely(code < SVM_EXIT_TABLE_SIZE))
		entry = kinds[code];
	else if (code == SVM_EXIT_NPF)
		entry = HV_EXIT_STAGE2;
	else if (code == SVM_EXIT_INVALID)
		entry = HV_EXIT_ENTRY_FAILED;

	exit->kind = entry & ~INSN;
	exit->raw_reason = code;
	exit->raw_info[0] = vmcb->exit_info1;
	exit->raw_info[1] = vmcb->exit_info2;
	exit->insn_bytes_len = 0;
	if ((entry & INSN) && caps->next_rip)
		len = vmcb->nrip - vmcb->rip;
	/* A CPU may leave nRIP 0 where it does not know. */
	exit->insn_len = len <= HV_INSN_MAX ? (uint8_t)len : 0;
	decode_detail(vmcb, caps, exit);
}

uint64_t svm_event_encode(const struct hv_event *ev)
{
	unsigned int type = ev->type;
	uint64_t v = SVM_EVENT_VALID | ev->vector;

	/* SVM knows no separate types for INT1, INT3 and INTO. */
	if (type > HV_EVENT_SOFT_INT)
		type = HV_EVENT_EXCEPTION;
	v |= (uint64_t)type << SVM_EVENT_TYPE_SHIFT;
	if (ev->has_error)
		v |= SVM_EVENT_ERROR_VALID | ((uint64_t)ev->error << SVM_EVENT_ERROR_SHIFT);
	return v;
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
