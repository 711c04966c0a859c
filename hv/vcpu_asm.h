/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the entry assembly of both backends finds the fields of struct vcpu. From C this
 * header checks the numbers; from assembly it is only the numbers.
 */
#ifndef RAYOS_HV_VCPU_ASM_H
#define RAYOS_HV_VCPU_ASM_H

/* gpr[] in ModRM encoding order (hv/regs.h) */
#define VCPU_RAX 0
#define VCPU_RCX 8
#define VCPU_RDX 16
#define VCPU_RBX 24
#define VCPU_RSP 32
#define VCPU_RBP 40
#define VCPU_RSI 48
#define VCPU_RDI 56
#define VCPU_R8  64
#define VCPU_R9  72
#define VCPU_R10 80
#define VCPU_R11 88
#define VCPU_R12 96
#define VCPU_R13 104
#define VCPU_R14 112
#define VCPU_R15 120
#define VCPU_HOST_RSP 128

#ifndef __ASSEMBLY__
#include "hv/vcpu.h"

BUILD_ASSERT(offsetof(struct vcpu, gpr[GPR_RAX]) == VCPU_RAX, "vcpu.gpr moved");
BUILD_ASSERT(offsetof(struct vcpu, gpr[GPR_RSP]) == VCPU_RSP, "vcpu.gpr order");
BUILD_ASSERT(offsetof(struct vcpu, gpr[GPR_RDI]) == VCPU_RDI, "vcpu.gpr order");
BUILD_ASSERT(offsetof(struct vcpu, gpr[GPR_R15]) == VCPU_R15, "vcpu.gpr order");
BUILD_ASSERT(offsetof(struct vcpu, host_rsp) == VCPU_HOST_RSP, "vcpu.host_rsp moved");
#endif

#endif
