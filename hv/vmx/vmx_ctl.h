/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calculations of the VMX backend, apart from the instructions that need them: control
 * words, segment attributes, translation of exits. Pure.
 */
#ifndef RAYOS_HV_VMX_CTL_H
#define RAYOS_HV_VMX_CTL_H

#include "hv/exit.h"
#include "hv/regs.h"
#include "hv/vmx/vmx_vmcs.h"

/**
 * Choose a control word that the CPU accepts.
 * @need  bits that must be 1; @off bits that must be 0; @want bits that are 1 if possible
 * @cap   the capability MSR: low half = bits that must be 1, high half = bits that may be 1
 *        (SDM vol. 3, A.2); anything in neither set becomes what the CPU demands, else 0
 * Returns: 0 and *out, or -RAY_ENOSYS with the bits that cannot be had in *out.
 */
int __must_check vmx_ctl_adjust(uint32_t need, uint32_t off, uint32_t want, uint64_t cap,
				uint32_t *out);

/** Segment attributes as VMX has them (table 25-2) and back to hv/regs.h. */
uint32_t vmx_ar_encode(uint32_t attr);
uint32_t vmx_ar_decode(uint32_t ar);

/* What of the VMCS the translation of an exit reads besides the reason. */
#define VMX_NEED_LEN  (1u << 0)
#define VMX_NEED_QUAL (1u << 1)
#define VMX_NEED_GPA  (1u << 2) /* and the linear address */
#define VMX_NEED_INTR (1u << 3)

struct vmx_reason_desc {
	uint8_t kind; /* enum hv_exit_kind */
	uint8_t need; /* VMX_NEED_* */
};
/** Indexed by basic reason; see vmx_reason_find(). */
extern const struct vmx_reason_desc vmx_reasons[VMX_REASON_COUNT];

/** Entry of a reason; a failed entry or an unknown number has its own. Never NULL. */
static inline const struct vmx_reason_desc *vmx_reason_find(uint64_t reason)
{
	static const struct vmx_reason_desc unknown = { HV_EXIT_UNKNOWN, VMX_NEED_QUAL };
	static const struct vmx_reason_desc failed = { HV_EXIT_ENTRY_FAILED, VMX_NEED_QUAL };

	if (likely(reason < VMX_REASON_COUNT))
		return &vmx_reasons[reason];
	return (reason & VMX_REASON_ENTRY_FAILED) ? &failed : &unknown;
}

/** Qualification of an I/O instruction (table 28-5). Inline, as vmx_ept_decode(): devices wait. */
static inline void vmx_io_decode(uint64_t qual, struct hv_exit_io *io)
{
	io->port = (uint16_t)(qual >> 16);
	io->size = (uint8_t)((qual & 7u) + 1);
	io->in = (qual & 8u) != 0;
	io->string = (qual & 16u) != 0;
	io->rep = (qual & 32u) != 0;
}

/** Qualification of an EPT violation (table 28-7). */
static inline void vmx_ept_decode(uint64_t qual, uint64_t gpa, uint64_t gva,
				  struct hv_exit_stage2 *s2)
{
	uint32_t access = HV_ACCESS_READ;

	/* A read-modify-write sets both bits: what fails is the write. */
	if (qual & VMX_EPTV_EXEC)
		access = HV_ACCESS_EXEC;
	else if (qual & VMX_EPTV_WRITE)
		access = HV_ACCESS_WRITE;
	if ((qual & VMX_EPTV_GVA) && !(qual & VMX_EPTV_FINAL))
		access |= HV_ACCESS_PTWALK;
	s2->gpa = GPA(gpa);
	s2->gva = GVA(gva);
	s2->access = access;
	s2->gva_valid = (qual & VMX_EPTV_GVA) != 0;
}

struct vmx_exit_raw {
	uint64_t qual;
	uint64_t gpa;
	uint64_t gva;
	uint32_t intr_info;
	uint32_t intr_error;
};
/** Fill exit->u of the other kinds, and correct exit->kind where the reason alone does not say it.
 *  Pre: exit->kind is that of the reason, *raw holds what it needs. */
void vmx_exit_decode(const struct vmx_exit_raw *raw, struct hv_exit *exit);

/** VM-entry interruption information. @real_mode: no error code is pushed (26.2.1.3). */
uint32_t vmx_event_encode(const struct hv_event *ev, bool real_mode);
/** IDT-vectoring information. False when no event was cut short. */
bool vmx_event_decode(uint32_t info, uint32_t error, uint32_t insn_len, struct hv_event *ev);

#endif
