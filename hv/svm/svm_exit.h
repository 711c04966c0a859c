/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what SVM says about an exit to struct hv_exit, and events both ways. Pure: plain
 * memory in, plain memory out. Trust: the VMCB is the CPU's, what it reports the guest's.
 */
#ifndef RAYOS_HV_SVM_EXIT_H
#define RAYOS_HV_SVM_EXIT_H

#include "hv/backend.h"
#include "hv/svm/svm_vmcb.h"

/* A table entry is the kind and what else the exit has to tell. */
#define SVM_KIND_MASK 0x3fu
#define SVM_DETAIL    0x40u /* svm_exit_detail() knows more */

/** By exit code, up to SVM_EXIT_TABLE_SIZE. */
extern const uint8_t svm_exit_kinds[SVM_EXIT_TABLE_SIZE];

/** The rest of svm_exit_decode() for codes outside the table and entries with SVM_DETAIL. */
void svm_exit_detail(const struct svm_vmcb *vmcb, const struct hv_caps *caps,
		     struct hv_exit *exit);

BUILD_ASSERT(HV_EXIT_MSR_WRITE == HV_EXIT_MSR_READ + 1, "EXITINFO1 is added to the kind");

/* A device's speed hangs on this one, so it does not wait for the tests of other exits. */
static __force_inline void svm_exit_io(const struct svm_vmcb *vmcb, struct hv_exit *exit)
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

/**
 * Fill *exit from the VMCB of a finished run; the union only for kinds that use it.
 * @caps  decode_assists says whether the VMCB has the instruction's bytes
 * Returns: whether svm_exit_detail() had to look at it.
 */
static __force_inline bool svm_exit_decode(const struct svm_vmcb *vmcb, const struct hv_caps *caps,
					   struct hv_exit *exit)
{
	uint64_t code = vmcb->exit_code;
	uint64_t len = vmcb->nrip - vmcb->rip;
	unsigned int entry = SVM_DETAIL;

	if (likely(code < SVM_EXIT_TABLE_SIZE))
		entry = svm_exit_kinds[code];
	exit->kind = entry & SVM_KIND_MASK;
	exit->insn_bytes_len = 0;
	/* Where the CPU does not know, nRIP is 0, or SVM_NRIP_NONE if it never does. */
	exit->insn_len = likely(len <= HV_INSN_MAX) ? (uint8_t)len : 0;
	if (likely(!(entry & SVM_DETAIL)))
		return false;
	if (code == SVM_EXIT_MSR) {
		exit->kind += vmcb->exit_info1 & 1;
		return false;
	}
	if (code == SVM_EXIT_IOIO) {
		svm_exit_io(vmcb, exit);
		return false;
	}
	svm_exit_detail(vmcb, caps, exit);
	return true;
}

/** EVENTINJ for an event (15.20). */
static inline uint64_t svm_event_encode(const struct hv_event *ev)
{
	/* SVM knows no separate types for INT1, INT3 and INTO. */
	unsigned int type = ev->type > HV_EVENT_SOFT_INT ? HV_EVENT_EXCEPTION : ev->type;
	uint64_t v = SVM_EVENT_VALID | ev->vector | (uint64_t)type << SVM_EVENT_TYPE_SHIFT;

	if (ev->has_error)
		v |= SVM_EVENT_ERROR_VALID | ((uint64_t)ev->error << SVM_EVENT_ERROR_SHIFT);
	return v;
}

/**
 * EXITINTINFO to an event to inject again. False when nothing is to be: no event, or one of
 * INT n, INT3, INTO, whose RIP still points at the instruction, which will raise it again.
 */
bool svm_event_decode(uint64_t info, struct hv_event *ev);

#endif
