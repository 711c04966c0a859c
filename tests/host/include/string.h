/* SPDX-License-Identifier: Apache-2.0 */
/* The host's <string.h> and what the kernel's has beyond it. */
#ifndef RAYOS_HOST_STRING_H
#define RAYOS_HOST_STRING_H

#include_next <string.h>
#include <strings.h>

#if defined(__GLIBC__) && (__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 38))
#define RAYOS_HOST_HAS_STRLCPY 1
#endif

#ifndef RAYOS_HOST_HAS_STRLCPY
static inline size_t strlcpy(char *restrict dst, const char *restrict src, size_t size)
{
	size_t len = strlen(src);

	if (size > 0) {
		size_t n = len < size ? len : size - 1;

		memcpy(dst, src, n);
		dst[n] = '\0';
	}
	return len;
}

static inline size_t strlcat(char *restrict dst, const char *restrict src, size_t size)
{
	size_t at = strnlen(dst, size);

	return at + strlcpy(dst + at, src, size - at);
}
#endif

#endif
