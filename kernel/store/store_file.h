/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files in the first store that is mounted: what the system itself keeps over restarts.
 * Owns: that a file is what it was or what it is to be, whatever happens. Must not know: what is in
 * it. Names are those of STORE_FILE objects, "vm/web".
 */
#ifndef RAYOS_KERNEL_STORE_STORE_FILE_H
#define RAYOS_KERNEL_STORE_STORE_FILE_H

#include "kernel/lib/types.h"

#define STORE_FILE_MAX 65536u /* bytes */

/**
 * Make a file, or give it other contents, as a whole; kept when this returns.
 * Returns: 0, -RAY_ENODEV (no store), -RAY_E2BIG, -RAY_EINVAL (name), -RAY_ENOSPC, -RAY_ENOMEM,
 *          -RAY_EIO, -RAY_EROFS. Context: thread
 */
int __must_check store_file_write(const char *name, const void *data, size_t len);
/**
 * Read one. @buf has room for STORE_FILE_MAX bytes.
 * Returns: 0 and *len; -RAY_ENODEV, -RAY_ENOENT, -RAY_EIO (not what was written). Context: thread
 * Trust:   the contents, which have a checksum and may yet be anybody's
 */
int __must_check store_file_read(const char *name, void *buf, size_t *len);
/** 0 (also when there is none), -RAY_ENODEV, errors as of writing. */
int __must_check store_file_delete(const char *name);
/**
 * The name of the file after @name (NULL: the first) that begins with @prefix, in no particular
 * order. Returns: 0; -RAY_ENOENT: none; -RAY_ENODEV
 */
int __must_check store_file_next(const char *prefix, const char *name, char out[64]);

#endif
