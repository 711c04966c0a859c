// SPDX-License-Identifier: Apache-2.0
/* Owns: UTF-8 checking. No state; any context. Table 3-7 of the Unicode standard. */
#include "kernel/lib/utf8.h"

int utf8_char_len(const char *s, size_t len)
{
	uint8_t lead = (uint8_t)s[0], low = 0x80, high = 0xbf;
	size_t need;

	if (lead < 0x80)
		return 1;
	if (lead < 0xc2 || lead > 0xf4)
		return 0;
	need = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	if (lead == 0xe0)
		low = 0xa0; /* else overlong */
	else if (lead == 0xed)
		high = 0x9f; /* else a surrogate */
	else if (lead == 0xf0)
		low = 0x90; /* else overlong */
	else if (lead == 0xf4)
		high = 0x8f; /* else above U+10FFFF */
	for (size_t i = 1; i < need; i++) {
		uint8_t c;

		if (i >= len)
			return -1;
		c = (uint8_t)s[i];
		if (c < low || c > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return (int)need;
}

bool utf8_valid(const char *s, size_t len)
{
	while (len > 0) {
		int n = utf8_char_len(s, len);

		if (n <= 0)
			return false;
		s += n;
		len -= (size_t)n;
	}
	return true;
}

size_t utf8_count(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((uint8_t)s[i] & 0xc0) != 0x80;
	return n;
}
