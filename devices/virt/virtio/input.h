/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input device (virtio 1.2, 5.8), seen from the host: whoever has keys and pointer moves for a
 * VM sends them here.
 * Owns: the events on their way, 64 at most. Must not know: where they come from.
 * Locking: callers hold vm->lock, which keeps attachment and device; the events are under the
 * lock of the event queue.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_INPUT_H
#define RAYOS_DEVICES_VIRT_VIRTIO_INPUT_H

#include "kernel/lib/types.h"

struct vattach;
struct vm;

#define VINPUT_QUEUED  64u
#define VINPUT_ABS_MAX 32767u /* right and lower edge of a tablet */

enum vinput_role { VINPUT_KEYBOARD, VINPUT_TABLET, VINPUT_MOUSE, VINPUT_ROLES };

/* Event types and codes are Linux's, as 5.8 has it. */
#define VINPUT_EV_SYN 0x00u
#define VINPUT_EV_KEY 0x01u
#define VINPUT_EV_REL 0x02u
#define VINPUT_EV_ABS 0x03u
#define VINPUT_EV_LED 0x11u
#define VINPUT_EV_REP 0x14u

#define VINPUT_REL_X      0x00u
#define VINPUT_REL_Y      0x01u
#define VINPUT_REL_WHEEL  0x08u
#define VINPUT_ABS_X      0x00u
#define VINPUT_ABS_Y      0x01u
#define VINPUT_BTN_LEFT   0x110u
#define VINPUT_BTN_RIGHT  0x111u
#define VINPUT_BTN_MIDDLE 0x112u
#define VINPUT_BTN_EXTRA  0x114u

/* As it stands in the guest's buffers (5.8.6); SYN with code 0 ends a report. */
struct vinput_event {
	uint16_t type, code;
	uint32_t value;
};
BUILD_ASSERT(sizeof(struct vinput_event) == 8, "5.8.6");

/** The word for a role in specifications. */
const char *vinput_role_name(enum vinput_role role);

/** The first input device of @vm in that role, NULL: none. Pre: vm->lock held. */
struct vattach *vinput_find(struct vm *vm, enum vinput_role role);

/**
 * Queue reports for the guest, in order.
 * @ev, @n  one or more whole reports, each ended by SYN
 * Returns: 0; -RAY_ENODEV: no driver uses the device; -RAY_ENOSPC: not all reports had room:
 *          one that had none was dropped as a whole and its events counted; -RAY_EINVAL: the
 *          last report has no end (nothing queued)
 * Context: thread, vm->lock held; never waits for the guest.
 */
int __must_check vinput_send(struct vattach *a, const struct vinput_event *ev, unsigned int n);

/** How many events would have room now. Context: as vinput_send(). */
unsigned int vinput_room(struct vattach *a);

/** The keyboard's lights as the guest set them: bit 0 num, 1 caps, 2 scroll. Context: as above. */
uint32_t vinput_leds(struct vattach *a);

#endif
