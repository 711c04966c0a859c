/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/virtio/input_keys.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"

#define KEY_MINUS      12u
#define KEY_EQUAL      13u
#define KEY_TAB        15u
#define KEY_ENTER      28u
#define KEY_LEFT_SHIFT 42u

/* Linux's codes (input-event-codes.h), which virtio 1.2 5.8 takes over. */
static const struct key {
	const char *name;
	uint16_t code;
} keys[] = {
	{"esc", 1},         {"minus", KEY_MINUS}, {"equal", KEY_EQUAL}, {"backspace", 14},
	{"tab", KEY_TAB},   {"enter", KEY_ENTER}, {"ctrl", 29},         {"shift", KEY_LEFT_SHIFT},
	{"rightshift", 54}, {"kpasterisk", 55},   {"alt", 56},          {"space", 57},
	{"capslock", 58},   {"f1", 59},           {"f2", 60},           {"f3", 61},
	{"f4", 62},         {"f5", 63},           {"f6", 64},           {"f7", 65},
	{"f8", 66},         {"f9", 67},           {"f10", 68},          {"numlock", 69},
	{"scrolllock", 70}, {"kp7", 71},          {"kp8", 72},          {"kp9", 73},
	{"kpminus", 74},    {"kp4", 75},          {"kp5", 76},          {"kp6", 77},
	{"kpplus", 78},     {"kp1", 79},          {"kp2", 80},          {"kp3", 81},
	{"kp0", 82},        {"kpdot", 83},        {"f11", 87},          {"f12", 88},
	{"kpenter", 96},    {"rightctrl", 97},    {"kpslash", 98},      {"sysrq", 99},
	{"altgr", 100},     {"home", 102},        {"up", 103},          {"pageup", 104},
	{"left", 105},      {"right", 106},       {"end", 107},         {"down", 108},
	{"pagedown", 109},  {"insert", 110},      {"delete", 111},      {"mute", 113},
	{"volumedown", 114}, {"volumeup", 115},   {"power", 116},       {"pause", 119},
	{"meta", 125},      {"rightmeta", 126},   {"menu", 127},
};

/* What the keys from @first on make, alone and with Shift. */
static const struct row {
	uint16_t first;
	const char *plain, *shifted;
} rows[] = {
	{2, "1234567890-=", "!@#$%^&*()_+"},
	{16, "qwertyuiop[]", "QWERTYUIOP{}"},
	{30, "asdfghjkl;'`", "ASDFGHJKL:\"~"},
	{43, "\\zxcvbnm,./", "|ZXCVBNM<>?"},
	{57, " ", ""},
};

const char *vinput_key_name(unsigned int n)
{
	return n < ARRAY_SIZE(keys) ? keys[n].name : NULL;
}

void vinput_report(struct vinput_reports *r, uint16_t type, uint16_t code, uint32_t value)
{
	r->ev[r->count++] = (struct vinput_event){.type = type, .code = code, .value = value};
	r->ev[r->count++] = (struct vinput_event){.type = VINPUT_EV_SYN};
}

static bool char_key(char c, uint16_t *code, bool *shift)
{
	if (c == '\n' || c == '\t') {
		*code = c == '\n' ? KEY_ENTER : KEY_TAB;
		*shift = false;
		return true;
	}
	for (unsigned int i = 0; c != '\0' && i < ARRAY_SIZE(rows); i++) {
		const char *plain = strchr(rows[i].plain, c), *shifted = strchr(rows[i].shifted, c);

		if (!plain && !shifted)
			continue;
		*shift = !plain;
		*code = (uint16_t)(rows[i].first +
				   (plain ? plain - rows[i].plain : shifted - rows[i].shifted));
		return true;
	}
	return false;
}

int vinput_char(struct vinput_reports *r, char c)
{
	uint16_t code;
	bool shift;

	if (!char_key(c, &code, &shift))
		return -RAY_EINVAL;
	if (shift)
		vinput_report(r, VINPUT_EV_KEY, KEY_LEFT_SHIFT, 1);
	vinput_report(r, VINPUT_EV_KEY, code, 1);
	vinput_report(r, VINPUT_EV_KEY, code, 0);
	if (shift)
		vinput_report(r, VINPUT_EV_KEY, KEY_LEFT_SHIFT, 0);
	return 0;
}

static bool key_find(const char *name, size_t len, uint16_t *code)
{
	bool shift;

	if (len == 1 && char_key(*name, code, &shift))
		return !shift;
	if (len == 4 && strncmp(name, "plus", 4) == 0) {
		*code = KEY_EQUAL; /* where + is, on the layout assumed */
		return true;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strlen(keys[i].name) == len && strncmp(keys[i].name, name, len) == 0) {
			*code = keys[i].code;
			return true;
		}
	}
	return false;
}

int vinput_combo(struct vinput_reports *r, const char *text, char *why, size_t why_len)
{
	uint16_t held[VINPUT_COMBO_MAX];
	unsigned int n = 0;
	const char *p = text;

	for (;;) {
		size_t len = 0;

		while (p[len] != '\0' && p[len] != '-' && p[len] != '+')
			len++;
		if (n == VINPUT_COMBO_MAX) {
			ray_snprintf(why, why_len, "more than %u keys at once", VINPUT_COMBO_MAX);
			return -RAY_EINVAL;
		}
		if (!key_find(p, len, &held[n])) {
			ray_snprintf(why, why_len, "no key '%.*s'", (int)MIN(len, 32u), p);
			return -RAY_EINVAL;
		}
		n++;
		if (p[len] == '\0')
			break;
		p += len + 1;
	}
	for (unsigned int i = 0; i < n; i++)
		vinput_report(r, VINPUT_EV_KEY, held[i], 1);
	while (n > 0)
		vinput_report(r, VINPUT_EV_KEY, held[--n], 0);
	return 0;
}
