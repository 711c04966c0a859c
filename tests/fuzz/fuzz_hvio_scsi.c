/* UNIT: devices/host/virtio/hvio_pci.c devices/host/virtio/hvio_ring.c
 * devices/host/virtio/hvio_io.c devices/host/virtio/hvio_scsi.c
 * devices/host/virtio/hvio_scsi_io.c devices/host/scsi/scsi.c devices/host/scsi/scsi_find.c
 * kernel/dma/dma.c kernel/block/dev.c kernel/block/queue.c kernel/block/merge.c
 * kernel/block/fit.c kernel/block/worker.c kernel/block/sync.c kernel/block/fault.c
 * kernel/block/part.c kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/block/gpt_write.c kernel/lib/utf8.c
 */
/* PARSER: devices/host/scsi/scsi.c devices/host/scsi/scsi_find.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * A SCSI host and disks that say what the input says: registers, what they are, status and sense,
 * whether they answer. The driver comes up or gives up, requests end, nothing is left behind.
 */
#include <stdint.h>
#include <stdlib.h>

#define FAKE_QUEUES      4u
#define FAKE_CONFIG_SIZE VSCSI_CFG_SIZE

#include "tests/host/fake_scsi.h"
#include "tests/host/fuzz_hvio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_config(void)
{
	store32(dev_.config + VSCSI_CFG_NUM_QUEUES, FAKE_QUEUES - VSCSI_QUEUE_FIRST);
	store32(dev_.config + VSCSI_CFG_SEG_MAX, 126);
	store32(dev_.config + VSCSI_CFG_MAX_SECTORS, 0xffff);
	store32(dev_.config + VSCSI_CFG_CMD_PER_LUN, 128);
	store16(dev_.config + VSCSI_CFG_MAX_TARGET, 1);
}

static bool transfer(uint8_t op)
{
	switch (op) {
	case SCSI_READ_10: case SCSI_WRITE_10: case SCSI_READ_16: case SCSI_WRITE_16:
	case SCSI_WRITE_SAME_16: case SCSI_UNMAP: case SCSI_SYNC_10:
		return true;
	default:
		return false;
	}
}

/* What the disk says of itself: sound, but for what the input changes. */
static void describe(const struct vscsi_request *r, const struct hvio_desc *d, unsigned int n,
		     unsigned int at, struct fake_answer *a)
{
	static struct fake_scsi unit;
	uint8_t *buf = at + 1 < n ? fake_memory(d[at + 1].addr) : NULL;
	uint32_t len = buf ? d[at + 1].len : 0;

	fake_scsi_init(&unit);
	fake_scsi_do(&unit, r->cdb, NULL, 0, buf, len, a);
	for (unsigned int k = byte(&in) % 8; len > 0 && k > 0; k--) {
		uint32_t where = byte(&in) % MIN(len, 64u);

		buf[where] = byte(&in);
	}
}

static bool fake_hvio_request(const struct hvio_desc *d, unsigned int n)
{
	const struct vscsi_request *r = fake_memory(d[0].addr);
	enum fuzz_how how = fuzz_how();
	struct fake_answer a = {.status = SCSI_GOOD};
	struct vscsi_response *out;
	unsigned int at = 1;

	while (!(d[at].flags & VIRTIO_DESC_WRITE)) {
		if (++at == n)
			abort();
	}
	if (how == HOW_NEVER)
		return false;
	if (!transfer(r->cdb[0]))
		describe(r, d, n, at, &a);
	out = fake_memory(d[at].addr);
	out->response = r->lun[1] == 0 ? VSCSI_OK : VSCSI_BAD_TARGET;
	out->status = a.status;
	out->sense_len = (uint32_t)a.sense_len;
	memcpy(out->sense, a.sense, sizeof(out->sense));
	for (unsigned int i = at + 1; i < n; i++)
		out->residual += transfer(r->cdb[0]) ? 0 : d[i].len;
	out->residual -= (uint32_t)a.got;
	if (how == HOW_WRONG) {
		for (unsigned int k = 0; k < 20; k++)
			((uint8_t *)out)[k] = byte(&in);
	} else if (how == HOW_STATUS) {
		out->status = SCSI_CHECK_CONDITION;
		out->sense_len = byte(&in);
		for (unsigned int k = 0; k < 14; k++)
			out->sense[k] = byte(&in);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_run(data, size, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | 7u);
	return 0;
}
