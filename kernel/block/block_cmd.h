/* SPDX-License-Identifier: Apache-2.0 */
/* What the `disk` commands share. */
#ifndef RAYOS_KERNEL_BLOCK_BLOCK_CMD_H
#define RAYOS_KERNEL_BLOCK_BLOCK_CMD_H

#include "kernel/block/block.h"
#include "kernel/cmd.h"

/** With a reference; NULL: it has been said that there is no such. Context: the shell's thread. */
struct block_dev *block_cmd_named(struct cmd_ctx *ctx, const char *name);
/** Completes the first argument to a disk's name. */
void block_cmd_complete(struct cmd_complete *c, int arg);

#endif
