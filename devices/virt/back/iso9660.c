/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/back/iso9660.h"

#include <string.h>

#include "kernel/lib/unaligned.h"

/* Sectors; the first 16 are the system's (6.2.1). */
enum {
	PRIMARY = 16,
	JOLIET,
	END,
	PATHS_LE, /* of the primary descriptor, then of Joliet's */
	PATHS_BE,
	JOLIET_PATHS_LE,
	JOLIET_PATHS_BE,
	ROOT,
	JOLIET_ROOT,
	DATA,
};

#define TYPE_PRIMARY 1u
#define TYPE_SUPPLEMENTARY 2u
#define TYPE_END     255u
#define FLAG_FOLDER  2u
#define PATH_LEN     10u /* of a table that knows the root alone */
#define RECORD_HEAD  33u

static uint32_t sectors(uint32_t len)
{
	return (len + ISO_SECTOR - 1) / ISO_SECTOR;
}

size_t iso_size(const struct iso_file *files, unsigned int count)
{
	size_t n = DATA;

	for (unsigned int i = 0; i < count; i++)
		n += sectors(files[i].len);
	return n * ISO_SECTOR;
}

/* Both orders, one after the other (7.2.3, 7.3.3). */
static void both16(uint8_t *p, uint16_t v)
{
	store16(p, v);
	store_be16(p + 2, v);
}

static void both32(uint8_t *p, uint32_t v)
{
	store32(p, v);
	store_be32(p + 4, v);
}

/* A record of a folder (9.1). Returns: its length */
static uint8_t record(uint8_t *p, uint32_t at, uint32_t len, uint8_t flags, const uint8_t *id,
		      uint8_t id_len)
{
	uint8_t n = (uint8_t)(RECORD_HEAD + id_len + (id_len % 2 ? 0 : 1));

	p[0] = n;
	both32(p + 2, at);
	both32(p + 10, len);
	p[18] = 100; /* 1 January 2000: the same image each time */
	p[19] = 1;
	p[20] = 1;
	p[25] = flags;
	both16(p + 28, 1);
	p[32] = id_len;
	memcpy(p + RECORD_HEAD, id, id_len);
	return n;
}

/* "user-data" is USER-DATA.;1, and in Joliet's 16 bits an upright user-data. */
static uint8_t name_fill(const char *name, bool joliet, uint8_t id[2 * ISO_NAME_MAX + 4])
{
	uint8_t n = 0;
	bool dot = false;

	for (; *name && n < ISO_NAME_MAX * 2; name++) {
		if (joliet)
			id[n++] = 0;
		id[n++] = (uint8_t)(!joliet && *name >= 'a' && *name <= 'z' ? *name - 32 : *name);
		dot |= *name == '.';
	}
	if (joliet)
		return n;
	if (!dot)
		id[n++] = '.';
	id[n++] = ';';
	id[n++] = '1';
	return n;
}

static void folder(uint8_t *p, uint32_t at, bool joliet, const struct iso_file *files,
		   unsigned int count)
{
	static const uint8_t self = 0, parent = 1;
	uint8_t id[2 * ISO_NAME_MAX + 4];
	uint32_t data = DATA;

	p += record(p, at, ISO_SECTOR, FLAG_FOLDER, &self, 1);
	p += record(p, at, ISO_SECTOR, FLAG_FOLDER, &parent, 1);
	for (unsigned int i = 0; i < count; i++) {
		p += record(p, data, files[i].len, 0, id, name_fill(files[i].name, joliet, id));
		data += sectors(files[i].len);
	}
}

static void text(uint8_t *p, size_t len, const char *s, bool joliet)
{
	for (size_t i = 0; i < len; i++) {
		char c = ' ';

		if (joliet && i % 2 == 0)
			c = '\0';
		else if (*s)
			c = *s++;
		p[i] = (uint8_t)c;
	}
}

/* 8.4, 8.5 */
static void descriptor(uint8_t *p, uint8_t type, const char *label, uint32_t total, bool joliet)
{
	static const uint8_t self = 0;

	p[0] = type;
	memcpy(p + 1, "CD001\1", 6);
	text(p + 8, 32, "", joliet);
	text(p + 40, 32, label, joliet);
	both32(p + 80, total);
	if (joliet)
		memcpy(p + 88, "%/E", 3); /* UCS-2, level 3 */
	both16(p + 120, 1);
	both16(p + 124, 1);
	both16(p + 128, ISO_SECTOR);
	both32(p + 132, PATH_LEN);
	store32(p + 140, joliet ? JOLIET_PATHS_LE : PATHS_LE);
	store_be32(p + 148, joliet ? JOLIET_PATHS_BE : PATHS_BE);
	(void)record(p + 156, joliet ? JOLIET_ROOT : ROOT, ISO_SECTOR, FLAG_FOLDER, &self, 1);
	text(p + 190, 623, "", joliet);
	memset(p + 813, '0', 16); /* no date is known */
	memset(p + 830, '0', 16);
	memset(p + 847, '0', 16);
	memset(p + 864, '0', 16);
	p[881] = 1;
}

/* A path table that has the root (9.4). */
static void paths(uint8_t *p, uint32_t at, bool big)
{
	p[0] = 1;
	if (big) {
		store_be32(p + 2, at);
		store_be16(p + 6, 1);
	} else {
		store32(p + 2, at);
		store16(p + 6, 1);
	}
}

void iso_write(const char *label, const struct iso_file *files, unsigned int count, uint8_t *out)
{
	uint32_t total = (uint32_t)(iso_size(files, count) / ISO_SECTOR), data = DATA;

	memset(out, 0, (size_t)total * ISO_SECTOR);
	descriptor(out + PRIMARY * ISO_SECTOR, TYPE_PRIMARY, label, total, false);
	descriptor(out + JOLIET * ISO_SECTOR, TYPE_SUPPLEMENTARY, label, total, true);
	out[END * ISO_SECTOR] = TYPE_END;
	memcpy(out + END * ISO_SECTOR + 1, "CD001\1", 6);
	paths(out + PATHS_LE * ISO_SECTOR, ROOT, false);
	paths(out + PATHS_BE * ISO_SECTOR, ROOT, true);
	paths(out + JOLIET_PATHS_LE * ISO_SECTOR, JOLIET_ROOT, false);
	paths(out + JOLIET_PATHS_BE * ISO_SECTOR, JOLIET_ROOT, true);
	folder(out + ROOT * ISO_SECTOR, ROOT, false, files, count);
	folder(out + JOLIET_ROOT * ISO_SECTOR, JOLIET_ROOT, true, files, count);
	for (unsigned int i = 0; i < count; i++) {
		memcpy(out + (size_t)data * ISO_SECTOR, files[i].data, files[i].len);
		data += sectors(files[i].len);
	}
}
