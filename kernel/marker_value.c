/* SPDX-License-Identifier: Apache-2.0 */
/* Apart from marker.c: pure, where printing needs the console. */
#include "kernel/marker.h"

char *marker_value(char *buf, size_t size, const char *s)
{
	size_t n = 0;

	if (size == 0)
		return buf;
	for (; n < size - 1 && s[n] != '\0'; n++)
		buf[n] = s[n] > ' ' && s[n] < 0x7f ? s[n] : '_';
	buf[n] = '\0';
	return buf;
}
