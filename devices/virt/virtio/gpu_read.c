/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures of a guest's screen. They are taken on the VM's I/O thread, which also does the
 * guest's commands: no lock, and no command is ever half done in a picture.
 */
#include <string.h>

#include "devices/virt/attach.h"
#include "devices/virt/virtio/gpu_priv.h"
#include "kernel/lib/err.h"
#include "kernel/mm/vmap.h"

#define TRIES 8u

/* One colour of a cursor's pixel over the screen's. */
static uint32_t blend(uint32_t over, uint32_t under, unsigned int shift, uint32_t alpha)
{
	uint32_t a = over >> shift & 0xff, b = under >> shift & 0xff;

	return ((a * alpha + b * (255 - alpha) + 127) / 255) << shift;
}

static uint32_t pixel_over(uint32_t over, uint32_t under)
{
	uint32_t alpha = over >> 24;

	return blend(over, under, 16, alpha) | blend(over, under, 8, alpha) |
	       blend(over, under, 0, alpha);
}

static void compose_cursor(const struct vgpu_dev *g, uint32_t *dst)
{
	const struct vgpu_cursor *c = &g->cursor;

	for (uint32_t i = 0; i < VGPU_CURSOR_SIDE * VGPU_CURSOR_SIDE; i++) {
		/* Left of and above the screen these wrap to huge numbers. */
		uint32_t x = c->x - c->hot_x + i % VGPU_CURSOR_SIDE;
		uint32_t y = c->y - c->hot_y + i / VGPU_CURSOR_SIDE;
		uint32_t *p = dst + (size_t)y * g->shown.width + x;

		if (x < g->shown.width && y < g->shown.height)
			*p = pixel_over(c->argb[i], *p);
	}
}

void vgpu_compose(const struct vgpu_dev *g, uint32_t *dst)
{
	const struct vgpu_res *r = g->screen;

	for (uint32_t y = 0; y < g->shown.height; y++) {
		const uint8_t *row = vgpu_res_row(r, g->shown.y + y);

		vgpu_pixels(dst + (size_t)y * g->shown.width,
			    row ? row + (size_t)g->shown.x * 4 : NULL, g->shown.width, r->format);
	}
	if (g->cursor.visible)
		compose_cursor(g, dst);
}

static int shot_take(struct vgpu_shot *s)
{
	const struct vgpu_dev *g = s->g;
	bool fits = g->screen && s->width == g->shown.width && s->height == g->shown.height;

	if (!g->screen)
		return -RAY_ENOENT;
	s->width = g->shown.width;
	s->height = g->shown.height;
	if (!fits)
		return -RAY_ENOSPC;
	vgpu_compose(g, s->pixels);
	return 0;
}

/* Half a transfer is nothing to see, unless nobody will go on with it now. */
static bool in_between(const struct vgpu_dev *g)
{
	return g->busy && g->v.queue[VGPU_CONTROLQ].enabled && !g->v.broken;
}

static void shot_work(struct vio_work *w)
{
	struct vgpu_shot *s = container_of(w, struct vgpu_shot, work);
	struct virtio_dev *d = &s->g->v;

	mutex_lock(&d->status_lock); /* a driver's reset destroys resources */
	if (in_between(s->g)) {
		mutex_unlock(&d->status_lock);
		vio_queue(d->io, w);
		return;
	}
	s->err = shot_take(s);
	mutex_unlock(&d->status_lock);
	s->done = true;
	waitq_wake_all(&s->wait);
}

void vgpu_shot_begin(struct vgpu_dev *g, struct vgpu_shot *s)
{
	s->g = g;
	s->done = false;
	waitq_init(&s->wait);
	vio_work_init(&s->work, shot_work);
	vio_queue(g->v.io, &s->work);
}

int vgpu_shot_end(struct vgpu_shot *s)
{
	(void)wait_event(&s->wait, s->done, UINT64_MAX);
	vio_cancel(s->g->v.io, &s->work); /* the thread has left it too */
	return s->err;
}

/* --- the host's side --- */

bool vgpu_size(struct vattach *a, uint32_t *width, uint32_t *height)
{
	uint64_t size = a->dev ? __atomic_load_n(&vgpu_of(a->dev)->size, __ATOMIC_RELAXED) : 0;

	*width = (uint32_t)(size >> 32);
	*height = (uint32_t)size;
	return size != 0;
}

int vgpu_read(struct vattach *a, struct vgpu_picture *out)
{
	struct vgpu_shot s = {.pixels = NULL};
	int err = -RAY_ENOENT;

	for (unsigned int i = 0; a->dev && i < TRIES; i++) {
		vgpu_shot_begin(vgpu_of(a->dev), &s);
		err = vgpu_shot_end(&s);
		if (err != -RAY_ENOSPC)
			break;
		vmap_free(s.pixels);
		s.pixels = vmap_alloc((size_t)s.width * s.height * sizeof(*s.pixels));
		if (!s.pixels) {
			err = -RAY_ENOMEM;
			break;
		}
	}
	if (err) {
		vmap_free(s.pixels);
		return err == -RAY_ENOSPC ? -RAY_EAGAIN : err;
	}
	*out = (struct vgpu_picture){.width = s.width, .height = s.height, .pixels = s.pixels};
	return 0;
}

void vgpu_picture_free(struct vgpu_picture *p)
{
	vmap_free(p->pixels);
	p->pixels = NULL;
}
