/* SPDX-License-Identifier: Apache-2.0 */
/* What a sound ATA disk says of itself, for tests that then spoil it. */
#ifndef RAYOS_TESTS_HOST_FAKE_ATA_H
#define RAYOS_TESTS_HOST_FAKE_ATA_H

#include <string.h>

#include "devices/host/ata/ata.h"
#include "kernel/lib/unaligned.h"

static void fake_ata_text(uint8_t *id, unsigned int word, unsigned int words, const char *text)
{
	for (unsigned int i = 0; i < 2 * words; i++) {
		id[2 * word + (i ^ 1u)] = (uint8_t)(*text ? *text : ' ');
		text += *text != '\0';
	}
}

static __attribute__((unused)) void fake_ata_identify(uint8_t *id, uint64_t sectors)
{
	memset(id, 0, ATA_DATA_LEN);
	store16(id, 0x0040);
	fake_ata_text(id, 10, 10, "SN-0042");
	fake_ata_text(id, 23, 4, "1.0");
	fake_ata_text(id, 27, 20, "Fake ATA disk");
	store16(id + 2 * 75, 31);     /* 32 queued commands */
	store16(id + 2 * 76, 0x0100); /* NCQ */
	store16(id + 2 * 82, 0x0021); /* SMART, write cache */
	store16(id + 2 * 83, 0x4400); /* 48-bit addresses */
	store16(id + 2 * 85, 0x0021);
	store64(id + 2 * 100, sectors);
	store16(id + 2 * 106, 0x6003); /* eight logical sectors in a physical one */
	store16(id + 2 * 169, 1);      /* TRIM */
}

static __attribute__((unused)) void fake_ata_smart(uint8_t *page)
{
	static const uint8_t attrs[][12] = {
		{9, 0, 0, 100, 100, 0xd2, 0x04},   /* 1234 hours */
		{194, 0, 0, 63, 60, 37, 0, 20, 0, 55}, /* 37 degrees, lowest, highest */
		{5, 0, 0, 100, 100, 3},            /* sectors gone */
		{197, 0, 0, 100, 100, 2},
		{231, 0, 0, 88, 88},               /* 88 % of its life left */
	};

	memset(page, 0, ATA_DATA_LEN);
	memcpy(page + 2, attrs, sizeof(attrs));
}

#endif
