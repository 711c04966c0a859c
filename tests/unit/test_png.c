/* UNIT: kernel/lib/png.c kernel/lib/base64.c */
// SPDX-License-Identifier: Apache-2.0
/* PNG files, read back with zlib's inflate and the filters' definitions; base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "kernel/lib/base64.h"
#include "kernel/lib/err.h"
#include "kernel/lib/png.h"

static int live, fail_at;
static uint32_t rows_seen, stop_at;

static void *env_alloc(size_t bytes)
{
	if (fail_at && --fail_at == 0)
		return NULL;
	live++;
	return malloc(bytes);
}

static void env_free(void *p)
{
	live--;
	free(p);
}

static bool go_on(void *ctx, uint32_t rows)
{
	assert_ptr_equal(ctx, &rows_seen);
	assert_int_equal(rows, ++rows_seen);
	return rows != stop_at;
}

static const struct png_env env = {.alloc = env_alloc, .free = env_free, .go_on = go_on,
				   .ctx = &rows_seen};

static voidpf z_alloc(voidpf opaque, uInt items, uInt size)
{
	(void)opaque;
	return calloc(items, size);
}

static void z_free(voidpf opaque, voidpf p)
{
	(void)opaque;
	free(p);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The next chunk must be @type, with a right CRC. Returns: its data. */
static const uint8_t *chunk(const uint8_t **p, const char *type, uint32_t *len)
{
	const uint8_t *at = *p;

	*len = get32(at);
	assert_memory_equal(at + 4, type, 4);
	assert_int_equal(get32(at + 8 + *len), (uint32_t)crc32(0, at + 4, *len + 4));
	*p = at + 12 + *len;
	return at + 8;
}

static uint8_t *inflated(const uint8_t *data, uint32_t len, size_t want)
{
	uint8_t *raw = malloc(want + 1);
	z_stream z = {.zalloc = z_alloc, .zfree = z_free, .next_in = (Bytef *)data,
		      .avail_in = len, .next_out = raw, .avail_out = (uInt)want + 1};

	assert_int_equal(inflateInit(&z), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, want);
	assert_int_equal(z.avail_in, 0);
	inflateEnd(&z);
	return raw;
}

/* 9.2, straight from the standard. */
static uint8_t predicted(uint8_t filter, int a, int b, int c)
{
	int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);

	switch (filter) {
	case 0:
		return 0;
	case 1:
		return (uint8_t)a;
	case 2:
		return (uint8_t)b;
	case 3:
		return (uint8_t)((a + b) / 2);
	case 4:
		return (uint8_t)(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
	default:
		fail();
		return 0;
	}
}

static void unfilter(uint8_t *raw, uint32_t w, uint32_t h, unsigned int *used)
{
	size_t stride = 3 * (size_t)w + 1;

	for (uint32_t y = 0; y < h; y++) {
		uint8_t *row = raw + y * stride;

		*used |= 1u << row[0];
		for (size_t i = 1; i < stride; i++) {
			int a = i > 3 ? row[i - 3] : 0, b = y ? row[i - (long)stride] : 0;
			int c = y && i > 3 ? row[(long)i - 3 - (long)stride] : 0;

			row[i] = (uint8_t)(row[i] + predicted(row[0], a, b, c));
		}
	}
}

/* Encode, decode, compare. Returns: the file's length. */
static size_t round_trip(const uint32_t *pixels, uint32_t w, uint32_t h, unsigned int *used)
{
	const struct png_image img = {w, h, pixels};
	uint8_t *file = malloc(png_bound(w, h)), *raw;
	const uint8_t *p = file + 8, *data;
	uint32_t n;
	size_t len;

	rows_seen = 0;
	assert_int_equal(png_encode(&img, &env, file, &len), 0);
	assert_true(len <= png_bound(w, h));
	assert_int_equal(rows_seen, h);
	assert_int_equal(live, 0);
	assert_memory_equal(file, "\x89PNG\r\n\x1a\n", 8);
	data = chunk(&p, "IHDR", &n);
	assert_int_equal(n, 13);
	assert_int_equal(get32(data), w);
	assert_int_equal(get32(data + 4), h);
	assert_memory_equal(data + 8, "\x08\x02\x00\x00\x00", 5);
	data = chunk(&p, "IDAT", &n);
	raw = inflated(data, n, (3 * (size_t)w + 1) * h);
	(void)chunk(&p, "IEND", &n);
	assert_int_equal(n, 0);
	assert_ptr_equal(p, file + len);
	unfilter(raw, w, h, used);
	for (size_t i = 0; i < (size_t)w * h; i++) {
		const uint8_t *rgb = raw + i / w * (3 * (size_t)w + 1) + 1 + i % w * 3;

		assert_int_equal((uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2],
				 pixels[i] & 0xffffff);
	}
	free(raw);
	free(file);
	return len;
}

static uint32_t seed = 1;

static uint32_t rnd(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed;
}

static uint32_t px(unsigned int kind, uint32_t x, uint32_t y)
{
	switch (kind) {
	case 0:
		return 0;
	case 1:
		return (x & 0xff) << 16 | (y & 0xff) << 8 | ((x ^ y) & 0xff);
	case 2:
		return rnd() ^ rnd() >> 16;
	case 3: /* lines that look like text */
		return (x / 3 + y / 5) % 7 == 0 ? 0xc0c0c0 : 0xff000000u;
	default: /* smooth in both directions, for Paeth */
		return (x * x / 40 + y * y / 30) % 256 * 0x10101 + (rnd() & 3);
	}
}

static void test_round_trips(void **state)
{
	static const uint32_t sizes[][2] = {{1, 1}, {1, 200}, {300, 1}, {7, 5}, {333, 129}};
	unsigned int used = 0;

	(void)state;
	for (unsigned int kind = 0; kind < 5; kind++) {
		for (unsigned int s = 0; s < 5; s++) {
			uint32_t w = sizes[s][0], h = sizes[s][1];
			uint32_t *pixels = malloc(4 * (size_t)w * h);

			for (uint32_t i = 0; i < w * h; i++)
				pixels[i] = px(kind, i % w, i / w);
			round_trip(pixels, w, h, &used);
			free(pixels);
		}
	}
	assert_int_equal(used, 1 | 2 | 4 | 16); /* each filter wins somewhere */
}

/* What crosses a serial line in a few seconds. */
static void test_size_of_screens(void **state)
{
	static uint32_t pixels[1024 * 768];
	unsigned int used = 0;

	(void)state;
	for (uint32_t i = 0; i < 1024 * 768; i++)
		pixels[i] = px(1, i % 1024, i / 1024);
	assert_true(round_trip(pixels, 1024, 768, &used) < 40000);
	for (uint32_t i = 0; i < 1024 * 768; i++)
		pixels[i] = px(3, i % 1024, i / 1024);
	assert_true(round_trip(pixels, 1024, 768, &used) < 40000);
}

static void test_failures(void **state)
{
	static const uint32_t pixels[64];
	const struct png_image img = {8, 8, pixels};
	uint8_t *file = malloc(png_bound(8, 8));
	size_t len;
	int err = -1;

	(void)state;
	for (int n = 1; err; n++) {
		rows_seen = 0;
		fail_at = n;
		err = png_encode(&img, &env, file, &len);
		fail_at = 0;
		assert_int_equal(live, 0);
		if (err)
			assert_int_equal(err, -RAY_ENOMEM);
	}
	rows_seen = 0;
	stop_at = 5;
	assert_int_equal(png_encode(&img, &env, file, &len), -RAY_ECANCELED);
	stop_at = 0;
	assert_int_equal(rows_seen, 5);
	assert_int_equal(live, 0);
	for (unsigned int i = 0; i < 4; i++) {
		static const uint32_t bad[][2] = {{0, 8}, {8, 0}, {PNG_SIDE_MAX + 1, 1},
						  {1, PNG_SIDE_MAX + 1}};
		const struct png_image none = {bad[i][0], bad[i][1], pixels};

		assert_int_equal(png_encode(&none, &env, file, &len), -RAY_ERANGE);
	}
	free(file);
}

static void test_base64(void **state)
{
	/* RFC 4648, 10 */
	static const char *const t[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
					   {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
					   {"foobar", "Zm9vYmFy"}, {"\xff\xef\xbe", "/+++"}};
	char text[16];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
		size_t len = strlen(t[i][0]), n = strlen(t[i][1]);

		assert_int_equal(BASE64_LEN(len), n);
		assert_int_equal(base64_encode(text, (const uint8_t *)t[i][0], len), n);
		assert_memory_equal(text, t[i][1], n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_size_of_screens),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
