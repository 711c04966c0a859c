/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources of a 2D display (virtio 1.2, 5.7.6.8): pixels in host memory, and the guest memory
 * that stands behind them.
 * Owns: their memory and what it takes of the quota. Must not know: commands, screens.
 * Locking: the caller's; all of a device's resources are used by one thread at a time.
 *
 * Pixels lie in blocks of whole rows that come with the first write to them: what a guest makes
 * large and never draws on costs no memory, and no command has to clear megabytes.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_GPU_RES_H
#define RAYOS_DEVICES_VIRT_VIRTIO_GPU_RES_H

#include "hv/gmem.h"
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "security/quota.h"

#define VGPU_SIDE_MAX      16384u
#define VGPU_RESOURCES_MAX 4096u
#define VGPU_ENTRIES_MAX   16384u
#define VGPU_BUCKETS       64u

/* enum virtio_gpu_formats: bytes of a pixel in memory, in the order of the name. */
enum vgpu_format {
	VGPU_B8G8R8A8 = 1,
	VGPU_B8G8R8X8 = 2,
	VGPU_A8R8G8B8 = 3,
	VGPU_X8R8G8B8 = 4,
	VGPU_R8G8B8A8 = 67,
	VGPU_X8B8G8R8 = 68,
	VGPU_A8B8G8R8 = 121,
	VGPU_R8G8B8X8 = 134,
};

struct vgpu_rect {
	uint32_t x, y, width, height;
};

/* struct virtio_gpu_mem_entry, a copy of the guest's. */
struct vgpu_entry {
	uint64_t gpa;
	uint32_t len;
	uint32_t padding;
};

struct vgpu_res {
	struct list_head node;
	uint32_t id, format, width, height;
	uint32_t block_rows;  /* in a block */
	uint32_t blocks;
	unsigned int order;   /* of a block */
	uint64_t charged;     /* of the quota, without the entries */
	struct vgpu_entry *entry; /* NULL: no backing */
	uint32_t entries;
	uint64_t backing;     /* bytes, the entries' sum */
	hpa_t block[];        /* 0: never written, all zeros */
};

struct vgpu_set {
	struct list_head bucket[VGPU_BUCKETS];
	unsigned int count;
	struct quota *quota;
};

void vgpu_set_init(struct vgpu_set *s, struct quota *quota);
/** Destroy all. */
void vgpu_set_clear(struct vgpu_set *s);
/** Move all of @from, which is empty afterwards. Pre: @to is empty. */
void vgpu_set_move(struct vgpu_set *to, struct vgpu_set *from);

/** NULL: no such resource. */
struct vgpu_res *vgpu_res_find(const struct vgpu_set *s, uint32_t id);
/**
 * Make a resource of zeros.
 * Returns: 0, -RAY_EINVAL (format or size), -RAY_EEXIST (the number is taken, or 0), -RAY_ENOSPC
 *          (quota, or too many), -RAY_ENOMEM
 * Trust: all of it but @s
 */
int __must_check vgpu_res_create(struct vgpu_set *s, uint32_t id, uint32_t format, uint32_t width,
				 uint32_t height, struct vgpu_res **out);
void vgpu_res_destroy(struct vgpu_set *s, struct vgpu_res *r);

/** Room for @n entries, charged; the caller fills r->entry and calls vgpu_backing_check().
 *  0, -RAY_EINVAL (too many or none), -RAY_ENOSPC, -RAY_ENOMEM. Pre: no backing. */
int __must_check vgpu_backing_create(struct vgpu_set *s, struct vgpu_res *r, uint32_t n);
/** All entries in RAM? Sums them up. 0 or -RAY_EINVAL. Trust: the entries */
int __must_check vgpu_backing_check(const struct gmem *m, struct vgpu_res *r);
/** Forget the backing, if there is any. */
void vgpu_backing_destroy(struct vgpu_set *s, struct vgpu_res *r);

/** Is @rect inside, and not empty? Trust: @rect */
bool vgpu_res_holds(const struct vgpu_res *r, const struct vgpu_rect *rect);
/** A row of pixels, 4 bytes each; NULL: all zeros. */
const uint8_t *vgpu_res_row(const struct vgpu_res *r, uint32_t y);
/** A row to write to; NULL: no memory. */
uint8_t *vgpu_res_row_write(struct vgpu_res *r, uint32_t y);

/** @n pixels of @format as XRGB8888 with X = 0. @src  NULL: zeros */
void vgpu_pixels(uint32_t *dst, const uint8_t *src, uint32_t n, uint32_t format);
/** The alpha of a pixel, 255 for formats without. */
uint8_t vgpu_alpha(const uint8_t *pixel, uint32_t format);
bool vgpu_format_known(uint32_t format);

/* A copy from guest memory, in as many steps as it takes. */
struct vgpu_transfer {
	struct vgpu_res *res;
	struct vgpu_rect rect;
	uint64_t offset;  /* of the rectangle's first pixel in the backing */
	uint32_t row;     /* of the rectangle, the next */
	uint32_t entry;   /* of the backing, and the offset it begins at */
	uint64_t entry_at;
};

/** Check, and begin: 0 or -RAY_EINVAL. Trust: @rect and @offset. Pre: @r has a backing */
int __must_check vgpu_transfer_begin(struct vgpu_transfer *t, struct vgpu_res *r,
				     const struct vgpu_rect *rect, uint64_t offset);
/**
 * Copy rows until *budget bytes are used up (it goes down, perhaps below zero).
 * Returns: 0 done, 1 more to do, -RAY_EFAULT (the backing is no RAM any more), -RAY_ENOMEM
 * Context: epoch section
 */
int __must_check vgpu_transfer_step(struct vgpu_transfer *t, const struct gmem *m,
				    int64_t *budget);

#endif
