/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A read-only disk in memory that is there anyway, as a boot module is, or was made for it.
 * Owns: the memory where it is told so. Locking: none; nothing changes.
 */
#include "devices/virt/back/blk_back.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

struct image {
	struct blk_back back;
	const uint8_t *data;
	uint64_t size; /* of the data; the disk ends with its sector */
	bool owned;
};

static int image_submit(struct blk_back *b, struct blk_io *io)
{
	const struct image *image = container_of(b, struct image, back);
	uint64_t there = io->off < image->size ? MIN(io->len, image->size - io->off) : 0;

	if (io->op == BLOCK_FLUSH)
		return 0;
	if (io->op != BLOCK_READ)
		return -RAY_EIO;
	if (there)
		blk_copy_out(&io->data, image->data + io->off, there);
	blk_zero_out(&io->data, io->len - there);
	return 0;
}

static void image_close(struct blk_back *b)
{
	struct image *image = container_of(b, struct image, back);

	if (image->owned)
		kfree((void *)(uintptr_t)image->data);
	kfree(image);
}

static const struct blk_back_ops image_ops = {
	.submit = image_submit,
	.close = image_close,
};

int blk_image_create(const char *name, const uint8_t *data, uint64_t size, bool owned,
		     struct blk_back **out)
{
	struct image *image = kzalloc(sizeof(*image), MEM_BLOCK);

	if (!image)
		return -RAY_ENOMEM;
	image->back = (struct blk_back){.ops = &image_ops, .name = name, .read_only = true,
					.sector = BLK_SECTOR, .physical = BLK_PHYSICAL,
					.size = ALIGN_UP(size, (uint64_t)BLK_SECTOR)};
	image->data = data;
	image->size = size;
	image->owned = owned;
	*out = &image->back;
	return 0;
}
