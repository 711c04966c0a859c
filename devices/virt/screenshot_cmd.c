/* SPDX-License-Identifier: Apache-2.0 */
/* `vm screenshot`: what a guest's display shows, as a PNG down the serial line. */
#include "devices/virt/virtio/gpu.h"
#include "hv/vm_cmd.h"
#include "kernel/filesend.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/png.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmap.h"
#include "kernel/time/time.h"

#define TELL_NS 2000000000ull
#define NAME_LEN (VM_NAME_MAX + 4)

/* The picture, taken while the VM and its display cannot go away. */
static int picture_take(struct cmd_ctx *ctx, struct vm *vm, struct vgpu_picture *p)
{
	const char *name = vm->def.name;
	struct vattach *a;
	int err = -RAY_ENODEV;

	mutex_lock(&vm->lock);
	a = vgpu_find(vm);
	if (a)
		err = vgpu_read(a, p);
	mutex_unlock(&vm->lock);
	switch (err) {
	case -RAY_ENODEV:
		return cmd_fail(ctx, err, "'%s' has no display; `vm attach %s gpu` gives it one", name,
				name);
	case -RAY_ENOENT:
		return cmd_fail(ctx, err, "'%s' shows nothing on its display", name);
	default:
		return err;
	}
}

/* --- packing --- */

struct progress {
	struct cmd_ctx *ctx;
	const char *name;
	uint32_t height;
	uint64_t tell;
};

static void *png_alloc(size_t bytes)
{
	return kmalloc(bytes, MEM_SHELL);
}

static bool png_go_on(void *ctx, uint32_t rows)
{
	struct progress *p = ctx;

	if (time_now() >= p->tell) {
		cmd_printf(p->ctx, "%s: %u %% packed\n", p->name, rows * 100 / p->height);
		p->tell = time_now() + TELL_NS;
	}
	return !cmd_interrupted(p->ctx);
}

static int picture_send(struct cmd_ctx *ctx, const char *name, const struct vgpu_picture *p)
{
	const struct png_image img = {.width = p->width, .height = p->height, .pixels = p->pixels};
	struct progress progress = {.ctx = ctx, .name = name, .height = p->height,
				    .tell = time_now() + TELL_NS};
	const struct png_env env = {.alloc = png_alloc, .free = kfree, .go_on = png_go_on,
				    .ctx = &progress};
	uint8_t *file = vmap_alloc(png_bound(p->width, p->height));
	size_t len;
	int err;

	if (!file)
		return -RAY_ENOMEM;
	err = png_encode(&img, &env, file, &len);
	if (!err)
		err = filesend(ctx, name, file, len);
	vmap_free(file);
	return err;
}

static int vm_screenshot_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct vm *vm = vm_cmd_get(ctx, argv[0]);
	struct vgpu_picture p = {0};
	char name[NAME_LEN];
	int err;

	(void)argc;
	if (!vm)
		return -RAY_ENOENT;
	err = picture_take(ctx, vm, &p);
	if (!err) {
		ray_snprintf(name, sizeof(name), "%s.png", vm->def.name);
		err = picture_send(ctx, name, &p);
		if (!err)
			cmd_printf(ctx, "%s: %u x %u\n", name, p.width, p.height);
		vgpu_picture_free(&p);
	}
	vm_put(vm);
	return err;
}
SHELL_CMD(vm_screenshot, "vm screenshot", "send what a virtual machine's display shows as a PNG",
	  .args = "NAME", .min_args = 1, .max_args = 1,
	  .help = "The file goes down the serial line between RAYOS_FILE markers; scripts/run stores "
		  "it. The VM needs a device `gpu`, and a guest that draws on it.",
	  .example = "vm screenshot demo", .complete = vm_cmd_complete, .run = vm_screenshot_run);
