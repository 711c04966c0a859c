/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyboards: keys that go down and up become what the console reads, as a terminal would send it.
 * Owns: the layout (US), which keys are held. Must not know: any keyboard's wire.
 * Keys have the numbers of USB's keyboard page (HID Usage Tables 1.4, chapter 10).
 */
#ifndef RAYOS_KERNEL_INPUT_KEYBOARD_H
#define RAYOS_KERNEL_INPUT_KEYBOARD_H

#include "kernel/lib/types.h"

#define KEY_TEXT_MAX 8u /* bytes of a key's sequence, and its end */

enum {
	KEY_A = 0x04,
	KEY_1 = 0x1e,
	KEY_ENTER = 0x28,
	KEY_ESC = 0x29,
	KEY_BACKSPACE = 0x2a,
	KEY_TAB = 0x2b,
	KEY_SPACE = 0x2c,
	KEY_CAPS = 0x39,
	KEY_F1 = 0x3a,
	KEY_INSERT = 0x49,
	KEY_RIGHT = 0x4f,
	KEY_PAD_ENTER = 0x58,
	KEY_LEFT_CTRL = 0xe0, /* from here on modifiers, a bit each in what is held */
	KEY_RIGHT_META = 0xe7,
};

/* The modifiers that are held: bit 0 is KEY_LEFT_CTRL's; and the state of the caps lock. */
struct key_state {
	uint8_t held;
	bool caps;
};

/**
 * What a key stands for: characters, or a terminal's sequence (ECMA-48, as xterm has them).
 * Pure. Returns: its length; 0: it stands for nothing
 */
size_t key_text(const struct key_state *s, uint8_t key, char out[KEY_TEXT_MAX]);

/**
 * A key of any keyboard went down or up, or repeats itself (down once more).
 * Context: any but NMI. Trust: any number may come; those of no key are left alone
 */
void keyboard_key(uint8_t key, bool down);

#endif
