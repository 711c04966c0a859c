/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every device of a VM (interrupt controllers included) has in common: it can be
 * quiesced, saved, loaded, reset and destroyed.
 */
#ifndef RAYOS_HV_VDEV_H
#define RAYOS_HV_VDEV_H

#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

struct vm;
struct vdev;

/*
 * A byte buffer of one state record: fixed little-endian fields in a fixed order, written with
 * state_put_* and read back with state_get_*. Reading past the end sets `bad`; a loader checks
 * it once at the end, before it applies anything. Writing into a buffer without data only
 * counts: how large one has to be.
 */
struct state_buf {
	uint8_t *data;
	size_t cap;  /* bytes */
	size_t len;  /* written */
	size_t pos;  /* read */
	bool bad;    /* overflow or underflow */
};
void state_put(struct state_buf *b, const void *p, size_t n);
void state_put_u8(struct state_buf *b, uint8_t v);
void state_put_u16(struct state_buf *b, uint16_t v);
void state_put_u32(struct state_buf *b, uint32_t v);
void state_put_u64(struct state_buf *b, uint64_t v);
void state_get(struct state_buf *b, void *p, size_t n);
uint8_t state_get_u8(struct state_buf *b);
uint16_t state_get_u16(struct state_buf *b);
uint32_t state_get_u32(struct state_buf *b);
uint64_t state_get_u64(struct state_buf *b);

struct vdev_ops {
	const char *name;       /* "uart16550", "ioapic": the record's type */
	uint32_t state_version; /* of the record written by save */
	/** Stop timers and workers; no guest-visible change. vCPUs are stopped already. */
	void (*quiesce)(struct vdev *d);
	/** Continue after quiesce (or after load). */
	void (*resume)(struct vdev *d);
	/** Pre: quiesced. */
	void (*save)(struct vdev *d, struct state_buf *b);
	/** Decode completely, then apply. 0 or -RAY_EINVAL (nothing changed). Trust: the record. */
	int (*load)(struct vdev *d, struct state_buf *b, uint32_t version);
	void (*reset)(struct vdev *d);
	/** Unregister and free. Pre: no vCPU of the VM runs. */
	void (*destroy)(struct vdev *d);
};

struct vdev {
	const struct vdev_ops *ops;
	struct vm *vm;
	uint32_t instance;
	struct list_head node; /* vm->vdevs, creation order */
};

/** Attach to the VM's device list. */
void vdev_register(struct vm *vm, struct vdev *d, const struct vdev_ops *ops, uint32_t instance);

#endif
