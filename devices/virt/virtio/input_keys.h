/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys by name and characters by key (US layout), as reports for an input device. Pure; any
 * context. Trust: texts are an operator's.
 */
#ifndef RAYOS_DEVICES_VIRT_VIRTIO_INPUT_KEYS_H
#define RAYOS_DEVICES_VIRT_VIRTIO_INPUT_KEYS_H

#include "devices/virt/virtio/input.h"

#define VINPUT_COMBO_MAX 8u /* keys held at once */

/* Reports under construction; they always fit into an empty device. */
struct vinput_reports {
	struct vinput_event ev[VINPUT_QUEUED];
	unsigned int count;
};

/** Append a report of one event. Pre: there is room for two more. */
void vinput_report(struct vinput_reports *r, uint16_t type, uint16_t code, uint32_t value);

/**
 * Keys pressed one after the other and released in reverse: "ctrl-alt-delete", "shift+a", "f1".
 * Names are joined by - or +; a key of a character goes by that character, those two by
 * "minus" and "plus".
 * Returns: 0, -RAY_EINVAL with @why
 */
int __must_check vinput_combo(struct vinput_reports *r, const char *text, char *why,
			      size_t why_len);

/** One character typed. 0 or -RAY_EINVAL (no key makes it). */
int __must_check vinput_char(struct vinput_reports *r, char c);

/** Names of keys for completion, NULL behind the last. */
const char *vinput_key_name(unsigned int n);

#endif
