/* SPDX-License-Identifier: Apache-2.0 */
/* What an input device says it is (virtio 1.2, 5.8.4 and 5.8.5.1). Pure tables. */
#include <string.h>

#include "devices/virt/virtio/input_priv.h"

#define BUS_VIRTUAL 0x06u
#define VENDOR      0x1af4u
#define VERSION     0x0001u

#define PROP_POINTER 0x00u
#define LED_SCROLL   0x02u
#define REP_MAX      0x01u /* delay and period */
#define KEY_ESC      1u
#define KEY_LAST     248u

/* All codes from @first to @last of event type @type. */
struct range {
	uint8_t type;
	uint16_t first, last;
};

static const struct range keyboard_ranges[] = {
	{VINPUT_EV_KEY, KEY_ESC, KEY_LAST},
	{VINPUT_EV_LED, 0, LED_SCROLL},
	{VINPUT_EV_REP, 0, REP_MAX}, /* the guest repeats keys by itself */
};
static const struct range tablet_ranges[] = {
	{VINPUT_EV_KEY, VINPUT_BTN_LEFT, VINPUT_BTN_EXTRA},
	{VINPUT_EV_REL, VINPUT_REL_WHEEL, VINPUT_REL_WHEEL},
	{VINPUT_EV_ABS, VINPUT_ABS_X, VINPUT_ABS_Y},
};
static const struct range mouse_ranges[] = {
	{VINPUT_EV_KEY, VINPUT_BTN_LEFT, VINPUT_BTN_EXTRA},
	{VINPUT_EV_REL, VINPUT_REL_X, VINPUT_REL_Y},
	{VINPUT_EV_REL, VINPUT_REL_WHEEL, VINPUT_REL_WHEEL},
};

static const struct role {
	const char *word, *name;
	const struct range *range;
	uint8_t ranges;
	bool pointer;
} roles[VINPUT_ROLES] = {
	[VINPUT_KEYBOARD] = {"keyboard", "RayOS keyboard", keyboard_ranges,
			     ARRAY_SIZE(keyboard_ranges), false},
	[VINPUT_TABLET] = {"tablet", "RayOS tablet", tablet_ranges, ARRAY_SIZE(tablet_ranges),
			   true},
	[VINPUT_MOUSE] = {"mouse", "RayOS mouse", mouse_ranges, ARRAY_SIZE(mouse_ranges), true},
};

const char *vinput_role_name(enum vinput_role role)
{
	return roles[role].word;
}

static uint8_t text(const char *s, uint8_t *data)
{
	size_t len = MIN(strlen(s), VINPUT_DATA_MAX);

	memcpy(data, s, len);
	return (uint8_t)len;
}

static void put16(uint8_t *data, uint16_t v)
{
	data[0] = (uint8_t)v;
	data[1] = (uint8_t)(v >> 8);
}

static uint8_t devids(enum vinput_role role, uint8_t *data)
{
	put16(data, BUS_VIRTUAL);
	put16(data + 2, VENDOR);
	put16(data + 4, (uint16_t)(role + 1));
	put16(data + 6, VERSION);
	return 8;
}

static uint8_t event_bits(const struct role *r, uint8_t type, uint8_t *data)
{
	unsigned int end = 0;

	for (unsigned int i = 0; i < r->ranges; i++) {
		if (r->range[i].type != type)
			continue;
		for (unsigned int code = r->range[i].first; code <= r->range[i].last; code++)
			data[code / 8] |= (uint8_t)BIT(code % 8);
		end = MAX(end, r->range[i].last / 8u + 1);
	}
	return (uint8_t)end;
}

/* struct virtio_input_absinfo: min, max, fuzz, flat, res, 32 bits each. */
static uint8_t abs_info(enum vinput_role role, uint8_t axis, uint8_t *data)
{
	if (role != VINPUT_TABLET || axis > VINPUT_ABS_Y)
		return 0;
	put16(data + 4, VINPUT_ABS_MAX);
	return 20;
}

uint8_t vinput_config(enum vinput_role role, const char *serial, uint8_t select, uint8_t subsel,
		      uint8_t *data)
{
	const struct role *r = &roles[role];

	memset(data, 0, VINPUT_DATA_MAX);
	if (select == VINPUT_SEL_EV_BITS)
		return event_bits(r, subsel, data);
	if (select == VINPUT_SEL_ABS_INFO)
		return abs_info(role, subsel, data);
	if (subsel != 0)
		return 0;
	switch (select) {
	case VINPUT_SEL_ID_NAME:
		return text(r->name, data);
	case VINPUT_SEL_ID_SERIAL:
		return text(serial, data);
	case VINPUT_SEL_ID_DEVIDS:
		return devids(role, data);
	case VINPUT_SEL_PROP_BITS:
		data[0] = BIT(PROP_POINTER);
		return r->pointer ? 1 : 0;
	default:
		return 0;
	}
}
