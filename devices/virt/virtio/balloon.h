/* SPDX-License-Identifier: Apache-2.0 */
/* What the balloon tells the shell, and what it is told. */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_BALLOON_H
#define RAYOS_DEVICES_VIRT_VIRTIO_BALLOON_H

#include "devices/virt/attach.h"
#include "kernel/lib/types.h"

/* Statistics of the driver (virtio 1.2, 5.5.6.3), by tag. */
#define VBALLOON_STATS 10u

struct vballoon_info {
	uint64_t target;   /* bytes that the guest should give */
	uint64_t actual;   /* bytes that it says it has given */
	uint64_t held;     /* bytes in the balloon by our own count */
	uint64_t returned; /* bytes given back to the host so far, reports of free pages included */
	bool reporting;    /* the driver reports free pages */
	bool stats_known;
	uint64_t stats[VBALLOON_STATS]; /* UINT64_MAX: not told */
};

/** The VM's balloon, NULL: it has none. Context: vm->lock. */
struct vattach *vballoon_find(struct vm *vm);
/** Ask the driver for fresh statistics; they come when it has time. Context: vm->lock. */
void vballoon_ask(struct vattach *a);
/** Context: vm->lock. False: there is no device just now. */
bool vballoon_info(struct vattach *a, struct vballoon_info *out);
/** Ask the guest to give @bytes (page multiple) in all. Context: vm->lock. */
void vballoon_target_set(struct vattach *a, uint64_t bytes);

#endif
