/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Display of a guest (virtio-gpu, 2D), seen from the host: what its screen shows, as pixels.
 * Owns: pictures taken of it. Must not know: what is done with them.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_GPU_H
#define RAYOS_DEVICES_VIRT_VIRTIO_GPU_H

#include "kernel/lib/types.h"

struct vattach;
struct vm;

struct vgpu_picture {
	uint32_t width, height;
	uint32_t *pixels; /* rows from the top, XRGB8888 with X = 0, no gaps between rows */
};

/** The first display of @vm, NULL: none. Pre: vm->lock held. */
struct vattach *vgpu_find(struct vm *vm);

/** Size of what the screen shows now. False: the guest shows nothing. Pre: vm->lock held. */
bool vgpu_size(struct vattach *a, uint32_t *width, uint32_t *height);

/**
 * Take a picture of the screen, the cursor in it: as it is between two of the guest's commands,
 * never in the middle of one, whether the VM runs or is paused.
 * Returns: 0 and *out, to be given to vgpu_picture_free(); -RAY_ENOENT: the guest shows nothing;
 *          -RAY_ENOMEM; -RAY_EAGAIN: the screen changes its size all the time
 * Context: thread, vm->lock held, no other lock; waits for the VM's I/O thread
 */
int __must_check vgpu_read(struct vattach *a, struct vgpu_picture *out);
void vgpu_picture_free(struct vgpu_picture *p);

#endif
