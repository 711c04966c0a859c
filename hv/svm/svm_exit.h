/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what SVM says about an exit to struct hv_exit, and events both ways. Pure: plain
 * memory in, plain memory out. Trust: the VMCB is the CPU's, what it reports the guest's.
 */
#ifndef RAYOS_HV_SVM_EXIT_H
#define RAYOS_HV_SVM_EXIT_H

#include "hv/backend.h"
#include "hv/svm/svm_vmcb.h"

/**
 * Fill *exit from the VMCB of a finished run; the union only for kinds that use it.
 * @caps  next_rip and decode_assists say which fields of the VMCB mean anything
 */
void svm_exit_decode(const struct svm_vmcb *vmcb, const struct hv_caps *caps,
		     struct hv_exit *exit);

/** EVENTINJ for an event (15.20). */
uint64_t svm_event_encode(const struct hv_event *ev);

/**
 * EXITINTINFO to an event to inject again. False when nothing is to be: no event, or one of
 * INT n, INT3, INTO, whose RIP still points at the instruction, which will raise it again.
 */
bool svm_event_decode(uint64_t info, struct hv_event *ev);

#endif
