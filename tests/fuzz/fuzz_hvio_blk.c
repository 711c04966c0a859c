/* UNIT: devices/host/virtio/hvio_pci.c devices/host/virtio/hvio_ring.c
 * devices/host/virtio/hvio_io.c devices/host/virtio/hvio_blk.c kernel/dma/dma.c
 * kernel/block/dev.c kernel/block/queue.c kernel/block/merge.c kernel/block/fit.c
 * kernel/block/worker.c kernel/block/sync.c kernel/block/fault.c kernel/block/part.c
 * kernel/block/gpt.c kernel/block/gpt_repair.c kernel/lib/err.c kernel/lib/fmt.c
 * kernel/lib/sink.c kernel/block/gpt_write.c kernel/lib/utf8.c
 */
/* PARSER: devices/host/virtio/hvio_pci.c devices/host/virtio/hvio_blk.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * A virtio disk of the host that says what the input says: where its registers are, what it is,
 * whether and how it answers. The driver comes up or gives up, requests end, nothing is left.
 */
#include <stdint.h>
#include <stdlib.h>

#define FAKE_QUEUES      2u
#define FAKE_CONFIG_SIZE VBLK_CFG_SIZE

#include "tests/host/fuzz_hvio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_config(void)
{
	store64(dev_.config + VBLK_CFG_CAPACITY, 2048);
	store32(dev_.config + VBLK_CFG_SEG_MAX, 126);
	store32(dev_.config + VBLK_CFG_BLK_SIZE, 512);
	store16(dev_.config + VBLK_CFG_NUM_QUEUES, FAKE_QUEUES);
	store32(dev_.config + VBLK_CFG_MAX_DISCARD, 1000);
	store32(dev_.config + VBLK_CFG_DISCARD_ALIGN, 8);
	store32(dev_.config + VBLK_CFG_MAX_ZEROES, 1000);
}

static bool fake_hvio_request(const struct hvio_desc *d, unsigned int n)
{
	enum fuzz_how how = fuzz_how();

	if (n < 2 || d[n - 1].len != 1 || !(d[n - 1].flags & VIRTIO_DESC_WRITE))
		abort();
	if (how == HOW_NEVER)
		return false;
	*(uint8_t *)fake_memory(d[n - 1].addr) = how == HOW_RIGHT ? VIRTIO_BLK_S_OK : byte(&in);
	for (unsigned int i = 1; i + 1 < n && how == HOW_WRONG; i++) {
		if (d[i].flags & VIRTIO_DESC_WRITE)
			*(uint8_t *)fake_memory(d[i].addr) = byte(&in);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_run(data, size,
		 VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_BLK_F_SEG_MAX |
			 VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_MQ |
			 VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES);
	return 0;
}
