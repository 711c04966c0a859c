/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/lib/base64.h"

size_t base64_encode(char *dst, const uint8_t *src, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)src[i] << 16;

		if (i + 1 < len)
			v |= (uint32_t)src[i + 1] << 8;
		if (i + 2 < len)
			v |= src[i + 2];
		dst[n++] = digits[v >> 18];
		dst[n++] = digits[v >> 12 & 63];
		dst[n++] = i + 1 < len ? digits[v >> 6 & 63] : '=';
		dst[n++] = i + 2 < len ? digits[v & 63] : '=';
	}
	return n;
}
