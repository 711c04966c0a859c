/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c devices/virt/virtio/input.c
 * devices/virt/virtio/input_config.c security/quota.c kernel/lib/bucket.c kernel/lib/parse.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c kernel/lib/muldiv.c hv/seed.c
 */
/* PARSER: devices/virt/virtio/input.c devices/virt/virtio/input_config.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that selects, reads, gives buffers of any size and sends any status, against a host
 * that sends reports meanwhile. Must hold: no crash, no leak, reports arrive whole and in order,
 * and what the device saves it also loads.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virt/virtio/input.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"
#include "tests/host/fuzz_input.h"

#define SIZE    16u
#define OPS_MAX 300

static const char *const specs[] = {"keyboard", "tablet", "mouse", "keyboard,rate=100"};

static struct vm *vm;
static struct vattach *a;
static struct virtio_dev *d;
static struct fake_ring ring[2];
static uint64_t memory;
static uint32_t expected; /* value of the next event the guest gets */
static uint32_t numbered; /* of the next one sent */

static void start(void)
{
	uint32_t head, len;

	if (!fake_driver_start(d, 0, ring, 2, SIZE))
		abort();
	expected = numbered;
	while (fake_ring_used(&ring[0], &head, &len))
		;
}

/* In a driver's order: values count up by one, over SYNs too. */
static void drain(void)
{
	uint32_t head, len, value;

	while (fake_ring_used(&ring[0], &head, &len)) {
		if (len != 8)
			abort();
		memcpy(&value, (uint8_t *)fake_guest(fake_ring_desc(&ring[0], (uint16_t)head)->addr) + 4,
		       4);
		if (value != expected++)
			abort();
	}
	while (fake_ring_used(&ring[1], &head, &len))
		;
}

static void buffer_op(struct input *in)
{
	unsigned int n = byte(in) % SIZE + 1, len = byte(in) % 16;

	for (unsigned int i = 0; i < n; i++) {
		struct fake_buf b = {memory + 16 * ring[0].desc_next, len ? len : 8, true};

		fake_ring_add(&ring[0], &b, 1);
	}
	fake_ring_kick(&ring[0]);
}

static void status_op(struct input *in)
{
	uint8_t *p = fake_guest(memory + 1024);
	struct fake_buf b = {memory + 1024, byte(in) % 12 + 1, false};

	for (unsigned int i = 0; i < 8; i++)
		p[i] = byte(in);
	fake_ring_add(&ring[1], &b, 1);
	fake_ring_kick(&ring[1]);
}

static void send_op(struct input *in)
{
	unsigned int n = byte(in) % 20 + 1, room = vinput_room(a);
	struct vinput_event ev[20];
	int err;

	for (unsigned int i = 0; i < n; i++)
		ev[i] = (struct vinput_event){i + 1 < n ? VINPUT_EV_KEY : VINPUT_EV_SYN, 0,
					      numbered + i};
	err = vinput_send(a, ev, n);
	if (err == 0)
		numbered += n;
	else if (err == -RAY_ENOSPC ? room >= n : err != -RAY_ENODEV)
		abort();
}

static void config_op(struct input *in, bool write)
{
	uint32_t off = byte(in) % 160;
	unsigned int size = 1u << byte(in) % 3;

	if (write)
		fake_config_write(d, off, size, byte(in) | (uint64_t)byte(in) << 8);
	else
		fake_config_read(d, off, size);
}

static void state_op(void)
{
	static uint8_t record[4096];
	size_t len;

	d->dev.ops->quiesce(&d->dev);
	len = fake_save(&d->dev, record, sizeof(record));
	if (fake_load(&d->dev, record, len - 1) != -RAY_EINVAL ||
	    fake_load(&d->dev, record, len) != 0)
		abort();
	d->dev.ops->resume(&d->dev);
}

static void one(struct input *in)
{
	switch (byte(in) % 8) {
	case 0:
		buffer_op(in);
		break;
	case 1:
		status_op(in);
		break;
	case 2:
		send_op(in);
		break;
	case 3:
	case 4:
		config_op(in, true);
		break;
	case 5:
		config_op(in, false);
		break;
	case 6:
		state_op();
		break;
	default:
		if (byte(in) % 4 == 0)
			start();
		else
			fake_virtio_advance(vm, (uint64_t)byte(in) << 20);
		break;
	}
	fake_io_run(vm);
	drain();
	if (d->broken || ring[0].avail_idx > 60000)
		start();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	char text[96];

	vm = fake_virtio_vm(1);
	a = fake_attach(vm, "input", specs[byte(&in) % ARRAY_SIZE(specs)]);
	d = a->dev;
	memory = fake_guest_alloc(4096, 16);
	numbered = 0;
	start();
	for (unsigned int i = 0; i < OPS_MAX && in.left; i++)
		one(&in);
	a->kind->describe(a, text, sizeof(text));
	fake_virtio_vm_destroy(vm);
	return 0;
}
