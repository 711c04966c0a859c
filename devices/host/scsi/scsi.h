/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI: commands of disks and what these say of themselves (SPC-5, SBC-4; section names are
 * theirs). Below it lies a transport that carries a command descriptor block and brings back
 * status and sense: virtio-scsi, USB mass storage.
 * Owns: identification, which command does what, what sense data mean. Must not know: any
 * transport.
 * Trust: all that a unit says is checked here.
 */
#ifndef RAYOS_DEVICES_HOST_SCSI_SCSI_H
#define RAYOS_DEVICES_HOST_SCSI_SCSI_H

#include "kernel/block/block.h"
#include "kernel/lib/types.h"

#define SCSI_CDB_MAX     16u
#define SCSI_SENSE_MAX   96u
#define SCSI_PARAM_LEN   24u   /* of an UNMAP command with one range */
#define SCSI_BUF_LEN     1024u /* of what a unit says of itself */
#define SCSI_LOGICAL_MAX 4096u

/* Operation codes. */
enum scsi_op {
	SCSI_TEST_UNIT_READY = 0x00,
	SCSI_REQUEST_SENSE = 0x03,
	SCSI_INQUIRY = 0x12,
	SCSI_MODE_SENSE_6 = 0x1a,
	SCSI_START_STOP = 0x1b,
	SCSI_READ_CAPACITY_10 = 0x25,
	SCSI_READ_10 = 0x28,
	SCSI_WRITE_10 = 0x2a,
	SCSI_SYNC_10 = 0x35,
	SCSI_UNMAP = 0x42,
	SCSI_READ_16 = 0x88,
	SCSI_WRITE_16 = 0x8a,
	SCSI_WRITE_SAME_16 = 0x93,
	SCSI_SERVICE_IN_16 = 0x9e, /* with SCSI_READ_CAPACITY_16 as its action */
	SCSI_REPORT_LUNS = 0xa0,
};
#define SCSI_READ_CAPACITY_16 0x10u

/* Status codes (SAM-6, Status codes). */
#define SCSI_GOOD            0x00u
#define SCSI_CHECK_CONDITION 0x02u
#define SCSI_CONDITION_MET   0x04u
#define SCSI_BUSY            0x08u
#define SCSI_TASK_SET_FULL   0x28u
#define SCSI_TASK_ABORTED    0x40u

/* Sense keys (SPC-5, Sense key and additional sense code definitions). */
enum scsi_key {
	SCSI_RECOVERED = 0x1,
	SCSI_NOT_READY = 0x2,
	SCSI_MEDIUM_ERROR = 0x3,
	SCSI_ILLEGAL_REQUEST = 0x5,
	SCSI_UNIT_ATTENTION = 0x6,
	SCSI_ABORTED_COMMAND = 0xb,
};

struct scsi_sense {
	bool valid;
	uint8_t key, asc, ascq; /* additional sense code and its qualifier */
};

/* A disk, as it describes itself. */
struct scsi_unit {
	struct block_ident ident;   /* name and driver are left empty */
	uint32_t logical, physical; /* bytes */
	uint32_t bytes_max;         /* of one command; 0: it does not say */
	uint64_t unmap_max, zero_max; /* bytes of one command; 0: it cannot */
	uint32_t granule;           /* of an unmap, bytes */
	bool wide;                  /* blocks beyond 32 bits */
	bool cache, fua, read_only;
	bool zero_unmaps;           /* WRITE SAME may give space back, and zeros are read then */
};

/* A command whose end is waited for. */
struct scsi_exec {
	uint8_t cdb[SCSI_CDB_MAX];
	uint8_t cdb_len;
	void *buf;    /* data from the unit */
	uint32_t len; /* so much there may be of it: SCSI_BUF_LEN or less */
	/* The answer. */
	uint32_t got;
	uint8_t status, sense[SCSI_SENSE_MAX];
	uint32_t sense_len;
};

/* A logical unit as its transport reaches it. */
struct scsi_port {
	/**
	 * Returns: 0: answered, x->status says how; -RAY_ENODEV: nobody is there; -RAY_ETIMEDOUT
	 * and -RAY_EIO: the transport failed. Context: thread.
	 */
	int (*exec)(void *ctx, struct scsi_exec *x);
	void *ctx;
};

/**
 * Ask a unit what it is, waiting until it is ready, and for 10 s at most.
 * Returns: 0; -RAY_ENOSYS (it is no disk that we can use); -RAY_ENODEV (nothing there, or no
 *          medium in it); -RAY_EIO, -RAY_ETIMEDOUT (of the transport), -RAY_ENOMEM. Context: thread.
 */
int __must_check scsi_unit_find(const struct scsi_port *port, struct scsi_unit *out);
/**
 * Which logical units a target has (REPORT LUNS); one, 0, when it does not say.
 * @port  its unit 0
 * Returns: how many were written to @luns, in single-level addressing; an error of exec().
 */
int scsi_luns_find(const struct scsi_port *port, uint16_t *luns, unsigned int max);

/** What the block layer is told of it, within what the transport allows in @l already. */
void scsi_limits_fill(const struct scsi_unit *u, struct block_limits *l);

/**
 * The command for a block command. Pure, any context.
 * @cdb    SCSI_CDB_MAX bytes
 * @param  SCSI_PARAM_LEN bytes that are sent where the operation is BLOCK_DISCARD; a BLOCK_ZERO
 *         sends one logical block of zeros
 * Returns: the command's length
 */
uint8_t scsi_cdb_fill(const struct scsi_unit *u, const struct block_cmd *cmd, uint8_t *cdb,
		      uint8_t *param);

/** Sense data, fixed or descriptor format (SPC-5, Sense data). Pure. */
struct scsi_sense scsi_sense_take(const uint8_t *p, size_t len);
/** What an answer means for the block layer: 0, -RAY_EIO, -RAY_EAGAIN (it may work when
 *  repeated). Pure. @sense  only looked at with SCSI_CHECK_CONDITION */
int scsi_result(uint8_t status, const uint8_t *sense, size_t len);

#endif
