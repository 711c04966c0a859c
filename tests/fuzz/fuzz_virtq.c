/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c security/quota.c kernel/lib/bucket.c
 * kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c kernel/lib/muldiv.c
 * hv/seed.c
 */
/* PARSER: devices/virt/virtio/virtq.c devices/virt/virtio/chain.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * Rings with anything in them, under a device that copies what it reads to what it writes. The
 * input is a list of operations on two queues. Must hold: no access outside guest memory, no
 * leak, and after a reset the device works again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/host/fake_ring.h"
#include "tests/host/fuzz_input.h"

#define OPS_MAX 300
#define IO_MAX  16 /* turns of the I/O thread at once; who needs more feeds itself */
#define SIZE    8u
#define TABLE   16u

static struct vm *vm;
static struct virtio_dev *d;
static struct fake_ring ring[2];
static uint64_t table;

/* Addresses that matter: ends of chunks and of memory, the rings themselves, anything. */
static uint64_t address(struct input *in)
{
	const uint64_t base[] = {0, SIZE_2M, FAKE_RAM_SIZE, table, ring[0].desc, ring[0].avail,
				 ring[1].used, 0xfffffffffffff000};
	uint8_t how = byte(in);

	if (how & 0x80)
		return word(in) | (uint64_t)word(in) << 32;
	return base[how % ARRAY_SIZE(base)] + (uint64_t)(int64_t)(int8_t)byte(in);
}

static struct fake_desc descriptor(struct input *in)
{
	struct fake_desc desc = {.addr = address(in)};
	uint8_t how = byte(in);

	desc.len = how & 0x80 ? word(in) : how & 0x3f;
	if ((how & 0xc0) == 0x40)
		desc.len *= 16; /* of an indirect table */
	how = byte(in);
	desc.flags = how & 7;
	desc.next = (how & 0xf8) == 0xf8 ? (uint16_t)word(in) : how >> 3 & 0xf;
	return desc;
}

static void start(uint8_t how)
{
	if (!fake_driver_start(d, (how & 1 ? VIRTIO_F_EVENT_IDX : 0) |
				  (how & 2 ? VIRTIO_F_INDIRECT_DESC : 0), ring, 2, SIZE))
		abort();
}

static bool busy; /* for ever, as it seems */

static void io_run(void)
{
	busy |= fake_io_run(vm) >= IO_MAX;
}

/* The rings elsewhere: registers as a driver would write them, while the queue is off. */
static void move(struct input *in, struct fake_ring *r)
{
	r->desc = address(in);
	r->avail = address(in);
	r->used = address(in);
	fake_common_write(d, FAKE_STATUS, 1, 0);
	fake_common_write(d, FAKE_STATUS, 1, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);
	fake_common_write(d, FAKE_GFSELECT, 4, 1);
	fake_common_write(d, FAKE_GF, 4, 1);
	fake_common_write(d, FAKE_STATUS, 1, VIRTIO_S_FEATURES_OK);
	fake_ring_enable(r);
	fake_common_write(d, FAKE_STATUS, 1, VIRTIO_S_DRIVER_OK);
	io_run();
}

static void poke(uint64_t gpa, uint8_t value)
{
	if (gpa < FAKE_RAM_SIZE)
		*(uint8_t *)fake_guest(gpa) = value;
}

/* Whether the helpers may write to it: it lies where fake_ring_init() has put it. */
static bool at_home(const struct fake_ring *r)
{
	return r->desc < r->avail && r->avail < r->used && r->used + 6 + 8 * SIZE < table + SIZE_2M &&
	       r->used < FAKE_RAM_SIZE - 4096;
}

static void operation(struct input *in)
{
	uint8_t op = byte(in);
	struct fake_ring *r = &ring[op >> 7];

	switch (op % 10) {
	case 0:
	case 1:
		if (at_home(r))
			*fake_ring_desc(r, byte(in) % SIZE) = descriptor(in);
		break;
	case 2:
		((struct fake_desc *)fake_guest(table))[byte(in) % TABLE] = descriptor(in);
		break;
	case 3:
		if (at_home(r))
			fake_ring_push(r, op & 0x40 ? byte(in) : byte(in) % SIZE);
		break;
	case 4:
		fake_ring_kick(r);
		break;
	case 5:
		io_run();
		break;
	case 6:
		fake_echo_slow = byte(in) & 1;
		break;
	case 7:
		poke(address(in), byte(in));
		break;
	case 8:
		move(in, r);
		break;
	default:
		start(byte(in));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct input in = {bytes, size};
	uint64_t home;

	fake_io_limit = IO_MAX;
	vm = fake_virtio_vm(1);
	d = fake_attach(vm, "echo", "")->dev;
	table = fake_guest_alloc(16 * TABLE, 16);
	home = fake_guest_alloc(0, 1);
	start(byte(&in));
	busy = false;
	for (int i = 0; in.left && i < OPS_MAX && !busy; i++) {
		/* Guest memory for rings is not given back: begin again where it was. */
		if (fake_guest_alloc(0, 1) > home + MIB(1))
			break;
		operation(&in);
	}
	fake_echo_slow = false;
	start(3);
	if (d->broken || !d->queue[0].enabled)
		abort();
	fake_virtio_vm_destroy(vm);
	return 0;
}
