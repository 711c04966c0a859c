/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's disk on a volume or a snapshot of a store.
 * Owns: that it is open. Must not know: how the store keeps it.
 */
#include "devices/virt/back/blk_back.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/mm/heap.h"

struct volume_back {
	struct blk_back back;
	struct volume *volume;
};

static void back_begin(struct blk_back *b, struct block_req *io)
{
	volume_submit(container_of(b, struct volume_back, back)->volume, io);
}

static bool back_waits(const struct blk_back *b)
{
	return volume_waits(container_of(b, struct volume_back, back)->volume);
}

static void back_close(struct blk_back *b)
{
	struct volume_back *v = container_of(b, struct volume_back, back);

	volume_close(v->volume);
	kfree(v);
}

static const struct blk_back_ops volume_ops = {
	.begin = back_begin,
	.waits = back_waits,
	.close = back_close,
};

int blk_volume_create(const char *name, bool read_only, struct blk_back **out,
		      char why[STORE_WHY_LEN])
{
	struct volume_back *v = kzalloc(sizeof(*v), MEM_BLOCK);
	int err;

	if (!v) {
		ray_snprintf(why, STORE_WHY_LEN, "%s", ray_strerror(-RAY_ENOMEM));
		return -RAY_ENOMEM;
	}
	err = volume_open(name, read_only, &v->volume, why);
	if (err) {
		kfree(v);
		return err;
	}
	v->back = (struct blk_back){.ops = &volume_ops, .name = volume_name(v->volume),
				    .size = volume_size(v->volume),
				    .read_only = volume_read_only(v->volume),
				    .sector = VOLUME_SECTOR, .physical = STORE_BLOCK,
				    .granule = STORE_BLOCK};
	*out = &v->back;
	return 0;
}
