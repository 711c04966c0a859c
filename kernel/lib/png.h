/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures as PNG files (ISO/IEC 15948), 8 bits a colour, without alpha.
 * Owns: the container and the filters; zlib compresses. Must not know: where pictures come from.
 * Pure but for the memory that the caller provides.
 */
#ifndef RAYOS_KERNEL_LIB_PNG_H
#define RAYOS_KERNEL_LIB_PNG_H

#include "kernel/lib/types.h"

#define PNG_SIDE_MAX 32768u

struct png_image {
	uint32_t width, height;
	const uint32_t *pixels; /* rows from the top, XRGB8888 */
};

/* What encoding takes from its caller. */
struct png_env {
	/** Memory, about 270 KB and six rows in all, until the end. NULL: none left. */
	void *(*alloc)(size_t bytes);
	void (*free)(void *p);
	/** Called after each row; false ends the work. May be NULL. */
	bool (*go_on)(void *ctx, uint32_t rows_done);
	void *ctx;
};

/** Bytes that the file has at most. Pre: sides from 1 to PNG_SIDE_MAX. */
size_t png_bound(uint32_t width, uint32_t height);

/**
 * Encode @img.
 * @out   png_bound() bytes
 * Returns: 0 and *len; -RAY_ERANGE (a side), -RAY_ENOMEM, -RAY_ECANCELED
 */
int __must_check png_encode(const struct png_image *img, const struct png_env *env, uint8_t *out,
			    size_t *len);

#endif
