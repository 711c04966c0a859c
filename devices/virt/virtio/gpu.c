/* SPDX-License-Identifier: Apache-2.0 */
/* Display device (virtio 1.2, 5.7), 2D: the kind "gpu" and the device's life. */
#include "devices/virt/virtio/gpu.h"

#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/virtio/gpu_priv.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/parse.h"
#include "kernel/mm/heap.h"

#define MEMORY_DEFAULT MIB(128)
#define MEMORY_MAX_GIB 1u
#define MEMORY_MAX     GIB(MEMORY_MAX_GIB)
#define WIDTH_DEFAULT  1024u
#define HEIGHT_DEFAULT 768u
#define SIDE_MIN       64u
#define SIDE_MAX       4095u /* what an EDID can say */

/* struct virtio_gpu_config (5.7.4): events_read, events_clear, num_scanouts, num_capsets. No
 * event ever happens, so there is nothing to clear. */
#define CONFIG_LEN      16u
#define CONFIG_SCANOUTS 8u

static enum virtq_result gpu_serve(struct virtio_dev *d, struct virtq *q, bool fast)
{
	/* The I/O thread alone touches resources: both queues and pictures need no lock. */
	return fast ? VIRTQ_MORE : vgpu_serve(vgpu_of(d), q);
}

void vgpu_show(struct vgpu_dev *g, struct vgpu_res *r, const struct vgpu_rect *rect)
{
	uint64_t size = 0;

	g->screen = r;
	if (r) {
		g->shown = *rect;
		size = (uint64_t)rect->width << 32 | rect->height;
	}
	__atomic_store_n(&g->size, size, __ATOMIC_RELAXED);
}

void vgpu_clear(struct vgpu_dev *g)
{
	g->busy = false;
	vgpu_show(g, NULL, NULL);
	g->cursor.visible = false;
	vgpu_set_clear(&g->set);
}

static void gpu_reset(struct virtio_dev *d)
{
	vgpu_clear(vgpu_of(d));
}

static void gpu_destroy(struct virtio_dev *d)
{
	vgpu_clear(vgpu_of(d));
	kfree(vgpu_of(d));
}

static const struct virtio_ops gpu_ops = {
	.name = "virtio-gpu",
	.id = VIRTIO_ID_GPU,
	.pci_class = 0x0380, /* display controller, other */
	.state_version = 1,
	.serve = gpu_serve,
	.reset = gpu_reset,
	.save = vgpu_save,
	.load = vgpu_load,
	.destroy = gpu_destroy,
};

/* --- the kind --- */

static bool side_read(const char *text, size_t len, uint32_t *out)
{
	char copy[8];
	uint64_t n;

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (parse_u64_range(copy, SIDE_MIN, SIDE_MAX, &n))
		return false;
	*out = (uint32_t)n;
	return true;
}

static int size_read(struct spec *s, struct vgpu *out)
{
	const char *text = spec_text(s, "size"), *x;

	out->width = WIDTH_DEFAULT;
	out->height = HEIGHT_DEFAULT;
	if (!text)
		return 0;
	x = strchr(text, 'x');
	if (x && side_read(text, (size_t)(x - text), &out->width) &&
	    side_read(x + 1, strlen(x + 1), &out->height))
		return 0;
	return spec_fail(s, -RAY_EINVAL, "size: '%.32s' is not WIDTHxHEIGHT, each from %u to %u",
			 text, SIDE_MIN, SIDE_MAX);
}

static int memory_read(struct spec *s, struct quota_limits *limits)
{
	int err;

	limits->bytes_in_use = MEMORY_DEFAULT;
	err = spec_size(s, "memory", &limits->bytes_in_use);
	if (!err && (limits->bytes_in_use < MIB(1) || limits->bytes_in_use > MEMORY_MAX))
		return spec_fail(s, -RAY_ERANGE, "memory: from 1M to %uG", MEMORY_MAX_GIB);
	return err;
}

static int gpu_open(struct vattach *a, struct spec *s)
{
	struct quota_limits limits = {0};
	struct vgpu shape = {0}, *back;
	int err = size_read(s, &shape);

	if (!err)
		err = memory_read(s, &limits);
	if (!err)
		err = spec_size(s, "rate", &limits.bytes_per_second);
	if (err || !a)
		return err;
	back = kzalloc(sizeof(*back), MEM_VDEV);
	if (!back)
		return -RAY_ENOMEM;
	*back = shape;
	a->back = back;
	vhandler_limit(&a->handler, &limits);
	return 0;
}

static void gpu_close(struct vattach *a)
{
	kfree(a->back);
}

static int gpu_create(struct vattach *a, struct virtio_dev **out)
{
	const struct virtio_init init = {.ops = &gpu_ops, .attach = a, .queues = VGPU_QUEUES,
					 .queue_sizes = (const uint16_t[VGPU_QUEUES]){256, 16},
					 .features = VGPU_F_EDID, .config_size = CONFIG_LEN};
	struct vgpu_dev *g = kzalloc(sizeof(*g), MEM_VDEV);
	int err = g ? virtio_dev_init(&g->v, a->vm, &init) : -RAY_ENOMEM;

	if (err) {
		kfree(g);
		return err;
	}
	g->back = a->back;
	g->v.config[CONFIG_SCANOUTS] = 1;
	vgpu_set_init(&g->set, &a->handler.quota);
	*out = &g->v;
	return 0;
}

static void gpu_describe(struct vattach *a, char *buf, size_t len)
{
	const struct vgpu *back = a->back;
	uint32_t width, height;
	size_t n = ray_scnprintf(buf, len, "%ux%u, ", back->width, back->height);

	if (vgpu_size(a, &width, &height))
		n += ray_scnprintf(buf + n, len - n, "shows %ux%u", width, height);
	else
		n += ray_scnprintf(buf + n, len - n, "shows nothing");
	ray_snprintf(buf + n, len - n, ", %lu KiB of resources, %lu frames",
		     (unsigned long)(quota_in_use(&a->handler.quota) / KIB(1)),
		     (unsigned long)back->frames);
}

static const struct vhandler_verb_name gpu_verbs[] = {
	{"create", POLICY_CREATE}, {"destroy", POLICY_DESTROY}, {"transfer", POLICY_TRANSFER},
	{"flush", POLICY_FLUSH}, {"configure", POLICY_CONFIGURE}, {0}};

static const struct vkind vkind_gpu = {
	.name = "gpu",
	.summary = "a display, 2D",
	.options = "size=WIDTHxHEIGHT, memory=SIZE of resources, rate=BYTES a second",
	.example = "size=1280x800",
	.policy = POLICY_GPU,
	.verbs = gpu_verbs,
	.open = gpu_open,
	.close = gpu_close,
	.create = gpu_create,
	.describe = gpu_describe,
};
VKIND(gpu);

struct vattach *vgpu_find(struct vm *vm)
{
	struct vattach *a;

	list_for_each_entry(a, &vm->attached, node) {
		if (a->kind == &vkind_gpu)
			return a;
	}
	return NULL;
}
