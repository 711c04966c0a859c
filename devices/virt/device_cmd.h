/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers for commands whose first two arguments are a VM and one of its devices. */
#ifndef RAYOS_DEVICES_VIRT_DEVICE_CMD_H
#define RAYOS_DEVICES_VIRT_DEVICE_CMD_H

#include "devices/virt/attach.h"
#include "kernel/cmd.h"

/** vattach_find() that says what is wrong and suggests the nearest name. Context: vm->lock.
 *  NULL: said already. */
struct vattach *device_cmd_find(struct cmd_ctx *ctx, struct vm *vm, const char *name);
/** Completion: a VM, then one of its devices. */
void device_cmd_complete(struct cmd_complete *c, int arg);

#endif
