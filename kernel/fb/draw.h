/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Glyphs into a linear framebuffer of 32-bit pixels, which is only ever written.
 * Owns: geometry and colours. Pure but for the memory it is given.
 */
#ifndef RAYOS_KERNEL_FB_DRAW_H
#define RAYOS_KERNEL_FB_DRAW_H

#include "boot/boot_info.h"
#include "kernel/fb/psf.h"
#include "kernel/lib/types.h"

struct draw {
	uint8_t *pixels;
	const struct psf *font;
	uint32_t pitch;       /* bytes */
	uint32_t scale;       /* screen pixels per font pixel */
	uint32_t height;      /* pixel rows */
	uint16_t cols, rows;  /* of characters */
	uint32_t fg, bg;      /* pixel values */
	uint32_t nibble[16][4]; /* four pixels by their bits */
};

/**
 * Check the firmware's framebuffer and choose scale and colours.
 * @pixels  where it is (or will be) mapped
 * Returns: 0, -RAY_EINVAL (contradictory or too small for a line of text)
 * Trust:   fb is firmware's
 */
int __must_check draw_init(struct draw *d, const struct boot_fb *fb, const struct psf *font,
			   uint8_t *pixels);

/** Fill everything with the background. */
void draw_clear(const struct draw *d);

/** Draw one character; col < cols, row < rows. */
void draw_char(const struct draw *d, unsigned int col, unsigned int row, uint8_t c, bool inverse);

/** Pixel value of an 8-bit-per-channel colour under the framebuffer's masks. */
uint32_t draw_colour(const struct boot_fb *fb, uint8_t red, uint8_t green, uint8_t blue);

#endif
