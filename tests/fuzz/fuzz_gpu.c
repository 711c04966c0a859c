/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c devices/virt/virtio/gpu.c
 * devices/virt/virtio/gpu_cmd.c devices/virt/virtio/gpu_edid.c devices/virt/virtio/gpu_format.c
 * devices/virt/virtio/gpu_read.c devices/virt/virtio/gpu_res.c devices/virt/virtio/gpu_state.c
 * security/quota.c kernel/lib/bucket.c kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c
 * kernel/lib/err.c kernel/lib/muldiv.c hv/seed.c
 */
/* PARSER: devices/virt/virtio/gpu_cmd.c devices/virt/virtio/gpu_res.c
 * devices/virt/virtio/gpu_state.c devices/virt/virtio/gpu_read.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that sends any command with any body. Must hold: no crash, no leak, a command that
 * can be answered is answered, pictures can be taken at any time, and what the device saves it
 * also loads; a record that was changed is refused or is one it could have saved.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virt/virtio/gpu_priv.h"
#include "tests/host/fake_pages.h"
#include "tests/host/fake_ring.h"
#include "tests/host/fuzz_input.h"

#define SIZE      16u
#define OPS_MAX   200
#define SHOT_SIDE 256u
#define RECORD    KIB(512)

void *vmap_alloc(size_t size)
{
	return malloc(size);
}

void vmap_free(void *p)
{
	free(p);
}

static struct vm *vm;
static struct vattach *a;
static struct virtio_dev *d;
static struct fake_ring ring[2];
static uint64_t request, response, backing;

/* Mostly small, sometimes anything: 0xff is followed by four bytes. */
static uint32_t number(struct input *in)
{
	uint32_t v = byte(in);

	if (v != 0xff)
		return v;
	v = byte(in);
	v |= (uint32_t)byte(in) << 8;
	v |= (uint32_t)byte(in) << 16;
	return v | (uint32_t)byte(in) << 24;
}

static void start(void)
{
	if (!fake_driver_start(d, VGPU_F_EDID, ring, 2, SIZE))
		abort();
}

static void drain(void)
{
	uint32_t head, len;

	fake_io_run(vm);
	for (unsigned int i = 0; i < 2; i++) {
		while (fake_ring_used(&ring[i], &head, &len)) {
			const struct vgpu_hdr *hdr = fake_guest(response);

			if (len && (hdr->type < VGPU_OK_NODATA || hdr->type > VGPU_ERR_INVALID_PARAMETER))
				abort();
		}
	}
	if (d->broken || ring[0].avail_idx > 60000)
		start();
}

/* op, type, flags, words of the body */
static void command_op(struct input *in, unsigned int queue)
{
	uint8_t type = byte(in), words = byte(in) % 32;
	struct vgpu_hdr hdr = {.type = (queue ? 0x300u : 0x100u) + type % 16, .flags = type >> 7};
	uint32_t *body = (uint32_t *)((uint8_t *)fake_guest(request) + sizeof(hdr));
	struct fake_buf b[] = {{request, sizeof(hdr) + 4u * words, false},
			       {response, type & 0x40 ? 1056 : 24, true}};

	memcpy(fake_guest(request), &hdr, sizeof(hdr));
	for (unsigned int i = 0; i < words; i++)
		body[i] = number(in);
	/* Addresses of entries are where memory is, mostly. */
	if (hdr.type == VGPU_RESOURCE_ATTACH_BACKING && !(type & 0x20)) {
		for (unsigned int i = 2; i + 1 < words; i += 4)
			body[i] = (uint32_t)backing + body[i] * 16;
	}
	fake_ring_add(&ring[queue], b, queue && (type & 0x20) ? 1 : 2);
	fake_ring_kick(&ring[queue]);
}

/* Lengths that no command has. */
static void odd_op(struct input *in)
{
	unsigned int queue = byte(in) & 1;
	struct fake_buf b[] = {{request, byte(in) + 1u, false}, {response, byte(in) + 1u, true}};

	fake_ring_add(&ring[queue], b, byte(in) % 2 + 1);
	fake_ring_kick(&ring[queue]);
}

static void picture_op(void)
{
	static uint32_t pixels[SHOT_SIDE * SHOT_SIDE];
	struct vgpu_shot s = {.pixels = pixels};

	if (!vgpu_size(a, &s.width, &s.height) || s.width > SHOT_SIDE || s.height > SHOT_SIDE)
		return;
	vgpu_shot_begin(vgpu_of(d), &s);
	fake_io_run(vm);
	(void)vgpu_shot_end(&s);
	for (unsigned int i = 0; s.err == 0 && i < s.width * s.height; i++) {
		if (pixels[i] >> 24)
			abort();
	}
}

static void state_op(struct input *in)
{
	static uint8_t record[RECORD];
	struct state_buf b = {.data = NULL};
	size_t len;

	d->dev.ops->quiesce(&d->dev);
	d->dev.ops->save(&d->dev, &b);
	if (b.len <= sizeof(record)) {
		len = fake_save(&d->dev, record, sizeof(record));
		if (len != b.len)
			abort();
		/* Old and new resources both count for a moment: perhaps they do not fit. */
		if (fake_load(&d->dev, record, len) == 0) {
			record[len - 1 - byte(in) % MIN(len, 256u)] ^= byte(in);
			(void)fake_load(&d->dev, record, len);
		}
	}
	d->dev.ops->resume(&d->dev);
}

static void one(struct input *in)
{
	switch (byte(in) % 8) {
	case 0:
	case 1:
	case 2:
	case 3:
		command_op(in, 0);
		break;
	case 4:
		command_op(in, 1);
		break;
	case 5:
		odd_op(in);
		break;
	case 6:
		picture_op();
		break;
	default:
		if (byte(in) % 4)
			state_op(in);
		else
			start();
		break;
	}
	drain();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	vm = fake_virtio_vm(1);
	a = fake_attach(vm, "gpu", "memory=2M");
	d = a->dev;
	request = fake_guest_alloc(4096, 16);
	response = fake_guest_alloc(4096, 16);
	backing = fake_guest_alloc(MIB(1), 4096);
	start();
	for (unsigned int i = 0; i < OPS_MAX && in.left; i++)
		one(&in);
	fake_virtio_vm_destroy(vm);
	if (fake_pages_live)
		abort();
	return 0;
}
