/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries out the one guest instruction that touched a device address. Inside hv/ only.
 * Context: the vCPU's own thread, loaded; with `fast` IRQs are off and nothing may block.
 */
#ifndef RAYOS_HV_EMULATE_H
#define RAYOS_HV_EMULATE_H

#include "hv/exit.h"
#include "kernel/lib/types.h"

struct vcpu;

/**
 * Emulate the instruction at RIP whose memory operand lies at @gpa.
 * Returns: 0 (done, RIP moved, or a fault is queued for the guest); -RAY_EAGAIN (fast only:
 * nothing has happened, call again from the thread); -RAY_ENOSYS (a form nobody aims at a
 * device; nothing has happened).
 * Trust: instruction bytes and registers.
 */
int __must_check emulate_mmio(struct vcpu *v, struct hv_exit *e, gpa_t gpa, bool fast);

/** Emulate INS or OUTS as the exit describes it. Same results. */
int __must_check emulate_string_io(struct vcpu *v, struct hv_exit *e);

#endif
