/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EDID 1.4 (VESA E-EDID Standard, Release A2) of a display of a given size: one base block, made
 * when asked for. Pure; any context.
 */
#include <string.h>

#include "devices/virt/virtio/gpu_priv.h"

#define DPI         96u
#define TENTH_MM_INCH 254u
#define REFRESH     60u
#define CLOCK_MAX   65535u /* of 10 kHz: the field has 16 bits */
/* Blanking as CVT with reduced blanking has it (VESA CVT 1.1, 5.4). */
#define H_BLANK     160u
#define H_FRONT     48u
#define H_SYNC      32u
#define V_FRONT     3u
#define V_SYNC      6u
#define V_BLANK_US  460u
#define V_BLANK_MIN 13u

#define MANUFACTURER 0x482fu /* "RAO", five bits a letter, big-endian */

static uint32_t millimetres(uint32_t pixels)
{
	return (pixels * TENTH_MM_INCH / DPI + 5) / 10;
}

/* Lines of blanking that take V_BLANK_US at REFRESH. */
static uint32_t vertical_blank(uint32_t height)
{
	uint32_t us = 1000000 / REFRESH;

	return MAX(V_BLANK_MIN, height * V_BLANK_US / (us - V_BLANK_US) + 1);
}

/* 3.10.2: the preferred mode. */
static void detailed_timing(uint8_t *d, uint32_t width, uint32_t height)
{
	uint32_t v_blank = vertical_blank(height);
	uint32_t clock = (width + H_BLANK) * (height + v_blank) / 1000 * REFRESH / 10;
	uint32_t mm_w = millimetres(width), mm_h = millimetres(height);

	clock = MIN(clock, CLOCK_MAX); /* a large one is refreshed less often */
	d[0] = (uint8_t)clock;
	d[1] = (uint8_t)(clock >> 8);
	d[2] = (uint8_t)width;
	d[3] = H_BLANK;
	d[4] = (uint8_t)(width >> 8 << 4);
	d[5] = (uint8_t)height;
	d[6] = (uint8_t)v_blank;
	d[7] = (uint8_t)(height >> 8 << 4 | v_blank >> 8);
	d[8] = H_FRONT;
	d[9] = H_SYNC;
	d[10] = V_FRONT << 4 | V_SYNC;
	d[11] = 0;
	d[12] = (uint8_t)mm_w;
	d[13] = (uint8_t)mm_h;
	d[14] = (uint8_t)(mm_w >> 8 << 4 | mm_h >> 8);
	d[17] = 0x1e; /* separate digital syncs, both positive */
}

/* 3.10.3: text of at most 13 bytes, ended by a line feed and filled with spaces. */
static void text(uint8_t *d, uint8_t tag, const char *s)
{
	size_t len = strlen(s);

	d[3] = tag;
	memset(d + 5, ' ', 13);
	memcpy(d + 5, s, len);
	d[5 + len] = '\n';
}

/* 3.10.3.3: 50 to 75 Hz, 15 to 160 kHz, up to 660 MHz. */
static void range_limits(uint8_t *d)
{
	static const uint8_t limits[] = {0x00, 0x00, 0x00, 0xfd, 0x00, 50, 75, 15, 160, 66, 0x01,
					 '\n', ' ', ' ', ' ', ' ', ' ', ' '};

	memcpy(d, limits, sizeof(limits));
}

void vgpu_edid(uint8_t out[VGPU_EDID_SIZE], uint32_t width, uint32_t height)
{
	/* 3.7: sRGB's primaries and white. */
	static const uint8_t colours[] = {0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};
	uint8_t sum = 0;

	memset(out, 0, VGPU_EDID_SIZE);
	memset(out + 1, 0xff, 6);
	out[8] = MANUFACTURER >> 8;
	out[9] = MANUFACTURER & 0xff;
	out[10] = 1;             /* product */
	out[16] = 0;             /* week: not given */
	out[17] = 2024 - 1990;
	out[18] = 1;             /* EDID 1.4 */
	out[19] = 4;
	out[20] = 0xa5;          /* digital, 8 bits a colour, DisplayPort */
	out[21] = (uint8_t)MIN(millimetres(width) / 10, 255u);
	out[22] = (uint8_t)MIN(millimetres(height) / 10, 255u);
	out[23] = 120;           /* gamma 2.2 */
	out[24] = 0x06;          /* sRGB, the first timing is the native one */
	memcpy(out + 25, colours, sizeof(colours));
	memset(out + 38, 0x01, 16); /* no standard timings */
	detailed_timing(out + 54, width, height);
	range_limits(out + 72);
	text(out + 90, 0xfc, "RayOS");
	out[111] = 0x10;         /* dummy */
	for (unsigned int i = 0; i < VGPU_EDID_SIZE - 1; i++)
		sum = (uint8_t)(sum + out[i]);
	out[127] = (uint8_t)(0x100 - sum);
}
