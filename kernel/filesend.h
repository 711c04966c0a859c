/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files for whoever is at the other end of the serial line: between two markers, as lines of
 * base64, with a checksum. scripts/run stores them (scripts/rayoslib/files.py).
 */
#ifndef RAYOS_KERNEL_FILESEND_H
#define RAYOS_KERNEL_FILESEND_H

#include "kernel/cmd.h"

/**
 * Send a file; tells how far it is every two seconds.
 * @name  without spaces and slashes
 * Context: a command's thread. Returns: 0, -RAY_ECANCELED (Ctrl-C)
 */
int __must_check filesend(struct cmd_ctx *ctx, const char *name, const uint8_t *data, size_t len);

#endif
