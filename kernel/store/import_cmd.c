/* SPDX-License-Identifier: Apache-2.0 */
/* `volume import` and `volume export`: images of disks in, volumes out. */
#include <string.h>

#include "kernel/block/block_cmd.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/table.h"
#include "kernel/marker.h"
#include "kernel/mm/heap.h"
#include "kernel/module.h"
#include "kernel/store/image.h"
#include "kernel/store/volume_cmd.h"

#define CHUNK KIB(64)

/* --- where images come from --- */

static int module_read(void *ctx, uint64_t off, void *buf, uint64_t len)
{
	memcpy(buf, (const uint8_t *)ctx + off, len);
	return 0;
}

/* Disks are read by blocks; an image asks for any bytes. */
static int dev_read(void *ctx, uint64_t off, void *buf, uint64_t len)
{
	struct block_dev *dev = ctx;
	uint32_t block = block_limits(dev)->logical;
	uint64_t from = ALIGN_DOWN(off, (uint64_t)block), to = ALIGN_UP(off + len, (uint64_t)block);
	uint8_t *p;
	int err;

	if (from == off && to == off + len)
		return block_read(dev, off, buf, len);
	p = kmalloc(to - from, MEM_STORE);
	if (!p)
		return -RAY_ENOMEM;
	err = block_read(dev, from, p, to - from);
	memcpy(buf, p + (off - from), len);
	kfree(p);
	return err;
}

/* @dev is set where it is one, claimed. */
static int source_open(struct cmd_ctx *ctx, const char *name, struct image_source *out,
		       struct block_dev **dev)
{
	const uint8_t *data;

	*dev = NULL;
	if (module_find(name, &data, &out->size) == 0) {
		out->ctx = (void *)(uintptr_t)data;
		out->read = module_read;
		return 0;
	}
	*dev = block_get(name);
	if (!*dev)
		return cmd_fail(ctx, -RAY_ENOENT,
				"no boot module and no disk is named '%s'; see `vm modules`, `disk list`",
				name);
	if (block_claim(*dev, "import")) {
		block_put(*dev);
		return cmd_fail(ctx, -RAY_EBUSY, "'%s' is in use; see `disk list`", name);
	}
	*out = (struct image_source){.ctx = *dev, .size = block_ident(*dev)->size,
				     .read = dev_read};
	return 0;
}

static void source_close(struct block_dev *dev)
{
	if (!dev)
		return;
	block_release(dev);
	block_put(dev);
}

/* --- import --- */

static bool all_zero(const uint8_t *p, uint64_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

static int copy_in(struct image *im, struct volume *v, struct volume_progress *p)
{
	uint8_t *buf = kmalloc(CHUNK, MEM_STORE);
	uint64_t off = 0;
	int err = buf ? 0 : -RAY_ENOMEM;

	while (!err) {
		uint64_t len;
		bool zero;

		err = image_next(im, off, &off);
		if (err || off >= im->size)
			break;
		len = MIN(CHUNK - off % CHUNK, im->size - off);
		err = image_read(im, off, buf, len, &zero);
		if (!err && !zero && !all_zero(buf, len))
			err = volume_do(v, BLOCK_WRITE, off, buf, len);
		off += len;
		if (!err)
			err = volume_progress(p, off);
	}
	kfree(buf);
	return err ? err : volume_do(v, BLOCK_FLUSH, 0, NULL, 0);
}

/* It has this name until it is whole: after a cut it is clear what it is. */
static void partial_name(const struct volume_place *to, struct volume_place *out)
{
	*out = *to;
	ray_snprintf(out->name, sizeof(out->name), "import_%.*s", (int)STORE_NAME_MAX - 8, to->name);
}

/* As commands name it. */
#define PATH_LEN (BLOCK_NAME_LEN + STORE_NAME_MAX + 2u)
static const char *path_of(const struct volume_place *p, char out[PATH_LEN])
{
	ray_snprintf(out, PATH_LEN, "%s%s%s", p->disk, p->disk[0] ? ":" : "", p->name);
	return out;
}

/* Make the volume, or change it at the end: rename it to @to, or delete it. */
static int partial_create(struct cmd_ctx *ctx, const struct volume_place *to, uint64_t size,
			  uint32_t flags)
{
	char why[STORE_WHY_LEN];
	struct store_dev *s = store_enter(to->disk[0] ? to->disk : NULL, why);
	struct volume_place temp;
	struct store_entry e;
	uint32_t id;
	int err;

	if (!s)
		return cmd_fail(ctx, -RAY_ENOENT, "%s", why);
	partial_name(to, &temp);
	err = store_lookup(s->st, STORE_VOLUME, 0, to->name, &e) == 0 ? -RAY_EEXIST : 0;
	if (!err)
		err = store_create(s->st, STORE_VOLUME, temp.name, size, flags, &id);
	return volume_cmd_end(ctx, s, err == -RAY_EEXIST ? to->name : temp.name, err);
}

static int partial_end(struct cmd_ctx *ctx, const struct volume_place *to, bool good)
{
	struct volume_place temp;
	struct volume_ref ref;
	char path[PATH_LEN];
	int err;

	partial_name(to, &temp);
	err = volume_cmd_find(ctx, path_of(&temp, path), &ref);
	if (err)
		return err;
	return volume_cmd_end(ctx, ref.s, temp.name,
			      good ? store_rename(ref.s->st, ref.e.id, to->name)
				   : store_delete(ref.s->st, ref.e.id));
}

static int import(struct cmd_ctx *ctx, const struct volume_place *to, struct image *im)
{
	char why[STORE_WHY_LEN], path[PATH_LEN];
	struct volume_place temp;
	struct volume_progress p = volume_progress_begin(ctx, im->size);
	struct volume *v;
	int err = partial_create(ctx, to, im->size,
				 cmd_option(ctx, "--checksums") ? STORE_F_SUMS : 0), ended;

	if (err)
		return err;
	partial_name(to, &temp);
	err = volume_open(path_of(&temp, path), false, &v, why);
	if (!err) {
		err = copy_in(im, v, &p);
		volume_close(v);
	}
	ended = partial_end(ctx, to, err == 0);
	if (err == -RAY_ENOEXEC)
		return cmd_fail(ctx, err, "the image is damaged at %llu of %llu MiB",
				(unsigned long long)(p.done >> 20),
				(unsigned long long)(im->size >> 20));
	if (err == -RAY_EIO || err == -RAY_ENOSPC)
		return cmd_fail(ctx, err, "not imported: the disk failed or the store is full; see "
				"`volume stores`, `log`");
	return err ? err : ended;
}

static int volume_import_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct image_source src;
	struct volume_place to;
	struct block_dev *dev;
	struct image im;
	char why[IMAGE_WHY_LEN];
	int err = volume_cmd_place(ctx, argv[0], &to);

	(void)argc;
	if (!err)
		err = source_open(ctx, argv[1], &src, &dev);
	if (err)
		return err;
	err = image_open(&im, &src, why);
	if (err) {
		cmd_fail(ctx, err, "'%s' is no image that can be imported: %s", argv[1], why);
	} else {
		err = import(ctx, &to, &im);
		if (!err)
			marker_print(MARKER_STORE_IMPORTED, "volume=%s format=%s bytes=%lu", argv[0],
				     im.format, (unsigned long)im.size);
		image_close(&im);
	}
	source_close(dev);
	return err;
}
SHELL_CMD(volume_import, "volume import", "make a volume from an image of a disk",
	  .args = "NAME SOURCE", .min_args = 2, .max_args = 2, .options = "--checksums",
	  .help = "SOURCE is a boot module or a disk that has a raw image or a qcow2 one. A volume that\n"
		  "is not whole yet is named import_NAME. Ctrl-C ends it and deletes that.",
	  .example = "volume import debian debian.qcow2", .run = volume_import_run);

/* --- export --- */

static int copy_out(struct volume *v, struct block_dev *dev, struct volume_progress *p)
{
	uint8_t *buf = kmalloc(CHUNK, MEM_STORE);
	uint64_t size = volume_size(v), block = block_limits(dev)->logical;
	int err = buf ? 0 : -RAY_ENOMEM;

	for (uint64_t off = 0; off < size && !err; off += CHUNK) {
		uint64_t len = MIN(CHUNK, size - off);

		memset(buf, 0, CHUNK);
		err = volume_do(v, BLOCK_READ, off, buf, len);
		if (!err)
			err = block_write(dev, off, buf, ALIGN_UP(len, block), 0);
		if (!err)
			err = volume_progress(p, off + len);
	}
	kfree(buf);
	return err ? err : block_flush(dev);
}

static int export(struct cmd_ctx *ctx, struct volume *v, struct block_dev *dev)
{
	struct volume_progress p = volume_progress_begin(ctx, volume_size(v));
	int err;

	if (volume_size(v) > block_ident(dev)->size)
		return cmd_fail(ctx, -RAY_ERANGE, "'%s' is too small: it has %llu MiB of %llu",
				block_ident(dev)->name,
				(unsigned long long)(block_ident(dev)->size >> 20),
				(unsigned long long)(volume_size(v) >> 20));
	if (block_claim(dev, "export"))
		return cmd_fail(ctx, -RAY_EBUSY, "'%s' is in use; see `disk list`",
				block_ident(dev)->name);
	err = copy_out(v, dev, &p);
	block_release(dev);
	return err && err != -RAY_ECANCELED ? cmd_fail(ctx, err, "not exported: %s", ray_strerror(err))
					    : err;
}

static int volume_export_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct block_dev *dev = block_cmd_named(ctx, argv[1]);
	char why[STORE_WHY_LEN];
	struct volume *v;
	int err;

	(void)argc;
	if (!dev)
		return -RAY_ENOENT;
	err = volume_open(argv[0], true, &v, why);
	if (err) {
		block_put(dev);
		return cmd_fail(ctx, err, "%s", why);
	}
	err = export(ctx, v, dev);
	volume_close(v);
	block_put(dev);
	if (!err)
		marker_print(MARKER_STORE_EXPORTED, "volume=%s disk=%s", argv[0], argv[1]);
	return err;
}
SHELL_CMD(volume_export, "volume export", "write a volume to a disk, as it is (raw)",
	  .args = "NAME[@SNAPSHOT] DISK", .min_args = 2, .max_args = 2, .flags = CMD_CONFIRM,
	  .help = "What is on the disk or partition is lost. A volume must not be in use; of one that is,\n"
		  "export a snapshot. Ctrl-C ends it.",
	  .example = "volume export debian vda --yes", .complete = volume_cmd_complete,
	  .run = volume_export_run);
