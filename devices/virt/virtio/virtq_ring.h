/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of split rings in guest memory (virtio 1.2, 2.7), for the files that look into them.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_VIRTQ_RING_H
#define RAYOS_DEVICES_VIRT_VIRTIO_VIRTQ_RING_H

#include "kernel/lib/types.h"
#include "kernel/lib/virtio_abi.h"

/* Descriptor (2.7.5): address, length, flags and, in their upper half here, next. */
#define DESC_SIZE     16u
#define DESC_NEXT     VIRTIO_DESC_NEXT
#define DESC_WRITE    VIRTIO_DESC_WRITE
#define DESC_INDIRECT VIRTIO_DESC_INDIRECT
#define DESC_KIND     (DESC_NEXT | DESC_WRITE | DESC_INDIRECT)
#define DESC_NEXT_SHIFT 16u

/* Rings: flags u16, idx u16, then entries, then the other side's event index (2.7.6, 2.7.8). */
#define RING_FLAGS    0u
#define RING_IDX      2u
#define RING_ENTRIES  4u
#define AVAIL_ENTRY   2u
#define USED_ENTRY    8u
#define AVAIL_NO_INTERRUPT 1u

typedef volatile uint32_t ring32;
typedef volatile uint64_t ring64;

/* What a descriptor says. */
struct desc {
	uint64_t addr;
	uint32_t len;
	uint32_t flags; /* and the next one's index above them */
};

/** A descriptor of its two words, each of which has been read once. */
static __force_inline struct desc desc_make(uint64_t addr, uint64_t rest)
{
	return (struct desc){.addr = addr, .len = (uint32_t)rest, .flags = (uint32_t)(rest >> 32)};
}

#endif
