/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block device: requests under way on a back end that ends them later.
 * Owns: the contract between blk.c, which checks requests, and blk_flight.c, which has them done.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_BLK_FLIGHT_H
#define RAYOS_DEVICES_VIRT_VIRTIO_BLK_FLIGHT_H

#include "devices/virt/virtio/blk.h"

struct vblk_flights; /* those of one queue */

/** NULL: no memory. Context: thread. */
struct vblk_flights *vblk_flights_create(struct vblk *b, struct virtq *q) __must_check;
/** Pre: drained. @fs may be NULL. */
void vblk_flights_destroy(struct vblk_flights *fs);
/** struct virtio_ops.serve() where the back end has begin(). */
enum virtq_result vblk_flights_serve(struct vblk *b, struct virtq *q);
/** The VM goes on after a pause: requests that wait for space are begun again. */
void vblk_flights_resume(struct vblk_flights *fs);
/** Those that wait, in a record; @fs may be NULL. Pre: drained. */
void vblk_flights_save(const struct vblk_flights *fs, struct state_buf *b);
/** The reverse; without @apply it is looked at only. False: it does not fit. Trust: the record */
bool vblk_flights_load(struct vblk_flights *fs, struct state_buf *b, bool apply);
/**
 * Wait until nothing is under way any more.
 * @tell  the driver gets the chains back; else nobody is to hear of them
 * Pre: the queue is off. Context: thread, may sleep as long as the disk's time-outs are.
 */
void vblk_flights_drain(struct vblk_flights *fs, bool tell);

#endif
