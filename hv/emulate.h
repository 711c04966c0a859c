/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries out the one guest instruction that touched a device address. Inside hv/ only.
 * Context: the vCPU's own thread, loaded, IRQs on.
 */
#ifndef RAYOS_HV_EMULATE_H
#define RAYOS_HV_EMULATE_H

#include "hv/exit.h"
#include "hv/mov.h"
#include "kernel/lib/types.h"

struct vcpu;

/**
 * Emulate the instruction at RIP whose memory operand lies at @gpa. A move is noted among
 * v->mov_forms.
 * Returns: 0 (done, RIP moved, or a fault is queued for the guest); -RAY_ENOSYS (a form nobody
 * aims at a device; nothing has happened).
 * Trust: instruction bytes and registers.
 */
int __must_check emulate_mmio(struct vcpu *v, struct hv_exit *e, gpa_t gpa);

/** The slot of v->mov_forms for an instruction at @rip: which one to look at, no more. */
static inline unsigned int emulate_mov_slot(uint64_t rip)
{
	return (unsigned int)(rip ^ rip >> 4) % MOV_FORMS;
}

/** Emulate INS or OUTS as the exit describes it. Same results. */
int __must_check emulate_string_io(struct vcpu *v, struct hv_exit *e);

#endif
