/* UNIT: boot/kelf.c */
/* PARSER: boot/kelf.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * A kernel file from a hostile volume: what the check accepts must load without touching a
 * byte outside the image. The input is the file.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "boot/kelf.h"

/* Enough for anything an input of fuzzing size describes, but not gigabytes per run. */
#define LOAD_MAX MIB(4)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kelf k;
	struct kelf_error e = {0};
	void *image;

	if (kelf_parse(data, size, &k, &e) != 0) {
		if (e.what == NULL)
			abort();
		return 0;
	}
	if (k.size == 0 || k.size > KELF_IMAGE_MAX || !IS_ALIGNED(k.size, PAGE_SIZE) ||
	    k.entry < k.base || k.entry - k.base >= k.size)
		abort();
	if (k.size > LOAD_MAX)
		return 0;
	image = malloc(k.size);
	if (image == NULL)
		abort();
	kelf_load(&k, data, image, 0x200000);
	free(image);
	return 0;
}
