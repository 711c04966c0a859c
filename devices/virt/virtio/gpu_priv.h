/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the display device share. */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_GPU_PRIV_H
#define RAYOS_DEVICES_VIRT_VIRTIO_GPU_PRIV_H

#include "devices/virt/virtio/gpu.h"
#include "devices/virt/virtio/gpu_res.h"
#include "devices/virt/virtio/virtio.h"

#define VGPU_CONTROLQ 0u
#define VGPU_CURSORQ  1u
#define VGPU_QUEUES   2u

#define VGPU_F_EDID BIT(1)

/* enum virtio_gpu_ctrl_type (5.7.6.7), as far as it goes without 3D. */
enum vgpu_type {
	VGPU_GET_DISPLAY_INFO = 0x0100,
	VGPU_RESOURCE_CREATE_2D,
	VGPU_RESOURCE_UNREF,
	VGPU_SET_SCANOUT,
	VGPU_RESOURCE_FLUSH,
	VGPU_TRANSFER_TO_HOST_2D,
	VGPU_RESOURCE_ATTACH_BACKING,
	VGPU_RESOURCE_DETACH_BACKING,
	VGPU_GET_EDID = 0x010a,
	VGPU_UPDATE_CURSOR = 0x0300,
	VGPU_MOVE_CURSOR,
	VGPU_OK_NODATA = 0x1100,
	VGPU_OK_DISPLAY_INFO,
	VGPU_OK_EDID = 0x1104,
	VGPU_ERR_UNSPEC = 0x1200,
	VGPU_ERR_OUT_OF_MEMORY,
	VGPU_ERR_INVALID_SCANOUT_ID,
	VGPU_ERR_INVALID_RESOURCE_ID,
	VGPU_ERR_INVALID_CONTEXT_ID,
	VGPU_ERR_INVALID_PARAMETER,
};

#define VGPU_FLAG_FENCE BIT(0)

/* struct virtio_gpu_ctrl_hdr (5.7.6.7) */
struct vgpu_hdr {
	uint32_t type, flags;
	uint64_t fence_id;
	uint32_t ctx_id;
	uint8_t ring_idx, padding[3];
};
BUILD_ASSERT(sizeof(struct vgpu_hdr) == 24, "5.7.6.7");

/* What follows the header in the commands that have a body; the layouts are the guest's. */
union vgpu_body {
	struct {
		uint32_t id, format, width, height;
	} create;
	struct {
		uint32_t id, padding;
	} unref, detach;
	struct {
		struct vgpu_rect rect;
		uint32_t scanout, id;
	} scanout;
	struct {
		struct vgpu_rect rect;
		uint32_t id, padding;
	} flush;
	struct {
		struct vgpu_rect rect;
		uint64_t offset;
		uint32_t id, padding;
	} transfer;
	struct {
		uint32_t id, entries;
	} attach;
	struct {
		uint32_t scanout, padding;
	} edid;
	struct {
		uint32_t scanout, x, y, padding;
		uint32_t id, hot_x, hot_y, padding2;
	} cursor;
};

#define VGPU_EDID_SIZE 128u
#define VGPU_EDID_ROOM 1024u
#define VGPU_SCANOUTS_MAX 16u /* entries of a display-info response; we fill the first */

struct vgpu_display_info {
	struct {
		struct vgpu_rect rect;
		uint32_t enabled, flags;
	} mode[VGPU_SCANOUTS_MAX];
};
struct vgpu_edid_reply {
	uint32_t size, padding;
	uint8_t edid[VGPU_EDID_ROOM];
};
union vgpu_reply {
	struct vgpu_display_info info;
	struct vgpu_edid_reply edid;
};

#define VGPU_CURSOR_SIDE 64u

/* The pointer's image is a copy of its resource at the time of UPDATE_CURSOR (5.7.6.10). */
struct vgpu_cursor {
	bool visible;
	uint32_t x, y, hot_x, hot_y;
	uint32_t argb[VGPU_CURSOR_SIDE * VGPU_CURSOR_SIDE];
};

/* Behind an attachment. */
struct vgpu {
	uint32_t width, height; /* of the display */
	uint64_t frames;        /* flushes of what the screen shows, since the attachment exists */
};

/*
 * All but `v` is used by whoever serves a queue, which is always the VM's I/O thread, and by
 * reset and load, when queues are off; a picture is taken on the I/O thread too, under
 * status_lock, which keeps a reset away.
 */
struct vgpu_dev {
	struct virtio_dev v;
	struct vgpu *back;
	struct vgpu_set set;
	struct vgpu_res *screen; /* what the scanout shows, NULL: nothing */
	struct vgpu_rect shown;  /* which part of it */
	uint64_t size;           /* its width << 32 | height for anybody to read; 0: nothing */
	struct vgpu_cursor cursor;
	/* A transfer that takes several turns; its chain is not taken before the end. */
	bool busy;
	struct vgpu_hdr hdr;     /* its request */
	struct vgpu_transfer transfer;
	uint64_t begun;          /* TSC */
	union vgpu_reply reply;  /* of the command being done */
};

static inline struct vgpu_dev *vgpu_of(struct virtio_dev *d)
{
	return container_of(d, struct vgpu_dev, v);
}

/** The base block of a display of that size; at most 4095 pixels a side. */
void vgpu_edid(uint8_t out[VGPU_EDID_SIZE], uint32_t width, uint32_t height);

/**
 * Serve both queues: gpu_cmd.c. Context and returns: as virtio_ops.serve, without @fast.
 * Trust: everything in the queue
 */
enum virtq_result vgpu_serve(struct vgpu_dev *g, struct virtq *q);

/** Show that part of @r, or nothing (NULL). Context: as vgpu_serve(). */
void vgpu_show(struct vgpu_dev *g, struct vgpu_res *r, const struct vgpu_rect *rect);

/** Nothing is shown, no resource exists. Pre: nobody serves. */
void vgpu_clear(struct vgpu_dev *g);

void vgpu_save(struct virtio_dev *d, struct state_buf *b);
int __must_check vgpu_load(struct virtio_dev *d, struct state_buf *b, uint32_t version);

/** The screen without the cursor, then the cursor into it; @dst holds shown.width * height. */
void vgpu_compose(const struct vgpu_dev *g, uint32_t *dst);

/* One attempt at vgpu_read(), in two halves: queue it for the I/O thread, and wait for it. */
struct vgpu_shot {
	struct vio_work work;
	struct vgpu_dev *g;
	uint32_t *pixels;       /* room for width * height */
	uint32_t width, height; /* in: what the room is for; out: what the screen has */
	int err;                /* 0; -RAY_ENOSPC: another size; -RAY_ENOENT: nothing is shown */
	volatile bool done;
	struct waitq wait;
};
void vgpu_shot_begin(struct vgpu_dev *g, struct vgpu_shot *s);
int vgpu_shot_end(struct vgpu_shot *s);

#endif
