/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, up to U+10FFFF. Pure. */
#ifndef RAYOS_KERNEL_LIB_UTF8_H
#define RAYOS_KERNEL_LIB_UTF8_H

#include "kernel/lib/types.h"

#define UTF8_MAX 4u /* bytes of one character */

/**
 * Length of the character at the start of @s.
 * @len    bytes there, > 0
 * Returns: 1..4; 0 when the bytes are no character; -1 when they begin one that goes on
 *          past @len
 * Trust:   any bytes
 */
int utf8_char_len(const char *s, size_t len);

/** Are all @len bytes whole characters? NUL and control characters count as characters. */
bool utf8_valid(const char *s, size_t len);

/** Number of characters in valid UTF-8 (columns, as far as no wide ones are used). */
size_t utf8_count(const char *s, size_t len);

#endif
