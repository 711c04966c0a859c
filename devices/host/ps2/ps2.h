/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC's own keyboard, behind an 8042 (PS/2 Hardware Technical Reference), with the codes of
 * set 1 as that makes them.
 * Owns: the controller. Must not know: what keys mean.
 * Trust: any byte may come.
 */
#ifndef RAYOS_DEVICES_HOST_PS2_PS2_H
#define RAYOS_DEVICES_HOST_PS2_PS2_H

#include "kernel/lib/types.h"

/* Where a code of several bytes is. */
struct ps2_state {
	bool extended; /* 0xe0 came */
	uint8_t skip;  /* bytes of the pause key that are left */
};

/** A byte from the keyboard. Pure. Returns: a key of kernel/input/keyboard.h and *down; 0: none. */
uint8_t ps2_key(struct ps2_state *s, uint8_t byte, bool *down);

#endif
