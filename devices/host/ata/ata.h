/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ATA: commands and what a device says of itself (ATA/ATAPI Command Set - 3, section numbers are
 * its). Below it lies AHCI or IDE, which transports a task file.
 * Owns: identification, health, which command does what. Must not know: any controller.
 * Pure; any context. Trust: what a device says is checked here.
 */
#ifndef RAYOS_DEVICES_HOST_ATA_ATA_H
#define RAYOS_DEVICES_HOST_ATA_ATA_H

#include "kernel/block/block.h"
#include "kernel/lib/types.h"

#define ATA_DATA_LEN    512u /* of identify, SMART and a page of ranges to be trimmed */
#define ATA_SECTORS_MAX 65536u /* of a command: 16 bits, 0 means all of them */

/* Commands (7). */
#define ATA_READ_DMA_EXT  0x25u
#define ATA_WRITE_DMA_EXT 0x35u
#define ATA_READ_FPDMA    0x60u
#define ATA_WRITE_FPDMA   0x61u
#define ATA_DATA_SET      0x06u
#define ATA_SMART         0xb0u
#define ATA_FLUSH_EXT     0xeau
#define ATA_IDENTIFY      0xecu
#define ATA_DATA_SET_TRIM 0x01u /* feature */
#define ATA_SMART_READ    0xd0u
#define ATA_SMART_STATUS  0xdau
#define ATA_SMART_LBA     0xc24f00u /* what makes a SMART command one */
#define ATA_SMART_MASK    0xffff00u
#define ATA_SMART_BAD_LBA 0x2cf400u /* what SMART_STATUS answers when a threshold is exceeded */

#define ATA_DEVICE_LBA BIT(6) /* of the device register */

/* Status and error registers (6.2, 6.3). */
#define ATA_S_ERR    BIT(0)
#define ATA_S_DRQ    BIT(3)
#define ATA_S_FAULT  BIT(5)
#define ATA_S_BUSY   BIT(7)
#define ATA_E_CRC    BIT(7)

/* A command as the registers or a FIS carry it. */
struct ata_taskfile {
	uint8_t command, device;
	uint16_t features, count;
	uint64_t lba; /* 48 bits */
};

struct ata_id {
	struct block_ident ident; /* name and driver are left empty */
	uint32_t logical, physical; /* bytes */
	bool cache, trim, smart;
	uint8_t depth; /* commands it queues; 0: no native command queuing */
};

/**
 * Read identify data (7.12.7, table 55).
 * Returns: 0; -RAY_ENOSYS (no disk we can use: no LBA48, sizes out of bounds); -RAY_EIO (the data
 *          does not match its checksum)
 */
int __must_check ata_id_take(const uint8_t *data, struct ata_id *out);

/** What the block layer is told of it, apart from the controller's limits. */
void ata_limits_fill(const struct ata_id *id, struct block_limits *l);

/**
 * The command for a block command, not queued.
 * @ranges  ATA_DATA_LEN bytes, filled for a discard, which sends them
 */
void ata_taskfile_fill(const struct ata_id *id, const struct block_cmd *cmd, uint8_t *ranges,
		       struct ata_taskfile *out);

/** READ and WRITE FPDMA QUEUED (7.24, 7.63). */
void ata_taskfile_queued(const struct ata_id *id, const struct block_cmd *cmd, unsigned int tag,
			 struct ata_taskfile *out);

/** What an error means for the block layer: -RAY_EIO or, where it may work again, -RAY_EAGAIN. */
int ata_result(uint8_t status, uint8_t error);

/** SMART data (SFF-8035i's attributes, which every maker fills at his own will). */
void ata_health_take(const uint8_t *data, bool failing, struct block_health *out);

#endif
