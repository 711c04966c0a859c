// SPDX-License-Identifier: Apache-2.0
/*
 * Memory and string functions of the kernel, and the compiler helpers it may call.
 * Owns: libc/string.h. Knows no hardware and no state. Context: any, interrupt and early
 * boot included; never calls out.
 *
 * Bulk moves use rep movsq/stosq: one instruction per eight bytes where instructions are
 * counted, and fast-string microcode on real CPUs. Short sizes take overlapping word
 * accesses, since rep has a start-up cost.
 */
#include <string.h>

#include <ctype.h>
#include <stdint.h>

/* Otherwise GCC turns the loops below into calls to the functions they implement. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

typedef uint16_t __attribute__((may_alias, aligned(1))) mem16;
typedef uint32_t __attribute__((may_alias, aligned(1))) mem32;
typedef uint64_t __attribute__((may_alias, aligned(1))) mem64;

/* All loads come before all stores, so these are right for overlapping memory as well. */
static inline void move_upto16(uint8_t *d, const uint8_t *s, size_t n)
{
	if (n >= 8) {
		uint64_t first = *(const mem64 *)s, last = *(const mem64 *)(s + n - 8);
		*(mem64 *)d = first;
		*(mem64 *)(d + n - 8) = last;
	} else if (n >= 4) {
		uint32_t first = *(const mem32 *)s, last = *(const mem32 *)(s + n - 4);
		*(mem32 *)d = first;
		*(mem32 *)(d + n - 4) = last;
	} else if (n >= 2) {
		uint16_t first = *(const mem16 *)s, last = *(const mem16 *)(s + n - 2);
		*(mem16 *)d = first;
		*(mem16 *)(d + n - 2) = last;
	} else if (n == 1) {
		*d = *s;
	}
}

/* n > 16. Also right when d lies before s in the same object: each word is read before the
 * write position reaches it, and the tail is read first of all. */
static inline void move_forward(uint8_t *d, const uint8_t *s, size_t n)
{
	uint64_t tail = *(const mem64 *)(s + n - 8);
	mem64 *tail_at = (mem64 *)(d + n - 8);
	size_t words = n / 8;

	__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
	*tail_at = tail;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	if (n <= 16)
		move_upto16(dst, src, n);
	else
		move_forward(dst, src, n);
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	uint8_t *d = dst;
	const uint8_t *s = src;

	if (n <= 16) {
		move_upto16(d, s, n);
	} else if ((uintptr_t)d - (uintptr_t)s >= n) {
		move_forward(d, s, n); /* d before s, or no overlap (unsigned difference) */
	} else {
		uint64_t head = *(const mem64 *)s;

		while (n >= 8) {
			n -= 8;
			*(mem64 *)(d + n) = *(const mem64 *)(s + n);
		}
		*(mem64 *)d = head;
	}
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	uint8_t *d = dst;
	uint64_t v = 0x0101010101010101ull * (uint8_t)c;

	if (n > 16) {
		size_t words = n / 8;
		mem64 *tail_at = (mem64 *)(d + n - 8);

		__asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(v) : "memory");
		*tail_at = v;
	} else if (n >= 8) {
		*(mem64 *)d = v;
		*(mem64 *)(d + n - 8) = v;
	} else if (n >= 4) {
		*(mem32 *)d = (uint32_t)v;
		*(mem32 *)(d + n - 4) = (uint32_t)v;
	} else if (n > 0) {
		d[0] = (uint8_t)v;
		d[n / 2] = (uint8_t)v;
		d[n - 1] = (uint8_t)v;
	}
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n >= 8; n -= 8, x += 8, y += 8) {
		uint64_t u = *(const mem64 *)x, v = *(const mem64 *)y;

		if (u != v)
			return __builtin_bswap64(u) < __builtin_bswap64(v) ? -1 : 1;
	}
	for (; n > 0; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const uint8_t *p = s;

	for (; n > 0; n--, p++) {
		if (*p == (uint8_t)c)
			return (void *)(uintptr_t)p;
	}
	return NULL;
}

size_t strlen(const char *s)
{
	const char *p = s;

	while (*p)
		p++;
	return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++) {
		if (*a != *b || !*a)
			return (uint8_t)*a - (uint8_t)*b;
	}
	return 0;
}

int strncasecmp(const char *a, const char *b, size_t n)
{
	for (; n > 0; n--, a++, b++) {
		int x = tolower((uint8_t)*a), y = tolower((uint8_t)*b);

		if (x != y || !x)
			return x - y;
	}
	return 0;
}

int strcasecmp(const char *a, const char *b)
{
	return strncasecmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (!*s)
			return (char *)(uintptr_t)last;
	}
}

char *strstr(const char *hay, const char *needle)
{
	size_t n = strlen(needle);

	for (;; hay++) {
		if (strncmp(hay, needle, n) == 0)
			return (char *)(uintptr_t)hay;
		if (!*hay)
			return NULL;
	}
}

size_t strspn(const char *s, const char *accept)
{
	size_t n = 0;

	while (s[n] && strchr(accept, s[n]))
		n++;
	return n;
}

size_t strcspn(const char *s, const char *reject)
{
	size_t n = 0;

	while (s[n] && !strchr(reject, s[n]))
		n++;
	return n;
}

char *strpbrk(const char *s, const char *accept)
{
	s += strcspn(s, accept);
	return *s ? (char *)(uintptr_t)s : NULL;
}

char *strcpy(char *restrict dst, const char *restrict src)
{
	memcpy(dst, src, strlen(src) + 1);
	return dst;
}

char *strncpy(char *restrict dst, const char *restrict src, size_t n)
{
	size_t len = strnlen(src, n);

	memcpy(dst, src, len);
	memset(dst + len, 0, n - len);
	return dst;
}

char *strcat(char *restrict dst, const char *restrict src)
{
	strcpy(dst + strlen(dst), src);
	return dst;
}

char *strncat(char *restrict dst, const char *restrict src, size_t n)
{
	size_t at = strlen(dst), len = strnlen(src, n);

	memcpy(dst + at, src, len);
	dst[at + len] = '\0';
	return dst;
}

size_t strlcpy(char *restrict dst, const char *restrict src, size_t size)
{
	size_t len = strlen(src);

	if (size > 0) {
		size_t n = len < size ? len : size - 1;

		memcpy(dst, src, n);
		dst[n] = '\0';
	}
	return len;
}

size_t strlcat(char *restrict dst, const char *restrict src, size_t size)
{
	size_t at = strnlen(dst, size);

	return at + strlcpy(dst + at, src, size - at);
}
