/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/input/keyboard.h"

#include <string.h>

#include "kernel/console.h"
#include "kernel/sched/spinlock.h"

#define CTRL  (BIT(0) | BIT(4))
#define SHIFT (BIT(1) | BIT(5))
#define ALT   BIT(2) /* the left one; the right one chooses characters that this layout has not */

static struct spinlock lock = SPINLOCK_INIT(LOCK_ORDER_NONE);
static struct key_state state;

/* From KEY_1 on: digits, what stands beside letters; '\0': not a character. */
static const char plain[] = "1234567890\r\x1b\x7f\t -=[]\\#;'`,./";
static const char shifted[] = "!@#$%^&*()\r\x1b\x7f\t _+{}|~:\"~<>?";
BUILD_ASSERT(sizeof(plain) == sizeof(shifted), "a key has both");

/* From KEY_INSERT on, those that move about. */
static const char *const moves[] = {
	"\x1b[2~", "\x1b[H", "\x1b[5~", "\x1b[3~", "\x1b[F", "\x1b[6~", /* to page down */
	"\x1b[C",  "\x1b[D", "\x1b[B",  "\x1b[A",
};
static const char *const functions[] = {
	"\x1bOP",   "\x1bOQ",   "\x1bOR",   "\x1bOS",   "\x1b[15~", "\x1b[17~",
	"\x1b[18~", "\x1b[19~", "\x1b[20~", "\x1b[21~", "\x1b[23~", "\x1b[24~",
};
/* The number pad from '/' on, as with its lock on. */
#define KEY_PAD 0x54u
static const char pad[] = "/*-+\r1234567890.";

static char letter(const struct key_state *s, uint8_t key)
{
	char c = (char)('a' + key - KEY_A);

	if (s->held & CTRL)
		return (char)(c & 0x1f);
	return ((s->held & SHIFT) != 0) != s->caps ? (char)(c - 'a' + 'A') : c;
}

/* Ctrl with what stands between '@' and '_', and the space bar, is a control character. */
static char other(const struct key_state *s, uint8_t key)
{
	size_t at = (size_t)key - KEY_1;
	char c = s->held & SHIFT ? shifted[at] : plain[at];

	if (!(s->held & CTRL))
		return c;
	if (c == ' ')
		return '\0';
	return c >= '@' && c <= '_' ? (char)(c & 0x1f) : c;
}

static size_t sequence(const char *text, char out[KEY_TEXT_MAX])
{
	size_t n = strlen(text);

	memcpy(out, text, n + 1);
	return n;
}

size_t key_text(const struct key_state *s, uint8_t key, char out[KEY_TEXT_MAX])
{
	size_t n = 0;

	if (key >= KEY_INSERT && key - KEY_INSERT < (int)ARRAY_SIZE(moves))
		return sequence(moves[key - KEY_INSERT], out);
	if (key >= KEY_F1 && key - KEY_F1 < (int)ARRAY_SIZE(functions))
		return sequence(functions[key - KEY_F1], out);
	/* Alt sends an escape first. */
	if (s->held & ALT)
		out[n++] = '\x1b';
	if (key >= KEY_A && key < KEY_1)
		out[n++] = letter(s, key);
	else if (key >= KEY_1 && key - KEY_1 < (int)sizeof(plain) - 1)
		out[n++] = other(s, key);
	else if (key >= KEY_PAD && key - KEY_PAD < sizeof(pad) - 1)
		out[n++] = pad[key - KEY_PAD];
	else
		return 0;
	return n;
}

/* Returns: bytes to be sent. */
static size_t key_locked(uint8_t key, bool down, char out[KEY_TEXT_MAX])
{
	if (key >= KEY_LEFT_CTRL && key <= KEY_RIGHT_META) {
		uint8_t bit = (uint8_t)BIT(key - KEY_LEFT_CTRL);

		state.held = down ? state.held | bit : (uint8_t)(state.held & ~bit);
		return 0;
	}
	if (!down)
		return 0;
	if (key == KEY_CAPS) {
		state.caps = !state.caps;
		return 0;
	}
	return key_text(&state, key, out);
}

void keyboard_key(uint8_t key, bool down)
{
	char text[KEY_TEXT_MAX];
	uint64_t flags = spin_lock_irqsave(&lock);
	size_t n = key_locked(key, down, text);

	spin_unlock_irqrestore(&lock, flags);
	if (n)
		console_input(text, n);
}
