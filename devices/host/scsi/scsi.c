/* SPDX-License-Identifier: Apache-2.0 */
/* SCSI: commands for block commands, and what their answers mean. */
#include "devices/host/scsi/scsi.h"

#include <string.h>

#include "kernel/lib/err.h"
#include "kernel/lib/unaligned.h"

#define FUA             BIT(3) /* of READ and WRITE */
#define SAME_UNMAP      BIT(3) /* of WRITE SAME */
#define ASC_NOT_READY   0x04u
#define ASCQ_BECOMING   0x01u
/* UNMAP parameter list (SBC-4, UNMAP parameter list): a header, then ranges. */
#define UNMAP_HEADER    8u
#define UNMAP_RANGE     16u
BUILD_ASSERT(UNMAP_HEADER + UNMAP_RANGE == SCSI_PARAM_LEN, "one range");

void scsi_limits_fill(const struct scsi_unit *u, struct block_limits *l)
{
	/* A command of ten bytes counts its blocks in 16 bits. */
	uint64_t most = u->wide ? (uint64_t)u->logical * UINT32_MAX : (uint64_t)u->logical * UINT16_MAX;

	most = MIN(most, (uint64_t)l->bytes_max);
	if (u->bytes_max)
		most = MIN(most, (uint64_t)u->bytes_max);
	l->bytes_max = (uint32_t)ALIGN_DOWN(most, (uint64_t)u->logical);
	l->logical = u->logical;
	l->physical = u->physical;
	l->discard_max = u->unmap_max;
	l->discard_granule = u->unmap_max ? u->granule : 0;
	l->zero_max = u->zero_max;
	l->fua = u->fua;
	l->cache = u->cache;
	l->read_only = u->read_only;
}

static uint8_t transfer_fill(const struct scsi_unit *u, const struct block_cmd *cmd, uint8_t *cdb)
{
	uint64_t lba = cmd->off / u->logical, blocks = cmd->len / u->logical;
	bool read = cmd->op == BLOCK_READ;

	cdb[1] = cmd->flags & BLOCK_F_FUA ? FUA : 0;
	if (u->wide) {
		cdb[0] = read ? SCSI_READ_16 : SCSI_WRITE_16;
		store_be64(cdb + 2, lba);
		store_be32(cdb + 10, (uint32_t)blocks);
		return 16;
	}
	cdb[0] = read ? SCSI_READ_10 : SCSI_WRITE_10;
	store_be32(cdb + 2, (uint32_t)lba);
	store_be16(cdb + 7, (uint16_t)blocks);
	return 10;
}

static uint8_t unmap_fill(const struct scsi_unit *u, const struct block_cmd *cmd, uint8_t *cdb,
			  uint8_t *param)
{
	cdb[0] = SCSI_UNMAP;
	store_be16(cdb + 7, SCSI_PARAM_LEN);
	memset(param, 0, SCSI_PARAM_LEN);
	store_be16(param, SCSI_PARAM_LEN - 2u); /* bytes that follow */
	store_be16(param + 2, UNMAP_RANGE);
	store_be64(param + UNMAP_HEADER, cmd->off / u->logical);
	store_be32(param + UNMAP_HEADER + 8, (uint32_t)(cmd->len / u->logical));
	return 10;
}

static uint8_t same_fill(const struct scsi_unit *u, const struct block_cmd *cmd, uint8_t *cdb)
{
	cdb[0] = SCSI_WRITE_SAME_16;
	cdb[1] = u->zero_unmaps && (cmd->flags & BLOCK_F_UNMAP) ? SAME_UNMAP : 0;
	store_be64(cdb + 2, cmd->off / u->logical);
	store_be32(cdb + 10, (uint32_t)(cmd->len / u->logical));
	return 16;
}

uint8_t scsi_cdb_fill(const struct scsi_unit *u, const struct block_cmd *cmd, uint8_t *cdb,
		      uint8_t *param)
{
	memset(cdb, 0, SCSI_CDB_MAX);
	switch (cmd->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		return transfer_fill(u, cmd, cdb);
	case BLOCK_DISCARD:
		return unmap_fill(u, cmd, cdb, param);
	case BLOCK_ZERO:
		return same_fill(u, cmd, cdb);
	default: /* of everything: no blocks are named */
		cdb[0] = SCSI_SYNC_10;
		return 10;
	}
}

struct scsi_sense scsi_sense_take(const uint8_t *p, size_t len)
{
	struct scsi_sense s = {.valid = false};
	uint8_t format = len > 0 ? p[0] & 0x7fu : 0;

	if ((format == 0x70 || format == 0x71) && len >= 3) { /* fixed */
		s = (struct scsi_sense){.valid = true, .key = p[2] & 0xfu};
		if (len >= 14) {
			s.asc = p[12];
			s.ascq = p[13];
		}
	} else if ((format == 0x72 || format == 0x73) && len >= 4) { /* descriptors */
		s = (struct scsi_sense){.valid = true, .key = p[1] & 0xfu, .asc = p[2],
					.ascq = p[3]};
	}
	return s;
}

static int sense_result(struct scsi_sense s)
{
	if (!s.valid)
		return -RAY_EAGAIN;
	switch (s.key) {
	case SCSI_RECOVERED:
		return 0;
	case SCSI_UNIT_ATTENTION: /* something happened to it before: told once */
	case SCSI_ABORTED_COMMAND:
		return -RAY_EAGAIN;
	case SCSI_NOT_READY:
		return s.asc == ASC_NOT_READY && s.ascq == ASCQ_BECOMING ? -RAY_EAGAIN : -RAY_EIO;
	default:
		return -RAY_EIO;
	}
}

int scsi_result(uint8_t status, const uint8_t *sense, size_t len)
{
	switch (status) {
	case SCSI_GOOD:
	case SCSI_CONDITION_MET:
		return 0;
	case SCSI_CHECK_CONDITION:
		return sense_result(scsi_sense_take(sense, len));
	case SCSI_BUSY:
	case SCSI_TASK_SET_FULL:
	case SCSI_TASK_ABORTED:
		return -RAY_EAGAIN;
	default:
		return -RAY_EIO;
	}
}
