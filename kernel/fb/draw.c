// SPDX-License-Identifier: Apache-2.0
#include "kernel/fb/draw.h"
#include "kernel/lib/checked.h"
#include "kernel/lib/err.h"

#define SIDE_MAX   16384u
#define SCALE_MAX  4u
#define WIDE       2560u /* from here on the font doubles */
#define COLS_MAX   320u
#define ROWS_MAX   200u
#define COLS_MIN   20u

/* Two pixels at once, at any pixel's address. */
typedef uint64_t __attribute__((aligned(4), may_alias)) pixels2_t;

/* The upper bits of an 8-bit channel, or the channel stretched, into the bits of a mask. */
static uint32_t channel(uint32_t mask, uint8_t v)
{
	unsigned int shift, width;

	if (mask == 0)
		return 0;
	shift = (unsigned int)__builtin_ctz(mask);
	width = 32u - (unsigned int)__builtin_clz(mask) - shift;
	if (width <= 8)
		return ((uint32_t)v >> (8 - width)) << shift & mask;
	return (v == 0xff ? mask : ((uint32_t)v << (width - 8)) << shift & mask);
}

uint32_t draw_colour(const struct boot_fb *fb, uint8_t red, uint8_t green, uint8_t blue)
{
	return channel(fb->red_mask, red) | channel(fb->green_mask, green) |
	       channel(fb->blue_mask, blue);
}

int draw_init(struct draw *d, const struct boot_fb *fb, const struct psf *font, uint8_t *pixels)
{
	uint64_t bytes;
	uint32_t scale;

	if (fb->addr == 0 || fb->addr % 4 != 0 || fb->width == 0 || fb->width > SIDE_MAX || fb->height == 0 ||
	    fb->height > SIDE_MAX || fb->pitch / 4 < fb->width || fb->pitch % 4 != 0)
		return -RAY_EINVAL;
	if (checked_mul(fb->pitch, fb->height, &bytes) != 0 || bytes > fb->size)
		return -RAY_EINVAL;
	scale = MIN(1 + fb->width / WIDE, SCALE_MAX);
	*d = (struct draw){.pixels = pixels,
			   .font = font,
			   .pitch = fb->pitch,
			   .scale = scale,
			   .height = fb->height,
			   .cols = (uint16_t)MIN(fb->width / (PSF_WIDTH * scale), COLS_MAX),
			   .rows = (uint16_t)MIN(fb->height / (font->height * scale), ROWS_MAX),
			   .fg = draw_colour(fb, 0xd0, 0xd0, 0xd0),
			   .bg = draw_colour(fb, 0, 0, 0)};
	/* Masks that make no colour: at least text is seen. */
	if (d->fg == d->bg)
		d->fg = ~d->bg;
	for (unsigned int bits = 0; bits < 16; bits++) {
		for (unsigned int x = 0; x < 4; x++)
			d->nibble[bits][x] = bits & (8u >> x) ? d->fg : d->bg;
	}
	return d->cols < COLS_MIN || d->rows == 0 ? -RAY_EINVAL : 0;
}

void draw_clear(const struct draw *d)
{
	uint64_t two = (uint64_t)d->bg << 32 | d->bg;

	for (uint32_t y = 0; y < d->height; y++) {
		uint8_t *at = d->pixels + (size_t)y * d->pitch, *end = at + d->pitch;

		for (; (size_t)(end - at) >= 4 * sizeof(two); at += 4 * sizeof(two)) {
			pixels2_t *p = (pixels2_t *)(void *)at;

			p[0] = two;
			p[1] = two;
			p[2] = two;
			p[3] = two;
		}
		for (; at < end; at += sizeof(uint32_t))
			*(uint32_t *)(void *)at = d->bg;
	}
}

/* One font row: eight runs of @scale pixels. */
static void line_draw(const struct draw *d, uint8_t *at, uint8_t bits)
{
	if (d->scale == 1) {
		const pixels2_t *left = (const pixels2_t *)(const void *)d->nibble[bits >> 4];
		const pixels2_t *right = (const pixels2_t *)(const void *)d->nibble[bits & 15];
		pixels2_t *p = (pixels2_t *)(void *)at;

		p[0] = left[0];
		p[1] = left[1];
		p[2] = right[0];
		p[3] = right[1];
		return;
	}
	for (unsigned int x = 0; x < PSF_WIDTH; x++) {
		uint32_t v = bits & (0x80u >> x) ? d->fg : d->bg;

		for (unsigned int i = 0; i < d->scale; i++, at += sizeof(v))
			*(uint32_t *)(void *)at = v;
	}
}

void draw_char(const struct draw *d, unsigned int col, unsigned int row, uint8_t c, bool inverse)
{
	const uint8_t *glyph = psf_glyph(d->font, d->font->glyph[c]);
	uint8_t *at = d->pixels + (size_t)row * d->font->height * d->scale * d->pitch +
		      (size_t)col * PSF_WIDTH * d->scale * sizeof(uint32_t);

	for (unsigned int y = 0; y < d->font->height; y++) {
		for (unsigned int i = 0; i < d->scale; i++, at += d->pitch)
			line_draw(d, at, inverse ? (uint8_t)~glyph[y] : glyph[y]);
	}
}
