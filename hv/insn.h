/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching and decoding the instruction a vCPU stands at. Inside hv/ only.
 * Context: the vCPU's own thread, state loaded; IRQs on or off.
 */
#ifndef RAYOS_HV_INSN_H
#define RAYOS_HV_INSN_H

#include "hv/decode.h"
#include "hv/exit.h"
#include "hv/regs.h"
#include "kernel/lib/types.h"

struct vcpu;

struct insn_bytes {
	uint8_t b[HV_INSN_MAX + 1];
	uint8_t n;
	enum insn_mode mode;
};

/** Width of code the vCPU executes. */
enum insn_mode vcpu_insn_mode(struct vcpu *v);

/**
 * Where the instruction the CPU has just executed lies in host memory: four-level paging only,
 * no rights checked, since the CPU did. The page is the guest's and changes under the reader.
 * Returns: NULL when the tables lead nowhere any more; then the careful way says what happens.
 * Trust: the guest's tables, each entry read once.
 */
const uint8_t *vcpu_code_ptr(struct vcpu *v, uint64_t cr3, uint64_t linear);

/** The same at RIP, for at least @n bytes. NULL also for code that is not 64-bit or ends its page
 *  within @n bytes. */
const uint8_t *vcpu_code_here(struct vcpu *v, unsigned int n);

/** Bytes at RIP, from the exit or by reading guest memory. 0, -RAY_EFAULT (a #PF is queued),
 *  -RAY_EIO (RIP is not in RAM). */
int __must_check vcpu_insn_fetch(struct vcpu *v, const struct hv_exit *e, struct insn_bytes *out);

/** insn_decode() through the vCPU's cache of forms met. Errors as there. */
int __must_check vcpu_insn_decode(struct vcpu *v, const struct insn_bytes *in, struct insn *out);

#endif
