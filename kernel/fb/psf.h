/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PSF1 console fonts: 8 pixels wide, 256 or 512 glyphs, with a table of the characters each
 * glyph stands for. Pure.
 */
#ifndef RAYOS_KERNEL_FB_PSF_H
#define RAYOS_KERNEL_FB_PSF_H

#include "kernel/lib/types.h"

#define PSF_WIDTH    8u
#define PSF_CHARS    0x100u /* ASCII and Latin-1 */
#define PSF_HEIGHT_MAX 32u

struct psf {
	const uint8_t *glyphs;
	uint16_t count;  /* glyphs */
	uint8_t height;  /* pixel rows, one byte each */
	uint16_t glyph[PSF_CHARS]; /* by character; what the font lacks shows '?' */
};

/**
 * Take a font file apart.
 * @p, @len  the file, which must stay
 * Returns:  0, -RAY_ENOEXEC (no PSF1 or damaged)
 * Trust:    checked fully, though the build supplies it
 */
int __must_check psf_parse(const void *p, size_t len, struct psf *out);

/** The rows of a glyph. @index < count. */
static inline const uint8_t *psf_glyph(const struct psf *f, unsigned int index)
{
	return f->glyphs + (size_t)index * f->height;
}

#endif
