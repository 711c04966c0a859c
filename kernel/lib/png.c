/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/lib/png.h"

#include <string.h>
#include <zlib.h>

#include "kernel/lib/err.h"

#define CHANNELS 3u
/* 9.2: filter types. Average is left out: it rarely wins on screens. */
enum filter { FILTER_NONE, FILTER_SUB, FILTER_UP, FILTER_PAETH = 4, FILTERS };

#define SIGNATURE   "\x89PNG\r\n\x1a\n"
#define CHUNK_EXTRA 12u /* length, type, CRC */
#define IHDR_LEN    13u
#define OVERHEAD    (8u + CHUNK_EXTRA + IHDR_LEN + CHUNK_EXTRA + CHUNK_EXTRA)
#define LEVEL       6

struct encoder {
	const struct png_image *img;
	const struct png_env *env;
	z_stream z;
	uint8_t *previous, *row;       /* as RGB */
	uint8_t *candidate, *best;     /* filtered, the filter's number first */
	uint32_t bytes;                /* of a row */
};

/* --- container (5.3) --- */

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
	return p + 4;
}

/* A chunk whose @len bytes of data stand at @p + 8 already. Returns: behind it. */
static uint8_t *chunk(uint8_t *p, const char *type, uint32_t len)
{
	put32(p, len);
	memcpy(p + 4, type, 4);
	return put32(p + 8 + len, (uint32_t)crc32(0, p + 4, len + 4));
}

static uint8_t *header(uint8_t *p, const struct png_image *img)
{
	static const uint8_t rest[] = {8, 2, 0, 0, 0}; /* depth, RGB, deflate, filters, no interlace */

	memcpy(p, SIGNATURE, 8);
	p += 8;
	put32(p + 8, img->width);
	put32(p + 12, img->height);
	memcpy(p + 16, rest, sizeof(rest));
	return chunk(p, "IHDR", IHDR_LEN);
}

/* --- filters (9) --- */

static uint8_t paeth(uint8_t left, uint8_t up, uint8_t corner)
{
	int to_left = up - corner, to_up = left - corner, to_corner = to_left + to_up;

	to_left = to_left < 0 ? -to_left : to_left;
	to_up = to_up < 0 ? -to_up : to_up;
	to_corner = to_corner < 0 ? -to_corner : to_corner;
	if (to_left <= to_up && to_left <= to_corner)
		return left;
	return to_up <= to_corner ? up : corner;
}

/* Filter the row into e->candidate; the sum of the differences' sizes, a guess at how well they
 * compress (12.8). */
static uint64_t filter_row(const struct encoder *e, enum filter f)
{
	const uint8_t *row = e->row, *prev = e->previous;
	uint8_t *out = e->candidate;
	uint64_t sum = 0;

	*out++ = (uint8_t)f;
	for (uint32_t i = 0; i < e->bytes; i++) {
		uint8_t left = i < CHANNELS ? 0 : row[i - CHANNELS];
		uint8_t corner = i < CHANNELS ? 0 : prev[i - CHANNELS], from, d;

		switch (f) {
		case FILTER_SUB:
			from = left;
			break;
		case FILTER_UP:
			from = prev[i];
			break;
		case FILTER_PAETH:
			from = paeth(left, prev[i], corner);
			break;
		default:
			from = 0;
			break;
		}
		d = (uint8_t)(row[i] - from);
		out[i] = d;
		sum += d < 128 ? d : 256u - d;
	}
	return sum;
}

static void swap(uint8_t **a, uint8_t **b)
{
	uint8_t *t = *a;

	*a = *b;
	*b = t;
}

/* The row, filtered in the way that looks best, is in e->best. */
static void filter_best(struct encoder *e)
{
	static const enum filter order[] = {FILTER_UP, FILTER_SUB, FILTER_PAETH, FILTER_NONE};
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < ARRAY_SIZE(order) && least > 0; i++) {
		uint64_t sum = filter_row(e, order[i]);

		if (sum < least) {
			least = sum;
			swap(&e->candidate, &e->best);
		}
	}
}

/* --- compression --- */

static voidpf z_alloc(voidpf opaque, uInt items, uInt size)
{
	const struct png_env *env = opaque;

	return env->alloc((size_t)items * size);
}

static void z_free(voidpf opaque, voidpf p)
{
	const struct png_env *env = opaque;

	env->free(p);
}

static void row_read(struct encoder *e, uint32_t y)
{
	const uint32_t *src = e->img->pixels + (size_t)y * e->img->width;
	uint8_t *dst = e->row;

	for (uint32_t x = 0; x < e->img->width; x++, dst += CHANNELS) {
		dst[0] = (uint8_t)(src[x] >> 16);
		dst[1] = (uint8_t)(src[x] >> 8);
		dst[2] = (uint8_t)src[x];
	}
}

static int rows_deflate(struct encoder *e)
{
	for (uint32_t y = 0; y < e->img->height; y++) {
		bool last = y + 1 == e->img->height;
		int r;

		row_read(e, y);
		filter_best(e);
		e->z.next_in = e->best;
		e->z.avail_in = e->bytes + 1;
		r = deflate(&e->z, last ? Z_FINISH : Z_NO_FLUSH);
		if (r != (last ? Z_STREAM_END : Z_OK) || e->z.avail_in != 0)
			return -RAY_ERANGE; /* png_bound() was not kept */
		swap(&e->row, &e->previous);
		if (e->env->go_on && !e->env->go_on(e->env->ctx, y + 1))
			return -RAY_ECANCELED;
	}
	return 0;
}

static size_t raw_bytes(uint32_t width, uint32_t height)
{
	return ((size_t)width * CHANNELS + 1) * height;
}

/* What deflateBound() says of the window and memory that deflateInit() takes, and some. */
static size_t stream_bound(size_t raw)
{
	return raw + (raw >> 12) + (raw >> 14) + (raw >> 25) + 64;
}

size_t png_bound(uint32_t width, uint32_t height)
{
	return OVERHEAD + stream_bound(raw_bytes(width, height));
}

static int data(struct encoder *e, uint8_t *p, uint32_t *len)
{
	size_t room = stream_bound(raw_bytes(e->img->width, e->img->height));
	int err = -RAY_ENOMEM;

	e->z = (z_stream){.zalloc = z_alloc, .zfree = z_free, .opaque = (voidpf)e->env};
	if (deflateInit(&e->z, LEVEL) != Z_OK)
		return -RAY_ENOMEM;
	e->z.next_out = p;
	e->z.avail_out = (uInt)MIN(room, UINT32_MAX);
	err = rows_deflate(e);
	*len = (uint32_t)e->z.total_out;
	(void)deflateEnd(&e->z);
	return err;
}

int png_encode(const struct png_image *img, const struct png_env *env, uint8_t *out, size_t *len)
{
	struct encoder e = {.img = img, .env = env, .bytes = img->width * CHANNELS};
	uint8_t *rows, *p;
	uint32_t n;
	int err;

	if (img->width == 0 || img->width > PNG_SIDE_MAX || img->height == 0 ||
	    img->height > PNG_SIDE_MAX)
		return -RAY_ERANGE;
	rows = env->alloc(4 * ((size_t)e.bytes + 1));
	if (!rows)
		return -RAY_ENOMEM;
	e.row = rows;
	e.previous = rows + e.bytes + 1;
	e.candidate = e.previous + e.bytes + 1;
	e.best = e.candidate + e.bytes + 1;
	memset(e.previous, 0, e.bytes);
	p = header(out, img);
	err = data(&e, p + 8, &n);
	if (!err) {
		p = chunk(p, "IDAT", n);
		p = chunk(p, "IEND", 0);
		*len = (size_t)(p - out);
	}
	env->free(rows);
	return err;
}
