/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers for commands whose first argument is a VM's name. */
#ifndef RAYOS_HV_VM_CMD_H
#define RAYOS_HV_VM_CMD_H

#include "hv/vm.h"
#include "kernel/cmd.h"

/** vm_get() that says what is wrong and suggests the nearest name. NULL: said already. */
struct vm *vm_cmd_get(struct cmd_ctx *ctx, const char *name);
/** Completion of the first argument with VM names. */
void vm_cmd_complete(struct cmd_complete *c, int arg);

#endif
