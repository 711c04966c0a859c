/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files on the volume the loader was started from.
 *
 * Owns: that volume's root folder while the loader runs.
 * Context: boot services, BSP.
 */
#ifndef RAYOS_BOOT_FILE_H
#define RAYOS_BOOT_FILE_H

#include "boot/boot_info.h"
#include "boot/efi.h"

#define FILE_PATH_MAX 160u

/** Open the volume @image came from. Returns: 0, -RAY_ENODEV (not from a file system). */
int __must_check file_volume_open(EFI_HANDLE image);

/**
 * Read a whole file into new pages, in pieces, showing progress when it is large.
 * @path  ASCII, with '/' between components, relative to the root
 * @type  what the memory holds; the rest of the last page is zeroed
 * @out   result; addr is page aligned
 * Returns: 0, -RAY_ENOENT, -RAY_EINVAL (path or kind of file), -RAY_ENOMEM, -RAY_EIO
 * Trust:   file system and path are the user's; sizes are checked against what is read
 */
int __must_check file_load(const char *path, enum boot_mem_type type, struct boot_blob *out);

/** Print the files of a folder with their sizes. */
void file_list(const char *path);

#endif
