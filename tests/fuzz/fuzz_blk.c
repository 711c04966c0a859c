/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c devices/virt/virtio/blk.c
 * devices/virt/virtio/blk_dev.c devices/virt/virtio/blk_flight.c devices/virt/back/dev.c
 * devices/virt/back/copy.c devices/virt/back/image.c devices/virt/back/thin.c security/quota.c
 * kernel/lib/bucket.c kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c
 * kernel/lib/muldiv.c hv/seed.c devices/virt/back/seed.c devices/virt/back/iso9660.c
 */
/* PARSER: devices/virt/virtio/blk.c devices/virt/back/thin.c devices/virt/back/image.c
 * devices/virt/back/copy.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * Requests of any shape to a disk on each of the back ends. The input chooses the disk, then is
 * a list of operations. Must hold: no crash, no leak, what is in use is accounted for, a status
 * is one of three, and the module under an overlay does not change.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virt/virtio/blk.h"
#include "kernel/module.h"
#include "tests/host/fake_block.h"
#include "tests/host/fake_pages.h"
#include "tests/host/fake_ring.h"
#include "tests/host/fuzz_input.h"

#define OPS_MAX  200
#define SIZE     16u
#define BUF_SIZE KIB(1024)
#define BUFS_MAX 6u

static uint8_t module[KIB(200) + 77], pristine[sizeof(module)];

static struct vm *vm;
static struct virtio_dev *d;
static struct fake_ring ring;
static uint64_t hdr, buf, status;

int module_find(const char *name, const uint8_t **data, uint64_t *size)
{
	(void)name;
	*data = module;
	*size = sizeof(module);
	return 0;
}

static uint64_t sector_of(struct input *in)
{
	uint8_t how = byte(in);
	uint64_t end = vblk_of(d)->disk->back->size / BLK_SECTOR;

	switch (how >> 6) {
	case 0: return how & 0x3f;
	case 1: return (how & 0x3fu) * 128;
	case 2: return end - (how & 0x3f);
	default: return word(in) | (uint64_t)word(in) << 32;
	}
}

static void header(struct input *in)
{
	static const uint32_t types[] = {0, 1, 1, 4, 8, 11, 13, 13};
	struct vblk_header *h = fake_guest(hdr);
	uint8_t how = byte(in);

	h->type = how & 0x80 ? word(in) : types[how % ARRAY_SIZE(types)];
	h->sector = sector_of(in);
	for (unsigned int i = 0; i < 2; i++) {
		struct vblk_range *range = (struct vblk_range *)fake_guest(buf) + i;

		range->sector = sector_of(in);
		range->sectors = how & 0x40 ? word(in) : byte(in) * 4u;
		range->flags = how & 0x20 ? word(in) : byte(in) & 1;
	}
}

/* The usual three buffers, or whatever. */
static void chain(struct input *in)
{
	struct fake_buf b[BUFS_MAX];
	uint8_t how = byte(in);
	unsigned int n = 0;

	b[n++] = (struct fake_buf){hdr, how & 0x80 ? byte(in) % 40u : 16, false};
	if (how & 0x40) {
		unsigned int more = how & 3;

		for (unsigned int i = 0; i < more; i++) {
			uint8_t kind = byte(in);

			b[n++] = (struct fake_buf){buf + (kind & 0x7f), word(in) % KIB(512),
						   kind >> 7 & 1};
		}
	} else if (how & 3) {
		static const uint32_t unit[] = {0, 512, 16, 65536};

		b[n++] = (struct fake_buf){buf, unit[how & 3] * ((how >> 3 & 7u) + 1), how >> 2 & 1};
	}
	if (!(how & 0x80) || byte(in) & 1)
		b[n++] = (struct fake_buf){status, 1, true};
	*(uint8_t *)fake_guest(status) = 0;
	if (byte(in) & 1)
		fake_ring_add_indirect(&ring, b, n);
	else
		fake_ring_add(&ring, b, n);
}

static void start(struct input *in)
{
	uint64_t f = VIRTIO_F_INDIRECT_DESC | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_DISCARD |
		     VIRTIO_BLK_F_WRITE_ZEROES | VIRTIO_BLK_F_CONFIG_WCE;

	if (byte(in) & 1)
		f = 0;
	if (!fake_driver_start(d, f & d->offered, &ring, 1, SIZE))
		abort();
}

static void drain(void)
{
	uint32_t head, len;

	while (fake_ring_used(&ring, &head, &len)) {
		if (head >= SIZE || len > BUF_SIZE * 4)
			abort();
	}
	if (*(uint8_t *)fake_guest(status) > VIRTIO_BLK_S_UNSUPP)
		abort();
}

static void operation(struct input *in)
{
	uint8_t op = byte(in);

	switch (op % 12) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
	case 5:
		header(in);
		chain(in);
		fake_ring_kick(&ring);
		if (op & 0x80) /* the driver changes its mind while the request waits */
			fake_ring_desc(&ring, byte(in) % SIZE)->len = word(in) % 8192;
		if (!(op & 0x40))
			fake_io_run(vm);
		break;
	case 6:
		fake_virtio_advance(vm, word(in));
		break;
	case 7:
		start(in);
		break;
	case 8:
		fake_allocs_left = byte(in) % 4;
		fake_io_run(vm);
		fake_allocs_left = -1;
		break;
	case 9:
		fake_epoch_run();
		break;
	case 10:
		fake_config_write(d, byte(in), 1, byte(in));
		break;
	default:
		fake_io_run(vm);
		break;
	}
	if (d->broken)
		start(in);
	drain();
}

static void module_fill(void)
{
	if (pristine[0])
		return;
	for (size_t i = 0; i < sizeof(module); i++)
		module[i] = pristine[i] = (uint8_t)(i * 7 + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const specs[] = {
		"ram=1M", "module=m", "module=m,ro", "ram=1M,space=200K", "ram=100K,iops=1000",
		"module=m,rate=1M,space=150K", "ram=512", "ram=1T",
	};
	struct input in = {bytes, size};
	struct vattach *a;
	uint64_t used, home;

	module_fill();
	vm = fake_virtio_vm(1);
	a = fake_attach(vm, "disk", specs[byte(&in) % ARRAY_SIZE(specs)]);
	d = a->dev;
	hdr = fake_guest_alloc(64, 16);
	status = fake_guest_alloc(64, 64);
	buf = fake_guest_alloc(BUF_SIZE, 4096);
	home = fake_guest_alloc(0, 1);
	start(&in);
	for (int i = 0; in.left && i < OPS_MAX && fake_guest_alloc(0, 1) < home + MIB(2); i++)
		operation(&in);
	fake_epoch_run();
	used = quota_in_use(&a->handler.quota);
	if (used < (uint64_t)fake_pages_live * PAGE_SIZE || used > a->handler.quota.limits.bytes_in_use)
		abort();
	fake_virtio_vm_destroy(vm);
	if (fake_pages_live || memcmp(module, pristine, sizeof(module)) != 0)
		abort();
	return 0;
}
