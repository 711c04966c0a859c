/* UNIT: kernel/lib/libgcc.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * kernel/lib/string.c and stdlib.c against the host's libc. They are included under other
 * names, since the sanitizers own the real ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <ctype.h>
#include <cmocka.h>

#define memcpy      k_memcpy
#define memmove     k_memmove
#define memset      k_memset
#define memcmp      k_memcmp
#define memchr      k_memchr
#define strlen      k_strlen
#define strnlen     k_strnlen
#define strcmp      k_strcmp
#define strncmp     k_strncmp
#define strcasecmp  k_strcasecmp
#define strncasecmp k_strncasecmp
#define strchr      k_strchr
#define strrchr     k_strrchr
#define strstr      k_strstr
#define strspn      k_strspn
#define strcspn     k_strcspn
#define strpbrk     k_strpbrk
#define strcpy      k_strcpy
#define strncpy     k_strncpy
#define strcat      k_strcat
#define strncat     k_strncat
#define strlcpy     k_strlcpy
#define strlcat     k_strlcat
#define strtol      k_strtol
#define strtoll     k_strtoll
#define strtoul     k_strtoul
#define strtoull    k_strtoull
#define atoi        k_atoi
#include "kernel/lib/libc/string.h"
#undef abs
#define abs k_abs
#include "kernel/lib/libc/stdlib.h"
#include "kernel/lib/string.c"
#include "kernel/lib/stdlib.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strcasecmp
#undef strncasecmp
#undef strchr
#undef strrchr
#undef strstr
#undef strspn
#undef strcspn
#undef strpbrk
#undef strcpy
#undef strncpy
#undef strcat
#undef strncat
#undef strtol
#undef strtoll
#undef strtoul
#undef strtoull
#undef atoi

#define SPAN 80

static void fill_pattern(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + 3);
}

/* Every size and every pair of offsets, exact heap blocks so that ASan sees one byte too far. */
static void test_memcpy_sizes(void **state)
{
	(void)state;
	for (size_t n = 0; n < SPAN; n++) {
		uint8_t *src = malloc(n + 1), *dst = malloc(n + 1);

		fill_pattern(src, n);
		memset(dst, 0xee, n + 1);
		assert_ptr_equal(k_memcpy(dst, src, n), dst);
		assert_memory_equal(dst, src, n);
		assert_int_equal(dst[n], 0xee);
		free(src);
		free(dst);
	}
}

static void test_memmove_overlap(void **state)
{
	uint8_t a[3 * SPAN], b[3 * SPAN];

	(void)state;
	for (size_t n = 0; n < SPAN; n++) {
		for (size_t from = 0; from < SPAN; from++) {
			for (size_t to = 0; to < SPAN; to++) {
				fill_pattern(a, sizeof(a));
				fill_pattern(b, sizeof(b));
				k_memmove(a + to, a + from, n);
				memmove(b + to, b + from, n);
				if (memcmp(a, b, sizeof(a)) != 0)
					fail_msg("n=%zu from=%zu to=%zu", n, from, to);
			}
		}
	}
}

static void test_memset_sizes(void **state)
{
	uint8_t a[SPAN + 2], b[SPAN + 2];

	(void)state;
	for (size_t n = 0; n < SPAN; n++) {
		memset(a, 0x11, sizeof(a));
		memset(b, 0x11, sizeof(b));
		assert_ptr_equal(k_memset(a + 1, 0x1a5, n), a + 1);
		memset(b + 1, 0xa5, n);
		assert_memory_equal(a, b, sizeof(a));
	}
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void test_memcmp(void **state)
{
	uint8_t a[40], b[40];

	(void)state;
	for (size_t n = 0; n < sizeof(a); n++) {
		fill_pattern(a, sizeof(a));
		fill_pattern(b, sizeof(b));
		assert_int_equal(k_memcmp(a, b, n), 0);
		for (size_t i = 0; i < n; i++) {
			b[i] ^= 0x80;
			assert_int_equal(sign(k_memcmp(a, b, n)), sign(memcmp(a, b, n)));
			assert_int_equal(sign(k_memcmp(b, a, n)), sign(memcmp(b, a, n)));
			b[i] ^= 0x80;
		}
	}
}

static void test_memchr(void **state)
{
	const char s[] = "abc\0def";

	(void)state;
	assert_ptr_equal(k_memchr(s, 'd', sizeof(s)), s + 4);
	assert_ptr_equal(k_memchr(s, 0, sizeof(s)), s + 3);
	assert_null(k_memchr(s, 'd', 4));
	assert_null(k_memchr(s, 'a', 0));
	assert_ptr_equal(k_memchr("\xff", 0x1ff, 1) != NULL, 1);
}

static void test_compare(void **state)
{
	static const char *const w[] = { "", "a", "b", "ab", "abc", "ABC", "abd", "\xff", "a\xff" };

	(void)state;
	for (size_t i = 0; i < sizeof(w) / sizeof(w[0]); i++) {
		assert_int_equal(k_strlen(w[i]), strlen(w[i]));
		assert_int_equal(k_strnlen(w[i], 2), strnlen(w[i], 2));
		for (size_t j = 0; j < sizeof(w) / sizeof(w[0]); j++) {
			assert_int_equal(sign(k_strcmp(w[i], w[j])), sign(strcmp(w[i], w[j])));
			assert_int_equal(sign(k_strcasecmp(w[i], w[j])),
			                 sign(strcasecmp(w[i], w[j])));
			for (size_t n = 0; n < 5; n++) {
				assert_int_equal(sign(k_strncmp(w[i], w[j], n)),
				                 sign(strncmp(w[i], w[j], n)));
				assert_int_equal(sign(k_strncasecmp(w[i], w[j], n)),
				                 sign(strncasecmp(w[i], w[j], n)));
			}
			assert_ptr_equal(k_strstr(w[i], w[j]), strstr(w[i], w[j]));
			assert_int_equal(k_strspn(w[i], w[j]), strspn(w[i], w[j]));
			assert_int_equal(k_strcspn(w[i], w[j]), strcspn(w[i], w[j]));
			assert_ptr_equal(k_strpbrk(w[i], w[j]), strpbrk(w[i], w[j]));
		}
	}
}

static void test_search(void **state)
{
	const char *s = "vm start demo";

	(void)state;
	assert_ptr_equal(k_strchr(s, 's'), s + 3);
	assert_ptr_equal(k_strchr(s, 0), s + 13);
	assert_null(k_strchr(s, 'z'));
	assert_ptr_equal(k_strrchr(s, 'm'), s + 11);
	assert_ptr_equal(k_strrchr(s, 0), s + 13);
	assert_null(k_strrchr(s, 'z'));
	assert_ptr_equal(k_strstr(s, "demo"), s + 9);
	assert_null(k_strstr(s, "demon"));
}

static void test_copies(void **state)
{
	char b[8];

	(void)state;
	assert_int_equal(k_strlcpy(b, "kernel", sizeof(b)), 6);
	assert_string_equal(b, "kernel");
	assert_int_equal(k_strlcpy(b, "hypervisor", sizeof(b)), 10);
	assert_string_equal(b, "hypervi");
	b[0] = 'x';
	assert_int_equal(k_strlcpy(b, "abc", 0), 3);
	assert_int_equal(b[0], 'x');
	k_strlcpy(b, "ab", sizeof(b));
	assert_int_equal(k_strlcat(b, "cd", sizeof(b)), 4);
	assert_string_equal(b, "abcd");
	assert_int_equal(k_strlcat(b, "efghi", sizeof(b)), 9);
	assert_string_equal(b, "abcdefg");
	memset(b, 'y', sizeof(b)); /* not terminated inside its size */
	assert_int_equal(k_strlcat(b, "z", 4), 5);
	k_strcpy(b, "one");
	k_strcat(b, "two");
	assert_string_equal(b, "onetwo");
	k_strcpy(b, "a");
	k_strncat(b, "bcd", 2);
	assert_string_equal(b, "abc");
	memset(b, 'q', sizeof(b));
	k_strncpy(b, "ab", 4);
	assert_memory_equal(b, "ab\0\0qqqq", 8);
	k_strncpy(b, "abcdef", 3);
	assert_memory_equal(b, "abc\0", 4);
}

static void test_numbers(void **state)
{
	static const char *const in[] = { "0", "42", " \t-7", "+9", "0x1F", "0X1f", "077", "0x", "",
		"z", "-", "18446744073709551615", "18446744073709551616", "-18446744073709551616",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"-9223372036854775809", "12abc", "-0x10", "99999999999999999999999" };
	static const int bases[] = { 0, 10, 16, 8, 36, 2 };

	(void)state;
	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		for (size_t b = 0; b < sizeof(bases) / sizeof(bases[0]); b++) {
			char *e1, *e2;

			if (k_strtoull(in[i], &e1, bases[b]) != strtoull(in[i], &e2, bases[b]) ||
			    e1 != e2)
				fail_msg("strtoull %s base %d", in[i], bases[b]);
			if (k_strtoll(in[i], &e1, bases[b]) != strtoll(in[i], &e2, bases[b]) ||
			    e1 != e2)
				fail_msg("strtoll %s base %d", in[i], bases[b]);
			assert_int_equal(k_strtoul(in[i], NULL, bases[b]),
			                 strtoul(in[i], NULL, bases[b]));
			assert_int_equal(k_strtol(in[i], NULL, bases[b]),
			                 strtol(in[i], NULL, bases[b]));
		}
	}
	assert_int_equal(k_atoi("-12x"), -12);
}

int __popcountdi2(int64_t a);

static void test_popcount(void **state)
{
	(void)state;
	assert_int_equal(__popcountdi2(0), 0);
	assert_int_equal(__popcountdi2(-1), 64);
	assert_int_equal(__popcountdi2((int64_t)0x8000000000000001ull), 2);
	for (int i = 0; i < 64; i++)
		assert_int_equal(__popcountdi2((int64_t)(1ull << i)), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memcpy_sizes), cmocka_unit_test(test_memmove_overlap),
		cmocka_unit_test(test_memset_sizes), cmocka_unit_test(test_memcmp),
		cmocka_unit_test(test_memchr),       cmocka_unit_test(test_compare),
		cmocka_unit_test(test_search),       cmocka_unit_test(test_copies),
		cmocka_unit_test(test_numbers),      cmocka_unit_test(test_popcount),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
