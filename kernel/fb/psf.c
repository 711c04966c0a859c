// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "kernel/fb/psf.h"
#include "kernel/lib/err.h"

#define MAGIC_0   0x36u
#define MAGIC_1   0x04u
#define MODE_512  0x01u
#define MODE_TAB  0x02u
#define HEADER    4u
#define SEQUENCE  0xfffeu /* combining sequences follow, up to the end of the glyph's list */
#define LIST_END  0xffffu

static void table_read(const uint8_t *p, size_t len, struct psf *out)
{
	unsigned int glyph = 0;
	bool sequence = false;

	for (size_t i = 0; i + 1 < len && glyph < out->count; i += 2) {
		uint16_t c = (uint16_t)(p[i] | p[i + 1] << 8);

		if (c == LIST_END) {
			glyph++;
			sequence = false;
		} else if (c == SEQUENCE) {
			sequence = true;
		} else if (!sequence && c < PSF_CHARS) {
			out->glyph[c] = (uint16_t)glyph;
		}
	}
}

int psf_parse(const void *file, size_t len, struct psf *out)
{
	const uint8_t *p = file;
	size_t glyph_bytes;
	struct psf f;

	if (len < HEADER || p[0] != MAGIC_0 || p[1] != MAGIC_1)
		return -RAY_ENOEXEC;
	memset(&f, 0, sizeof(f));
	f.count = p[2] & MODE_512 ? 512 : 256;
	f.height = p[3];
	f.glyphs = p + HEADER;
	glyph_bytes = (size_t)f.count * f.height;
	if (f.height == 0 || f.height > PSF_HEIGHT_MAX || glyph_bytes > len - HEADER)
		return -RAY_ENOEXEC;
	if (p[2] & MODE_TAB) {
		memset(f.glyph, 0xff, sizeof(f.glyph));
		table_read(f.glyphs + glyph_bytes, len - HEADER - glyph_bytes, &f);
	} else {
		for (unsigned int c = 0; c < PSF_CHARS; c++)
			f.glyph[c] = (uint16_t)c;
	}
	for (unsigned int c = 0; c < PSF_CHARS; c++) {
		if (f.glyph[c] == 0xffff)
			f.glyph[c] = f.glyph['?'] == 0xffff ? 0 : f.glyph['?'];
	}
	*out = f;
	return 0;
}
