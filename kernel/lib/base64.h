/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648, 4). Pure; any context. */
#ifndef RAYOS_KERNEL_LIB_BASE64_H
#define RAYOS_KERNEL_LIB_BASE64_H

#include "kernel/lib/types.h"

/** Characters that @bytes bytes become, padding included. */
#define BASE64_LEN(bytes) (((bytes) + 2) / 3 * 4)

/** Encode into BASE64_LEN(len) characters; no terminator. Returns: how many. */
size_t base64_encode(char *dst, const uint8_t *src, size_t len);

#endif
