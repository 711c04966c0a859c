/* SPDX-License-Identifier: Apache-2.0 */
/* What the `volume` commands share. */
#ifndef RAYOS_KERNEL_STORE_VOLUME_CMD_H
#define RAYOS_KERNEL_STORE_VOLUME_CMD_H

#include "kernel/cmd.h"
#include "kernel/store/volume_priv.h"

/** volume_find(), with the error said. */
int volume_cmd_find(struct cmd_ctx *ctx, const char *name, struct volume_ref *ref);
/** Commit after a change that came to @err, let the store go, say what went wrong. */
int volume_cmd_end(struct cmd_ctx *ctx, struct store_dev *s, const char *name, int err);
/** store_name_check(), with the error said. */
int volume_cmd_name(struct cmd_ctx *ctx, enum store_kind kind, const char *name);

/* Where a new volume is to be, and under which name. */
struct volume_place {
	char disk[BLOCK_NAME_LEN]; /* empty: the one store there is */
	char name[STORE_NAME_MAX + 1];
};
/** Take "NAME" or "DISK:NAME" apart. 0, or the error that was said. */
int __must_check volume_cmd_place(struct cmd_ctx *ctx, const char *text, struct volume_place *out);

/* Of work that takes a while. */
struct volume_progress {
	struct cmd_ctx *ctx;
	uint64_t all, done, begun, said; /* bytes, time_now() */
};
struct volume_progress volume_progress_begin(struct cmd_ctx *ctx, uint64_t all);
/** Say how far it is, how fast and how long still, every two seconds; not with --json.
 *  Returns: 0; -RAY_ECANCELED: Ctrl-C was typed. */
int __must_check volume_progress(struct volume_progress *p, uint64_t done);

void volume_cmd_complete(struct cmd_complete *c, int arg);

#endif
