/* SPDX-License-Identifier: Apache-2.0 */
/* Pixel formats of resources. Pure; any context. */
#include <string.h>

#include "devices/virt/virtio/gpu_res.h"

#define NO_ALPHA 4u

/* At which byte of a pixel each colour is. */
static const struct layout {
	uint8_t format, red, green, blue, alpha;
} layouts[] = {
	{VGPU_B8G8R8A8, 2, 1, 0, 3}, {VGPU_B8G8R8X8, 2, 1, 0, NO_ALPHA},
	{VGPU_A8R8G8B8, 1, 2, 3, 0}, {VGPU_X8R8G8B8, 1, 2, 3, NO_ALPHA},
	{VGPU_R8G8B8A8, 0, 1, 2, 3}, {VGPU_X8B8G8R8, 3, 2, 1, NO_ALPHA},
	{VGPU_A8B8G8R8, 3, 2, 1, 0}, {VGPU_R8G8B8X8, 0, 1, 2, NO_ALPHA},
};

static const struct layout *layout_of(uint32_t format)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(layouts); i++) {
		if (layouts[i].format == format)
			return &layouts[i];
	}
	return NULL;
}

bool vgpu_format_known(uint32_t format)
{
	return layout_of(format) != NULL;
}

void vgpu_pixels(uint32_t *dst, const uint8_t *src, uint32_t n, uint32_t format)
{
	const struct layout *l = layout_of(format);

	if (!src || !l) {
		memset(dst, 0, (size_t)n * sizeof(*dst));
		return;
	}
	for (; n > 0; n--, src += 4)
		*dst++ = (uint32_t)src[l->red] << 16 | (uint32_t)src[l->green] << 8 | src[l->blue];
}

uint8_t vgpu_alpha(const uint8_t *pixel, uint32_t format)
{
	const struct layout *l = layout_of(format);

	return l && l->alpha != NO_ALPHA ? pixel[l->alpha] : 255;
}
