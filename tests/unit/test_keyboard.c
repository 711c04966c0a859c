/* UNIT: kernel/input/keyboard.c devices/host/ps2/ps2_key.c */
// SPDX-License-Identifier: Apache-2.0
/* Keys as characters, and the codes of the PC's own keyboard as keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/host/ps2/ps2.h"
#include "kernel/console.h"
#include "kernel/input/keyboard.h"
#include "tests/host/fake_lock.h"

static char typed[256];
static size_t typed_len;

void console_input(const char *s, size_t len)
{
	assert_true(typed_len + len < sizeof(typed));
	memcpy(typed + typed_len, s, len);
	typed_len += len;
	typed[typed_len] = '\0';
}

static int setup(void **state)
{
	(void)state;
	typed_len = 0;
	typed[0] = '\0';
	return 0;
}

/* Bytes of the wire. */
static void wire(const uint8_t *p, size_t len)
{
	static struct ps2_state s;

	for (size_t i = 0; i < len; i++) {
		bool down;
		uint8_t key = ps2_key(&s, p[i], &down);

		if (key)
			keyboard_key(key, down);
	}
}
#define WIRE(...) wire((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void test_letters_and_shift(void **state)
{
	(void)state;
	WIRE(0x23, 0xa3, 0x12, 0x92);                         /* h e */
	WIRE(0x2a, 0x26, 0xa6, 0xaa, 0x26, 0xa6);             /* shift l, l */
	WIRE(0x36, 0x02, 0x82, 0xb6, 0x02, 0x82, 0x1c, 0x9c); /* right shift 1, 1, enter */
	assert_string_equal(typed, "heLl!1\r");
}

static void test_caps_lock(void **state)
{
	(void)state;
	WIRE(0x3a, 0xba, 0x1e, 0x9e, 0x02, 0x82, 0x2a, 0x1e, 0x9e, 0xaa, 0x3a, 0xba, 0x1e, 0x9e);
	assert_string_equal(typed, "A1aa");
}

static void test_control_and_alt(void **state)
{
	(void)state;
	WIRE(0x1d, 0x2e, 0xae, 0x1b, 0x9b, 0x9d);             /* ctrl c, ctrl ] */
	WIRE(0xe0, 0x1d, 0x20, 0xa0, 0xe0, 0x9d, 0x20, 0xa0); /* right ctrl d, d */
	WIRE(0x38, 0x30, 0xb0, 0xb8);                         /* alt b */
	assert_string_equal(typed, "\x03\x1d\x04" "d\x1b" "b");
}

static void test_sequences(void **state)
{
	(void)state;
	WIRE(0xe0, 0x48, 0xe0, 0xc8, 0xe0, 0x53, 0xe0, 0xd3, 0x3b, 0xbb); /* up, delete, F1 */
	WIRE(0x0e, 0x8e, 0x01, 0x81);                                     /* backspace, escape */
	WIRE(0x48, 0xc8, 0xe0, 0x1c, 0xe0, 0x9c);                         /* the pad's 8 and enter */
	assert_string_equal(typed, "\x1b[A\x1b[3~\x1bOP\x7f\x1b" "8\r");
}

/* A key that is held comes again and again; the pause key is six bytes of nothing. */
static void test_repeats_and_pause(void **state)
{
	(void)state;
	WIRE(0x1e, 0x1e, 0x1e, 0x9e);
	WIRE(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
	WIRE(0x30, 0xb0);
	assert_string_equal(typed, "aaab");
}

/* Whatever comes, at most one short sequence is typed for a byte. */
static void test_any_bytes(void **state)
{
	(void)state;
	for (unsigned int first = 0; first < 256; first++) {
		for (unsigned int second = 0; second < 256; second++) {
			typed_len = 0;
			WIRE((uint8_t)first, (uint8_t)second);
			assert_true(typed_len <= 2 * KEY_TEXT_MAX);
		}
	}
	for (unsigned int key = 0; key < 256; key++) {
		for (unsigned int held = 0; held < 256; held++) {
			const struct key_state s = {.held = (uint8_t)held};
			char out[KEY_TEXT_MAX];

			assert_true(key_text(&s, (uint8_t)key, out) < KEY_TEXT_MAX);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_letters_and_shift, setup),
		cmocka_unit_test_setup(test_caps_lock, setup),
		cmocka_unit_test_setup(test_control_and_alt, setup),
		cmocka_unit_test_setup(test_sequences, setup),
		cmocka_unit_test_setup(test_repeats_and_pause, setup),
		cmocka_unit_test_setup(test_any_bytes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
