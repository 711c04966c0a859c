/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/host/ata/ata.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"

/* Words of the identify data (7.12.7, table 55). */
#define W_GENERAL   0u
#define W_SERIAL    10u
#define W_FIRMWARE  23u
#define W_MODEL     27u
#define W_DEPTH     75u
#define W_SATA      76u
#define W_COMMANDS  82u
#define W_COMMANDS2 83u
#define W_ENABLED   85u
#define W_SECTORS   100u
#define W_SIZES     106u
#define W_LOGICAL   117u
#define W_TRIM      169u
#define W_INTEGRITY 255u

#define GENERAL_ATAPI   BIT(15)
#define SATA_NCQ        BIT(8)
#define COMMANDS_SMART  BIT(0)
#define COMMANDS_CACHE  BIT(5)
#define COMMANDS2_LBA48 BIT(10)
#define COMMANDS2_VALID 0x4000u
#define VALID_MASK      0xc000u
#define SIZES_LARGE     BIT(12) /* words 117 and 118 say how large a logical sector is */
#define SIZES_SEVERAL   BIT(13) /* logical sectors in a physical one */
#define INTEGRITY       0xa5u

#define LOGICAL_MAX 4096u
#define SECTORS_END BIT(48)
/* A page of ranges: 64 of them, 48 bits of LBA and 16 of sectors each (7.5.3.2). */
#define RANGES      (ATA_DATA_LEN / 8)
#define RANGE_MAX   0xffffu

static uint16_t word(const uint8_t *data, unsigned int n)
{
	return load16(data + 2u * n);
}

/* Text has its characters swapped in each word (3.4.9). */
static void text(char *out, size_t out_len, const uint8_t *data, unsigned int first,
		 unsigned int words)
{
	uint8_t plain[40];

	for (unsigned int i = 0; i < 2 * words; i++)
		plain[i] = data[2 * first + (i ^ 1u)];
	block_text_take(out, out_len, plain, 2u * words);
}

static bool intact(const uint8_t *data)
{
	uint8_t sum = 0;

	if ((word(data, W_INTEGRITY) & 0xffu) != INTEGRITY)
		return true; /* it has no checksum */
	for (unsigned int i = 0; i < ATA_DATA_LEN; i++)
		sum = (uint8_t)(sum + data[i]);
	return sum == 0;
}

/* Sizes of sectors; false: none that we can use. */
static bool sizes_take(const uint8_t *data, struct ata_id *out)
{
	uint16_t sizes = word(data, W_SIZES);
	uint64_t logical = 512;

	out->physical = 0;
	if ((sizes & VALID_MASK) == COMMANDS2_VALID) {
		if (sizes & SIZES_LARGE)
			logical = 2ull * load32(data + 2u * W_LOGICAL);
		if (sizes & SIZES_SEVERAL)
			out->physical = (uint32_t)(logical << (sizes & 0xfu));
	}
	if (logical < 512 || logical > LOGICAL_MAX || (logical & (logical - 1)))
		return false;
	out->logical = (uint32_t)logical;
	out->physical = MAX(out->physical, out->logical);
	return true;
}

int ata_id_take(const uint8_t *data, struct ata_id *out)
{
	uint64_t sectors = load64(data + 2u * W_SECTORS);
	uint16_t commands = word(data, W_COMMANDS), sata = word(data, W_SATA);

	memset(out, 0, sizeof(*out));
	if (!intact(data))
		return -RAY_EIO;
	text(out->ident.model, sizeof(out->ident.model), data, W_MODEL, 20);
	text(out->ident.serial, sizeof(out->ident.serial), data, W_SERIAL, 10);
	text(out->ident.firmware, sizeof(out->ident.firmware), data, W_FIRMWARE, 4);
	if ((word(data, W_GENERAL) & GENERAL_ATAPI) ||
	    (word(data, W_COMMANDS2) & VALID_MASK) != COMMANDS2_VALID ||
	    !(word(data, W_COMMANDS2) & COMMANDS2_LBA48) || sectors == 0 ||
	    sectors >= SECTORS_END || !sizes_take(data, out))
		return -RAY_ENOSYS;
	out->ident.size = sectors * out->logical;
	/* Unless it says that its cache is off it may be on. */
	out->cache = (commands & COMMANDS_CACHE) && (word(data, W_ENABLED) & COMMANDS_CACHE);
	out->smart = (commands & COMMANDS_SMART) && (word(data, W_ENABLED) & COMMANDS_SMART);
	out->trim = (word(data, W_TRIM) & 1u) != 0;
	if (sata != 0xffff && (sata & SATA_NCQ))
		out->depth = (uint8_t)((word(data, W_DEPTH) & 0x1fu) + 1u);
	return 0;
}

void ata_limits_fill(const struct ata_id *id, struct block_limits *l)
{
	l->logical = id->logical;
	l->physical = id->physical;
	l->cache = id->cache;
	l->fua = false; /* what there is of it cannot be relied on; a flush can */
	l->discard_granule = id->trim ? id->physical : 0;
	l->discard_max = id->trim ? (uint64_t)RANGES * RANGE_MAX * id->logical : 0;
}

static void ranges_fill(uint64_t lba, uint64_t sectors, uint8_t *ranges)
{
	memset(ranges, 0, ATA_DATA_LEN);
	for (unsigned int i = 0; i < RANGES && sectors > 0; i++) {
		uint64_t n = MIN(sectors, (uint64_t)RANGE_MAX);

		store64(ranges + 8u * i, lba | n << 48);
		lba += n;
		sectors -= n;
	}
}

void ata_taskfile_fill(const struct ata_id *id, const struct block_cmd *cmd, uint8_t *ranges,
		       struct ata_taskfile *out)
{
	uint64_t lba = cmd->off / id->logical, sectors = cmd->len / id->logical;

	*out = (struct ata_taskfile){.device = ATA_DEVICE_LBA};
	switch (cmd->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		out->command = cmd->op == BLOCK_READ ? ATA_READ_DMA_EXT : ATA_WRITE_DMA_EXT;
		out->lba = lba;
		out->count = (uint16_t)sectors;
		break;
	case BLOCK_DISCARD:
		out->command = ATA_DATA_SET;
		out->features = ATA_DATA_SET_TRIM;
		out->count = 1; /* page of ranges */
		ranges_fill(lba, sectors, ranges);
		break;
	default:
		out->command = ATA_FLUSH_EXT;
		break;
	}
}

void ata_taskfile_queued(const struct ata_id *id, const struct block_cmd *cmd, unsigned int tag,
			 struct ata_taskfile *out)
{
	*out = (struct ata_taskfile){
		.command = cmd->op == BLOCK_READ ? ATA_READ_FPDMA : ATA_WRITE_FPDMA,
		.device = ATA_DEVICE_LBA,
		.features = (uint16_t)(cmd->len / id->logical), /* sectors stand there */
		.count = (uint16_t)(tag << 3),
		.lba = cmd->off / id->logical,
	};
}

int ata_result(uint8_t status, uint8_t error)
{
	if (!(status & (ATA_S_ERR | ATA_S_FAULT)))
		return 0;
	return (status & ATA_S_ERR) && (error & ATA_E_CRC) ? -RAY_EAGAIN : -RAY_EIO;
}

/* --- health --- */

#define SMART_ATTRS     30u
#define SMART_ATTR_AT   2u
#define SMART_ATTR_LEN  12u
#define SMART_ATTR_NOW  3u /* normalised, 100 or 200 is new */
#define SMART_ATTR_RAW  5u

enum smart_attr {
	SMART_REALLOCATED = 5, SMART_HOURS = 9, SMART_UNSAFE = 192, SMART_TEMPERATURE = 194,
	SMART_PENDING = 197, SMART_LIFE_LEFT = 231,
};

void ata_health_take(const uint8_t *data, bool failing, struct block_health *out)
{
	*out = (struct block_health){.failing = failing, .celsius = INT16_MIN};
	for (unsigned int i = 0; i < SMART_ATTRS; i++) {
		const uint8_t *a = data + SMART_ATTR_AT + SMART_ATTR_LEN * i;
		uint32_t raw = load32(a + SMART_ATTR_RAW);

		switch (a[0]) {
		case SMART_REALLOCATED:
		case SMART_PENDING:
			out->media_errors += raw;
			break;
		case SMART_HOURS:
			out->power_on_hours = raw;
			break;
		case SMART_UNSAFE:
			out->unsafe_shutdowns = raw;
			break;
		case SMART_TEMPERATURE: /* the lowest byte; above it lowest and highest ever */
			out->celsius = (int16_t)(raw & 0xffu);
			break;
		case SMART_LIFE_LEFT:
			out->wear_percent = (uint8_t)(100u - MIN(a[SMART_ATTR_NOW], 100u));
			break;
		default:
			break;
		}
	}
}
