// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/smbios/smbios.h"

/* DSP0134 5.2.2 and 5.2.1 */
#define EP3_LEN      0x18u
#define EP3_MAJOR    0x07u
#define EP3_MAX_SIZE 0x0cu
#define EP3_ADDR     0x10u
#define EP2_LEN      0x1fu
#define EP2_LEN_OLD  0x1eu /* 2.1 implementations give the length wrong */
#define EP2_MAJOR    0x06u
#define EP2_DMI      0x10u
#define EP2_SIZE     0x16u
#define EP2_ADDR     0x18u
#define EP2_COUNT    0x1cu

#define HDR_LEN 4u

enum { TYPE_BIOS = 0, TYPE_SYSTEM = 1, TYPE_END = 127 };

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	for (size_t i = 0; i < len; i++)
		s = (uint8_t)(s + p[i]);
	return s;
}

static int entry3_parse(const uint8_t *p, size_t len, struct smbios_entry *out)
{
	uint8_t ep_len;

	if (len < EP3_LEN)
		return -RAY_EPROTO;
	ep_len = p[6];
	if (ep_len < EP3_LEN || ep_len > len || sum(p, ep_len) != 0)
		return -RAY_EPROTO;
	out->major = p[EP3_MAJOR];
	out->minor = p[EP3_MAJOR + 1];
	memcpy(&out->table_len, p + EP3_MAX_SIZE, sizeof(out->table_len));
	memcpy(&out->table, p + EP3_ADDR, sizeof(out->table));
	out->count = UINT32_MAX;
	return 0;
}

static int entry2_parse(const uint8_t *p, size_t len, struct smbios_entry *out)
{
	uint16_t table_len, count;
	uint32_t addr;

	if (len < EP2_LEN)
		return -RAY_EPROTO;
	if ((p[5] != EP2_LEN && p[5] != EP2_LEN_OLD) || sum(p, EP2_LEN) != 0 ||
	    memcmp(p + EP2_DMI, "_DMI_", 5) != 0)
		return -RAY_EPROTO;
	memcpy(&table_len, p + EP2_SIZE, sizeof(table_len));
	memcpy(&addr, p + EP2_ADDR, sizeof(addr));
	memcpy(&count, p + EP2_COUNT, sizeof(count));
	*out = (struct smbios_entry){.table = addr,
				     .table_len = table_len,
				     .count = count,
				     .major = p[EP2_MAJOR],
				     .minor = p[EP2_MAJOR + 1]};
	return 0;
}

int smbios_entry_parse(const void *p, size_t len, struct smbios_entry *out)
{
	struct smbios_entry e;
	int err = -RAY_EPROTO;

	if (len >= 5 && memcmp(p, "_SM3_", 5) == 0)
		err = entry3_parse(p, len, &e);
	else if (len >= 4 && memcmp(p, "_SM_", 4) == 0)
		err = entry2_parse(p, len, &e);
	if (err)
		return err;
	if (e.table == 0 || e.table_len == 0)
		return -RAY_EPROTO;
	if (e.table_len > SMBIOS_TABLE_MAX)
		e.table_len = SMBIOS_TABLE_MAX;
	*out = e;
	return 0;
}

/*
 * Copy string number @index (1-based; 0: none) of a structure. Blanks around it go, anything
 * not printable becomes '?': the text ends on a terminal.
 */
static void text_copy(char out[SMBIOS_TEXT_MAX], const uint8_t *strings, size_t len, uint8_t index)
{
	size_t pos = 0, end, n = 0;

	out[0] = '\0';
	if (index == 0)
		return;
	for (uint8_t i = 1;; i++) {
		end = pos;
		while (end < len && strings[end] != 0)
			end++;
		if (end == len || end == pos) /* unterminated, or past the last string */
			return;
		if (i == index)
			break;
		pos = end + 1;
	}
	while (pos < end && strings[pos] == ' ')
		pos++;
	while (end > pos && strings[end - 1] == ' ')
		end--;
	for (; pos < end && n < SMBIOS_TEXT_MAX - 1; pos++)
		out[n++] = strings[pos] >= 0x20 && strings[pos] < 0x7f ? (char)strings[pos] : '?';
	out[n] = '\0';
}

/* Length of the string set after the formatted part, its final NUL pair included; 0: none. */
static size_t strings_len(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (p[i] == 0 && p[i + 1] == 0)
			return i + 2;
	}
	return 0;
}

static void structure_read(const uint8_t *s, const uint8_t *strings, size_t len,
			   struct smbios_info *out)
{
	static const struct {
		uint8_t type, offset;
		uint16_t field;
	} texts[] = {
		{TYPE_BIOS, 0x04, offsetof(struct smbios_info, bios_vendor)},
		{TYPE_BIOS, 0x05, offsetof(struct smbios_info, bios_version)},
		{TYPE_BIOS, 0x08, offsetof(struct smbios_info, bios_date)},
		{TYPE_SYSTEM, 0x04, offsetof(struct smbios_info, vendor)},
		{TYPE_SYSTEM, 0x05, offsetof(struct smbios_info, product)},
		{TYPE_SYSTEM, 0x06, offsetof(struct smbios_info, version)},
		{TYPE_SYSTEM, 0x07, offsetof(struct smbios_info, serial)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (s[0] == texts[i].type && s[1] > texts[i].offset)
			text_copy((char *)out + texts[i].field, strings, len, s[texts[i].offset]);
	}
}

void smbios_table_parse(const void *p, size_t len, uint32_t count, struct smbios_info *out)
{
	const uint8_t *b = p;
	uint8_t major = out->major, minor = out->minor;
	size_t pos = 0;

	memset(out, 0, sizeof(*out));
	out->major = major;
	out->minor = minor;
	for (uint32_t i = 0; i < count && len - pos >= HDR_LEN; i++) {
		uint8_t type = b[pos], hdr = b[pos + 1];
		size_t strings;

		if (type == TYPE_END || hdr < HDR_LEN || hdr > len - pos)
			return;
		strings = strings_len(b + pos + hdr, len - pos - hdr);
		if (strings == 0)
			return;
		structure_read(b + pos, b + pos + hdr, strings, out);
		pos += hdr + strings;
	}
}
