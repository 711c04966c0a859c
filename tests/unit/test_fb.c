/* UNIT: kernel/fb/psf.c kernel/fb/text.c kernel/fb/draw.c */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "font_terminus16.h"
#include "kernel/fb/draw.h"
#include "kernel/fb/text.h"
#include "kernel/lib/err.h"

/* ---- the font ---- */

static void test_font(void **state)
{
	static const uint8_t blank[16];
	struct psf f;

	(void)state;
	assert_int_equal(psf_parse(font_terminus16, sizeof(font_terminus16), &f), 0);
	assert_int_equal(f.height, 16);
	assert_int_equal(f.count, 512);
	assert_memory_equal(psf_glyph(&f, f.glyph[' ']), blank, 16);
	for (unsigned int c = '!'; c < 0x7f; c++) {
		assert_true(f.glyph[c] < f.count);
		assert_memory_not_equal(psf_glyph(&f, f.glyph[c]), blank, 16);
		if (c != '?')
			assert_int_not_equal(f.glyph[c], f.glyph['?']);
	}
	assert_int_not_equal(f.glyph[0xe4], f.glyph['?']); /* a umlaut */
	assert_int_equal(f.glyph[0x01], f.glyph['?']);
}

static void test_font_damaged(void **state)
{
	uint8_t *copy;
	struct psf f;

	(void)state;
	for (size_t n = 0; n < sizeof(font_terminus16); n += n < 16 ? 1 : 101) {
		copy = malloc(n ? n : 1);
		assert_non_null(copy);
		memcpy(copy, font_terminus16, n);
		if (psf_parse(copy, n, &f) == 0)
			assert_true(n >= 4 + 512 * 16);
		else
			assert_true(n < 4 + 512 * 16);
		free(copy);
	}
	copy = malloc(sizeof(font_terminus16));
	assert_non_null(copy);
	memcpy(copy, font_terminus16, sizeof(font_terminus16));
	copy[3] = 0;
	assert_int_equal(psf_parse(copy, sizeof(font_terminus16), &f), -RAY_ENOEXEC);
	copy[3] = 33;
	assert_int_equal(psf_parse(copy, sizeof(font_terminus16), &f), -RAY_ENOEXEC);
	copy[3] = 16;
	copy[2] = 0; /* no table: characters are glyph numbers */
	assert_int_equal(psf_parse(copy, sizeof(font_terminus16), &f), 0);
	assert_int_equal(f.glyph['A'], 'A');
	assert_int_equal(f.count, 256);
	free(copy);
}

/* ---- the text screen ---- */

#define COLS 20
#define ROWS 5

static uint8_t *cells;
static struct text text;

static int text_setup(void **state)
{
	(void)state;
	cells = malloc(COLS * ROWS);
	assert_non_null(cells);
	text_init(&text, cells, COLS, ROWS);
	return 0;
}

static int text_teardown(void **state)
{
	(void)state;
	free(cells);
	return 0;
}

static void put(const char *s)
{
	text_write(&text, s, strlen(s));
}

static void row_is(unsigned int row, const char *want)
{
	char line[COLS + 1];

	memcpy(line, text_row(&text, row), COLS);
	line[COLS] = '\0';
	for (int i = COLS; i > 0 && line[i - 1] == ' '; i--)
		line[i - 1] = '\0';
	assert_string_equal(line, want);
}

static void test_lines_and_scrolling(void **state)
{
	(void)state;
	put("one\ntwo\tx\nA\bB\rC");
	row_is(0, "one");
	row_is(1, "two     x");
	row_is(2, "C");
	put("\n4\n5\n6");
	row_is(0, "two     x");
	row_is(4, "6");
	for (int i = 0; i < 13; i++)
		put("\nx");
	row_is(0, "x");
	row_is(3, "x");
	assert_int_equal(text.row, 4);
	assert_int_equal(text.col, 1);
}

static void test_wrap(void **state)
{
	(void)state;
	put("01234567890123456789");
	assert_int_equal(text.row, 0); /* wraps with the next character, not before */
	put("\n");
	assert_int_equal(text.row, 1);
	put("01234567890123456789ab");
	row_is(1, "01234567890123456789");
	row_is(2, "ab");
	put("\t\t\t\t\tz");
	row_is(2, "ab                 z");
}

static void test_sequences(void **state)
{
	(void)state;
	put("hello\x1b[3D\x1b[K");
	row_is(0, "he");
	put("\x1b[1;31mred\x1b[0m");
	row_is(0, "hered");
	put("\x1b[2;3Hx\x1b[A\x1b[By\x1b[Gz");
	row_is(1, "z xy");
	put("\x1b[1K");
	row_is(1, "  xy");
	put("\x1b[2J");
	row_is(0, "");
	row_is(1, "");
	put("\x1b[Habc\r\x1b[2Cd\x1b[1J");
	row_is(0, "");
	/* Far outside, too many numbers, cut, unknown: nothing bad. */
	put("\x1b[999999999;999999999H");
	assert_int_equal(text.row, ROWS - 1);
	assert_int_equal(text.col, COLS - 1);
	put("\x1b[99A\x1b[99D\x1b[1;2;3;4;5;6;7;8;9m\x1b[?25l\x1bZok\x1b[");
	put("\n1");
	row_is(0, "ok");
	row_is(1, "1");
}

static void test_utf8(void **state)
{
	(void)state;
	put("a\xc3\xa4" "b\xe2\x80\xa6" "c\xf0\x9f\x98\x80" "d\xff" "e\xc3");
	put("f\x80g");
	assert_int_equal(text_row(&text, 0)[1], 0xe4);
	text_row(&text, 0)[1] = 'A';
	row_is(0, "aAb?c?d?ef?g");
}

static void test_dirty_rows(void **state)
{
	(void)state;
	text_clean(&text);
	assert_true(text.dirty_first >= text.dirty_end);
	put("\n");
	assert_int_equal(text.dirty_first, 0);
	assert_int_equal(text.dirty_end, 2);
	text_clean(&text);
	put("x");
	assert_int_equal(text.dirty_first, 1);
	assert_int_equal(text.dirty_end, 2);
	text_clean(&text);
	put("\x1b[5;1H\n");
	assert_int_equal(text.dirty_first, 0);
	assert_int_equal(text.dirty_end, ROWS);
}

static void test_garbage(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		char c;

		seed = seed * 1664525u + 1013904223u;
		c = (char)(seed >> 24);
		if ((seed >> 20 & 7) == 0)
			c = "\x1b[;5H\nJK"[seed >> 8 & 7];
		text_write(&text, &c, 1);
		assert_true(text.row < ROWS && text.col <= COLS && text.top < ROWS);
	}
}

/* ---- pixels ---- */

static const struct boot_fb good = {.addr = 0x80000000, .size = 640 * 4 * 100, .width = 639,
				    .height = 100, .pitch = 640 * 4, .red_mask = 0xff0000,
				    .green_mask = 0xff00, .blue_mask = 0xff};

static void test_geometry(void **state)
{
	struct boot_fb bad[] = {good, good, good, good, good, good, good, good, good};
	struct psf font;
	struct draw d;

	(void)state;
	assert_int_equal(psf_parse(font_terminus16, sizeof(font_terminus16), &font), 0);
	assert_int_equal(draw_init(&d, &good, &font, NULL), 0);
	assert_int_equal(d.cols, 79);
	assert_int_equal(d.rows, 6);
	bad[0].width = 0;
	bad[1].height = 17000;
	bad[2].pitch = 638 * 4;
	bad[3].pitch = 640 * 4 + 2;
	bad[4].size--;
	bad[5].addr = 0;
	bad[6].width = 100;
	bad[7].height = 15;
	bad[8].addr++;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(draw_init(&d, &bad[i], &font, NULL), -RAY_EINVAL);
	assert_int_equal(draw_colour(&good, 0x12, 0x34, 0x56), 0x123456);
	bad[0] = (struct boot_fb){.red_mask = 0x7c00, .green_mask = 0x3e0, .blue_mask = 0x1f};
	assert_int_equal(draw_colour(&bad[0], 0xff, 0x08, 0), 0x7c20);
	bad[0] = (struct boot_fb){.red_mask = 0x3ff00000};
	assert_int_equal(draw_colour(&bad[0], 0xff, 0, 0), 0x3ff00000);
	bad[0] = good;
	bad[0].red_mask = bad[0].green_mask = bad[0].blue_mask = 0;
	assert_int_equal(draw_init(&d, &bad[0], &font, NULL), 0);
	assert_int_not_equal(d.fg, d.bg);
}

/* Every glyph pixel is where it belongs and nothing else is touched. */
static void pixels_check(const struct boot_fb *fb, uint32_t scale)
{
	size_t bytes = (size_t)fb->pitch * fb->height;
	uint8_t *pixels = malloc(bytes);
	const uint8_t *glyph;
	struct psf font;
	struct draw d;

	assert_non_null(pixels);
	memset(pixels, 0xaa, bytes);
	assert_int_equal(psf_parse(font_terminus16, sizeof(font_terminus16), &font), 0);
	assert_int_equal(draw_init(&d, fb, &font, pixels), 0);
	assert_int_equal(d.scale, scale);
	draw_char(&d, d.cols - 1u, d.rows - 1u, 'R', false);
	glyph = psf_glyph(&font, font.glyph['R']);
	for (uint32_t y = 0; y < fb->height; y++) {
		for (uint32_t x = 0; x < fb->pitch / 4; x++) {
			uint32_t v, want = 0xaaaaaaaa;
			uint32_t cx = x / (8 * scale), cy = y / (16 * scale);

			memcpy(&v, pixels + (size_t)y * fb->pitch + x * 4, 4);
			if (cx == d.cols - 1u && cy == d.rows - 1u)
				want = glyph[y / scale % 16] & 0x80 >> (x / scale % 8) ? d.fg : d.bg;
			assert_int_equal(v, want);
		}
	}
	draw_char(&d, 0, 0, ' ', true);
	assert_memory_equal(pixels, &d.fg, 4);
	draw_clear(&d);
	assert_memory_equal(pixels, &d.bg, 4);
	assert_memory_equal(pixels + bytes - 4, &d.bg, 4);
	free(pixels);
}

static void test_pixels(void **state)
{
	struct boot_fb big = good;

	(void)state;
	pixels_check(&good, 1);
	big.width = 2600;
	big.pitch = 2601 * 4;
	big.size = (uint64_t)big.pitch * big.height;
	pixels_check(&big, 2);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, text_setup, text_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_font),
		cmocka_unit_test(test_font_damaged),
		T(test_lines_and_scrolling),
		T(test_wrap),
		T(test_sequences),
		T(test_utf8),
		T(test_dirty_rows),
		T(test_garbage),
		cmocka_unit_test(test_geometry),
		cmocka_unit_test(test_pixels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
