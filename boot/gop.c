/* SPDX-License-Identifier: Apache-2.0 */
/* The framebuffer of the console's graphics output, in the mode firmware left it. */
#include "boot/con.h"
#include "boot/efi.h"
#include "boot/hw.h"

static EFI_GRAPHICS_OUTPUT_PROTOCOL *gop_find(void)
{
	EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	void *gop;

	/* With several cards, the one that shows the console. */
	if (efi_st->ConsoleOutHandle != NULL &&
	    !EFI_ERROR(efi_bs->HandleProtocol(efi_st->ConsoleOutHandle, &guid, &gop)))
		return gop;
	return efi_protocol(&guid);
}

/* UEFI 2.10, 12.9: only the formats of 32 bits a pixel have known masks. */
static bool masks_get(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info, struct boot_fb *fb)
{
	uint32_t used;

	switch (info->PixelFormat) {
	case PixelRedGreenBlueReserved8BitPerColor:
		fb->red_mask = 0x000000ff;
		fb->green_mask = 0x0000ff00;
		fb->blue_mask = 0x00ff0000;
		return true;
	case PixelBlueGreenRedReserved8BitPerColor:
		fb->red_mask = 0x00ff0000;
		fb->green_mask = 0x0000ff00;
		fb->blue_mask = 0x000000ff;
		return true;
	case PixelBitMask:
		fb->red_mask = info->PixelInformation.RedMask;
		fb->green_mask = info->PixelInformation.GreenMask;
		fb->blue_mask = info->PixelInformation.BlueMask;
		used = fb->red_mask | fb->green_mask | fb->blue_mask |
		       info->PixelInformation.ReservedMask;
		return used >> 24 != 0;
	default:
		return false;
	}
}

void gop_collect(struct boot_info *bi)
{
	EFI_GRAPHICS_OUTPUT_PROTOCOL *gop = gop_find();
	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *info;
	struct boot_fb fb = {0};

	if (gop == NULL || gop->Mode == NULL || gop->Mode->Info == NULL)
		return;
	info = gop->Mode->Info;
	fb.addr = gop->Mode->FrameBufferBase;
	fb.size = gop->Mode->FrameBufferSize;
	fb.width = info->HorizontalResolution;
	fb.height = info->VerticalResolution;
	fb.pitch = info->PixelsPerScanLine * 4;
	if (fb.addr == 0 || fb.width == 0 || fb.height == 0 || !masks_get(info, &fb))
		return;
	if (info->PixelsPerScanLine < fb.width || info->PixelsPerScanLine > UINT32_MAX / 4 ||
	    (uint64_t)fb.pitch * fb.height > fb.size) {
		con_warn("framebuffer %ux%u does not fit its memory: not used\n", fb.width,
			 fb.height);
		return;
	}
	bi->fb = fb;
	bi->features |= BOOT_FEAT_FB;
	con_print("display: %ux%u\n", fb.width, fb.height);
}
