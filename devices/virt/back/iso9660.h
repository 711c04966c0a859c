/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small file system of a few files in one folder: ISO 9660 (ECMA-119, section numbers are its),
 * with Joliet's second set of names for those who want them as they are. Pure; any context.
 */
#ifndef RAYOS_DEVICES_VIRT_BACK_ISO9660_H
#define RAYOS_DEVICES_VIRT_BACK_ISO9660_H

#include "kernel/lib/types.h"

#define ISO_SECTOR    2048u
#define ISO_FILES_MAX 8u
#define ISO_NAME_MAX  16u /* characters */

struct iso_file {
	const char *name; /* lower-case letters, digits, '-', '_' and one '.' at most */
	const void *data;
	uint32_t len;
};

/** Bytes that the image takes. */
size_t iso_size(const struct iso_file *files, unsigned int count);
/**
 * Write it.
 * @label  at most 16 capital letters, digits and '_'
 * @out    iso_size() bytes
 * Pre: at most ISO_FILES_MAX files
 */
void iso_write(const char *label, const struct iso_file *files, unsigned int count, uint8_t *out);

#endif
