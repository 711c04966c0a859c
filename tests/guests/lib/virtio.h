/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio driver for test guests (virtio 1.2 over PCI): finds devices, gives their BARs places,
 * negotiates, and fills rings. It does what it is told: a hostile guest tells it other things
 * than a driver would.
 */
#ifndef RAYOS_TESTS_GUESTS_VIRTIO_H
#define RAYOS_TESTS_GUESTS_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_NET      1u
#define VIRTIO_BLOCK    2u
#define VIRTIO_CONSOLE  3u
#define VIRTIO_ENTROPY  4u
#define VIRTIO_BALLOON  5u
#define VIRTIO_GPU      16u
#define VIRTIO_INPUT    18u
#define VIRTIO_SOCKET   19u
#define VIRTIO_METER    63u

#define VIRTIO_S_DRIVER_OK   0x04u
#define VIRTIO_S_FEATURES_OK 0x08u
#define VIRTIO_S_NEEDS_RESET 0x40u

#define VIRTIO_F_INDIRECT  (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)

#define VRING_NEXT     1u
#define VRING_WRITE    2u
#define VRING_INDIRECT 4u
#define VIRTIO_NO_VECTOR 0xffffu

/* struct virtio_pci_common_cfg (4.1.4.3): offsets */
enum virtio_common {
	COMMON_DFSELECT = 0, COMMON_DF = 4, COMMON_GFSELECT = 8, COMMON_GF = 12,
	COMMON_MSIX = 16, COMMON_NUMQ = 18, COMMON_STATUS = 20, COMMON_GENERATION = 21,
	COMMON_Q_SELECT = 22, COMMON_Q_SIZE = 24, COMMON_Q_MSIX = 26, COMMON_Q_ENABLE = 28,
	COMMON_Q_NOFF = 30, COMMON_Q_DESC = 32, COMMON_Q_AVAIL = 40, COMMON_Q_USED = 48,
};

struct virtio {
	uint8_t slot;       /* PCI device number */
	uint8_t msix;       /* offset of the MSI-X capability, 0: none */
	uint64_t bar[6];    /* where each stands; ports below 64 KiB */
	uint64_t common, isr, config, msix_table; /* addresses */
	uint64_t notify;    /* memory; queue n is at + n * notify_step */
	uint32_t notify_step;
	uint16_t notify_port; /* 0: none */
	uint64_t features;  /* negotiated */
};

struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct vring {
	struct virtio *v;
	uint16_t index, size;
	volatile struct vring_desc *desc;
	volatile uint16_t *avail; /* flags, idx, ring[size], used_event */
	volatile uint32_t *used;  /* flags | idx << 16, {id, len}[size], avail_event */
	uint16_t avail_idx, used_seen;
};

uint32_t pci_read(uint8_t slot, uint8_t offset);
void pci_write(uint8_t slot, uint8_t offset, uint32_t value);
/** Any width and offset, as a guest may: 1, 2 or 4 bytes at 0xCFC + offset % 4. */
void pci_write_sized(uint8_t slot, uint8_t offset, unsigned size, uint32_t value);

/** The n-th device of that type, its BARs placed, decoding and bus mastering on. False: none. */
bool virtio_find(unsigned type, unsigned n, struct virtio *v);

uint64_t virtio_read(const struct virtio *v, enum virtio_common reg, unsigned size);
void virtio_write(const struct virtio *v, enum virtio_common reg, unsigned size, uint64_t value);
uint8_t virtio_status(const struct virtio *v);
uint64_t virtio_offered(const struct virtio *v);
/** Reset, then up to FEATURES_OK with @features and VERSION_1. False: refused. */
bool virtio_negotiate(struct virtio *v, uint64_t features);
void virtio_driver_ok(const struct virtio *v);

/** Turn MSI-X on; entry @n sends @vector to APIC @apic. */
void virtio_msix(const struct virtio *v, unsigned n, uint8_t vector, uint32_t apic);

/** Rings of @size entries in memory of this library's; the device knows and enables them.
 *  @msix_entry  VIRTIO_NO_VECTOR: none. False: no such queue, or too large. */
bool vring_setup(struct vring *r, struct virtio *v, uint16_t index, uint16_t size,
		 uint16_t msix_entry);
/** Memory for buffers, never given back; zeroed. */
void *virtio_alloc(uint64_t bytes, uint64_t align);
/** Begin anew: all that was allocated is free. */
void virtio_alloc_reset(void);

static inline void vring_desc_set(struct vring *r, uint16_t i, const void *addr, uint32_t len,
				  uint16_t flags, uint16_t next)
{
	r->desc[i].addr = (uintptr_t)addr;
	r->desc[i].len = len;
	r->desc[i].flags = flags;
	r->desc[i].next = next;
}

/** Make a chain available; the device does not hear of it. */
static inline void vring_push(struct vring *r, uint16_t head)
{
	r->avail[2 + (r->avail_idx & (r->size - 1u))] = head;
	__atomic_store_n(&r->avail[1], ++r->avail_idx, __ATOMIC_RELEASE);
}

static inline void vring_kick_port(const struct vring *r)
{
	__asm__ volatile("outw %0, %1" : : "a"(r->index), "d"(r->v->notify_port) : "memory");
}

static inline void vring_kick_memory(const struct vring *r)
{
	*(volatile uint16_t *)(r->v->notify + r->index * r->v->notify_step) = r->index;
}

static inline uint16_t vring_used_idx(const struct vring *r)
{
	return (uint16_t)(__atomic_load_n(&r->used[0], __ATOMIC_ACQUIRE) >> 16);
}

/** Chains the device has used and this has not seen. */
static inline uint16_t vring_used_waiting(const struct vring *r)
{
	return (uint16_t)(vring_used_idx(r) - r->used_seen);
}

/** Take the next used one: its head, and *len. Pre: one waits. */
uint32_t vring_used_take(struct vring *r, uint32_t *len);
/** Kick by the port and wait until @n more are used. False: the device did not in time. */
bool vring_wait(struct vring *r, uint16_t n, uint64_t ticks);
/** Interrupts off for this queue, with and without EVENT_IDX. */
void vring_no_interrupt(struct vring *r);

#endif
