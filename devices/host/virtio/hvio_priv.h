/* SPDX-License-Identifier: Apache-2.0 */
/* What the transport and the rings of devices/host/virtio/ share. */
#ifndef RAYOS_DEVICES_HOST_VIRTIO_HVIO_PRIV_H
#define RAYOS_DEVICES_HOST_VIRTIO_HVIO_PRIV_H

#include "devices/host/virtio/hvio.h"

/* Where a queue lies, for the device. */
struct hvio_queue_place {
	uint16_t size, vector;
	uint64_t desc, avail, used;
};

/** How many descriptors the device lets queue @index have; 0: no such queue. */
uint16_t hvio_queue_size(const struct hvio *v, uint16_t index);
/** Tell the device; *notify: offset of the queue's doorbell. 0, -RAY_EIO (it refuses). */
int __must_check hvio_queue_enable(const struct hvio *v, uint16_t index,
				   const struct hvio_queue_place *p, uint32_t *notify);

#endif
