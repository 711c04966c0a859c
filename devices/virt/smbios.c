/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMBIOS tables of a guest (DSP0134 3.3): the required structures of a small machine.
 */
#include "devices/virt/firmware.h"

#include <string.h>

#include "version.h"

#define ENTRY2_OFFSET 0x00u
#define ENTRY2_SIZE   0x1fu
#define ENTRY3_OFFSET 0x20u
#define ENTRY3_SIZE   0x18u
#define TABLE_OFFSET  0x40u
#define STRINGS_MAX   6u

struct smbios_entry2 {
	char anchor[4];
	uint8_t checksum, length, major, minor;
	uint16_t max_size;
	uint8_t revision, formatted[5];
	char dmi_anchor[5];
	uint8_t dmi_checksum;
	uint16_t table_length;
	uint32_t table;
	uint16_t count;
	uint8_t bcd_revision;
} __packed;
BUILD_ASSERT(sizeof(struct smbios_entry2) == ENTRY2_SIZE, "DSP0134 5.2.1");

struct smbios_entry3 {
	char anchor[5];
	uint8_t checksum, length, major, minor, docrev, revision, reserved;
	uint32_t max_size;
	uint64_t table;
} __packed;
BUILD_ASSERT(sizeof(struct smbios_entry3) == ENTRY3_SIZE, "DSP0134 5.2.2");

struct table {
	uint8_t *out;
	size_t cap, len;
	uint16_t count, max;
	bool full;
};

/* One structure: header, body, its strings, two NULs at the end. */
static void put(struct table *t, uint8_t type, const void *body, size_t body_len,
		const char *const strings[STRINGS_MAX])
{
	uint16_t handle = (uint16_t)(type << 8);
	size_t at = t->len, need = 4 + body_len + 1;
	uint8_t *p;

	for (unsigned int i = 0; i < STRINGS_MAX && strings[i]; i++)
		need += strlen(strings[i]) + 1;
	if (!strings[0])
		need++;
	if (need > t->cap - at) {
		t->full = true;
		return;
	}
	p = t->out + at;
	*p++ = type;
	*p++ = (uint8_t)(4 + body_len);
	memcpy(p, &handle, sizeof(handle));
	p += sizeof(handle);
	memcpy(p, body, body_len);
	p += body_len;
	for (unsigned int i = 0; i < STRINGS_MAX && strings[i]; i++) {
		size_t n = strlen(strings[i]) + 1;

		memcpy(p, strings[i], n);
		p += n;
	}
	memset(p, 0, need - (size_t)(p - (t->out + at)));
	t->len = at + need;
	t->count++;
	t->max = (uint16_t)MAX((size_t)t->max, need);
}

/* The same name gives the same machine: two FNV-1a hashes, marked as a version 8 UUID. */
static void uuid_from(const char *name, uint8_t out[16])
{
	uint64_t h[2] = {0xcbf29ce484222325ull, 0x9e3779b97f4a7c15ull};

	for (; *name; name++) {
		for (unsigned int i = 0; i < 2; i++)
			h[i] = (h[i] ^ (uint8_t)*name) * 0x100000001b3ull;
	}
	memcpy(out, h, 16);
	out[7] = (uint8_t)((out[7] & 0x0f) | 0x80); /* time_hi is little-endian here */
	out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

static void put_bios_and_system(struct table *t, const struct virt_smbios *info)
{
	const struct {
		uint8_t vendor, version;
		uint16_t segment;
		uint8_t date, rom_size;
		uint64_t characteristics;
		uint8_t ext[2], major, minor, ec_major, ec_minor;
	} __packed bios = {1, 2, 0xe000, 3, 1, BIT(3) /* not supported */, {0, 0x1c}, 0, 1, 0xff, 0xff};
	struct {
		uint8_t vendor, product, version, serial, uuid[16], wake, sku, family;
	} __packed sys = {1, 2, 3, 4, {0}, 6 /* power switch */, 0, 5};
	const struct {
		uint8_t vendor, type, version, serial, asset, boot, power, thermal, security;
		uint32_t oem;
		uint8_t height, cords, contained, contained_len, sku;
	} __packed chassis = {1, 1 /* other */, 2, 0, 3, 3, 3, 3, 2, 0, 0, 0, 0, 0, 0};

	uuid_from(info->name, sys.uuid);
	put(t, 0, &bios, sizeof(bios),
	    (const char *const[STRINGS_MAX]){"RayOS", RAYOS_VERSION, "01/01/2026"});
	put(t, 1, &sys, sizeof(sys),
	    (const char *const[STRINGS_MAX]){"RayOS", "RayOS Virtual Machine", RAYOS_VERSION,
					     info->name, "Virtual Machine"});
	put(t, 3, &chassis, sizeof(chassis),
	    (const char *const[STRINGS_MAX]){"RayOS", RAYOS_VERSION, info->name});
}

static void put_cpu_and_memory(struct table *t, const struct virt_smbios *info)
{
	uint8_t n = (uint8_t)info->cpus;
	uint64_t mib = info->memory >> 20, kib = info->memory >> 10;
	const struct {
		uint8_t socket, type, family, vendor;
		uint64_t id;
		uint8_t version, voltage;
		uint16_t clock, max_speed, speed;
		uint8_t status, upgrade;
		uint16_t l1, l2, l3;
		uint8_t serial, asset, part, cores, enabled, threads;
		uint16_t characteristics, family2;
	} __packed cpu = {1, 3, 2, 2, 0, 3, 0, 0, 0, 0, 0x41, 1, 0xffff, 0xffff, 0xffff,
			  0, 0, 0, n, n, n, BIT(2) /* 64-bit */, 2};
	const struct {
		uint8_t location, use, ecc;
		uint32_t capacity;
		uint16_t error, devices;
		uint64_t ext_capacity;
	} __packed array = {1, 3, 3, kib < 0x80000000 ? (uint32_t)kib : 0x80000000, 0xfffe, 1,
			    kib < 0x80000000 ? 0 : info->memory};
	const struct {
		uint16_t array, error, total_width, data_width, size;
		uint8_t form, set, locator, bank, type;
		uint16_t detail, speed;
		uint8_t vendor, serial, asset, part, attributes;
		uint32_t ext_size;
		uint16_t clock;
	} __packed dimm = {0x1000, 0xfffe, 0xffff, 0xffff,
			   mib < 0x7fff ? (uint16_t)mib : 0x7fff, 9, 0, 1, 0, 7, 2, 0,
			   2, 0, 0, 0, 0, mib < 0x7fff ? 0 : (uint32_t)mib, 0};
	const struct {
		uint32_t start, end;
		uint16_t array;
		uint8_t width;
		uint64_t ext_start, ext_end;
	} __packed map = {0, kib <= 0xffffffff ? (uint32_t)kib - 1 : 0xffffffff, 0x1000, 1, 0,
			  kib <= 0xffffffff ? 0 : info->memory - 1};
	const uint8_t boot[7] = {0};

	put(t, 4, &cpu, sizeof(cpu), (const char *const[STRINGS_MAX]){"CPU 0", "RayOS", "virtual"});
	put(t, 16, &array, sizeof(array), (const char *const[STRINGS_MAX]){NULL});
	put(t, 17, &dimm, sizeof(dimm), (const char *const[STRINGS_MAX]){"DIMM 0", "RayOS"});
	put(t, 19, &map, sizeof(map), (const char *const[STRINGS_MAX]){NULL});
	put(t, 32, boot, sizeof(boot), (const char *const[STRINGS_MAX]){NULL});
	put(t, 127, boot, 0, (const char *const[STRINGS_MAX]){NULL});
}

size_t virt_smbios_build(uint8_t *out, size_t cap, uint32_t gpa, const struct virt_smbios *info)
{
	struct smbios_entry2 *e2 = (void *)(out + ENTRY2_OFFSET);
	struct smbios_entry3 *e3 = (void *)(out + ENTRY3_OFFSET);
	struct table t = {0};

	if (cap < TABLE_OFFSET)
		return 0;
	t.out = out + TABLE_OFFSET;
	t.cap = cap - TABLE_OFFSET;
	put_bios_and_system(&t, info);
	put_cpu_and_memory(&t, info);
	if (t.full)
		return 0;
	memcpy(e2->anchor, "_SM_", 4);
	e2->length = ENTRY2_SIZE;
	e2->major = e3->major = 3;
	e2->minor = e3->minor = 3;
	e2->max_size = t.max;
	memcpy(e2->dmi_anchor, "_DMI_", 5);
	e2->table_length = (uint16_t)t.len;
	e2->table = gpa + TABLE_OFFSET;
	e2->count = t.count;
	e2->bcd_revision = 0x33;
	e2->dmi_checksum = firmware_checksum((const uint8_t *)e2->dmi_anchor, 15);
	e2->checksum = firmware_checksum(out + ENTRY2_OFFSET, ENTRY2_SIZE);
	memcpy(e3->anchor, "_SM3_", 5);
	e3->length = ENTRY3_SIZE;
	e3->revision = 1;
	e3->max_size = (uint32_t)t.len;
	e3->table = gpa + TABLE_OFFSET;
	e3->checksum = firmware_checksum(out + ENTRY3_OFFSET, ENTRY3_SIZE);
	return TABLE_OFFSET + t.len;
}
