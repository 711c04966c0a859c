/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why an entry was refused: the rules of SDM vol. 3, 27.3.1 that guests and state records
 * break in practice, each with a line that names the field.
 */
#ifndef RAYOS_HV_VMX_CHECK_H
#define RAYOS_HV_VMX_CHECK_H

#include "kernel/lib/types.h"

struct vcpu;

/** Emit one line for each rule broken; none when the state is fine. Returns their number. */
unsigned int vmx_check(struct vcpu *vcpu, void (*emit)(void *ctx, const char *line), void *ctx);

#endif
