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
/* PARSER: devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/device.c
 * devices/virt/virtio/state.c devices/virt/pci.c devices/virt/pci_dev.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * A guest that does anything to the PCI bus with two virtio devices on it: configuration space
 * and BARs of every width, notifies, rings where it likes, while devices come and go and are
 * saved and loaded, whole or cut. Must hold: no crash, no leak, the core's limits.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"
#include "tests/host/fuzz_input.h"

#define OPS_MAX    400
#define RECORD_MAX 8192
#define MEMORY_BAR 0xe0000000u
#define BAR_STEP   0x10000u
#define PORT_BAR   0xc000u

static struct vm *vm;

static void limits_hold(const struct vattach *a)
{
	const struct virtio_dev *d = a->dev;

	if (d->features & ~d->offered)
		abort();
	if ((d->status & VIRTIO_S_DRIVER_OK) && !(d->features & VIRTIO_F_VERSION_1))
		abort();
	for (unsigned int i = 0; i < d->queue_count; i++) {
		const struct virtq *q = &d->queue[i];

		if (q->size == 0 || q->size > q->size_max || (q->size & (q->size - 1)))
			abort();
		if (q->enabled && !(d->status & VIRTIO_S_DRIVER_OK))
			abort();
		if (q->vector != VIRTIO_NO_VECTOR && q->vector >= d->msix.count)
			abort();
	}
}

static unsigned int width(struct input *in)
{
	return 1u << byte(in) % 4;
}

static uint64_t value_of(struct input *in)
{
	uint64_t v = byte(in);

	switch (v & 3) {
	case 0: return v >> 2;
	case 1: return byte(in) | (uint64_t)byte(in) << 8;
	case 2: return UINT64_MAX - (v >> 2);
	default: return (uint64_t)byte(in) << 12; /* guest memory: rings */
	}
}

static void config_op(struct input *in, bool write)
{
	unsigned int slot = byte(in) % 4, off = byte(in);
	unsigned int size = 1u << byte(in) % 3;

	if (off % 4 + size > 4)
		off &= ~3u;
	fake_out(vm, 0xcf8, 4, 0x80000000u | slot << 11 | (off & 0xfc));
	if (write)
		fake_out(vm, (uint16_t)(0xcfc + off % 4), size, (uint32_t)value_of(in));
	else
		fake_in(vm, (uint16_t)(0xcfc + off % 4), size);
}

/* Decoding on and BARs where register accesses look for them. */
static void place_op(struct input *in)
{
	uint32_t slot = byte(in) % 4;
	const struct {
		uint32_t off, value;
	} regs[] = {{0x10, PORT_BAR + slot * 0x40}, {0x14, MEMORY_BAR + slot * BAR_STEP}, {0x04, 7}};

	for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++) {
		fake_out(vm, 0xcf8, 4, 0x80000000u | slot << 11 | regs[i].off);
		fake_out(vm, 0xcfc, 4, regs[i].value);
	}
}

static void memory_op(struct input *in, bool write)
{
	static const uint32_t areas[] = {0, 0, 0, 0x1000, 0x2000, 0x3000, 0x4000, 0x5000};
	uint64_t at = MEMORY_BAR + byte(in) % 4 * BAR_STEP + areas[byte(in) % 8] + byte(in) % 64;
	unsigned int size = width(in);

	if (write)
		fake_mmio_write(vm, at, size, value_of(in));
	else
		fake_mmio_read(vm, at, size);
}

static void port_op(struct input *in)
{
	uint16_t port = (uint16_t)(PORT_BAR + byte(in) % 4 * 0x40 + byte(in) % 16);
	unsigned int size = 1u << byte(in) % 3;

	if (byte(in) & 1)
		fake_out(vm, port, size, byte(in));
	else
		fake_in(vm, port, size);
}

static void bytes_op(struct input *in)
{
	uint32_t at = (uint32_t)byte(in) << 12 | byte(in) % 64;

	for (unsigned int n = byte(in) % 32; n > 0 && at < FAKE_RAM_SIZE; n--)
		fake_ram[at++] = byte(in);
}

static struct vattach *nth(unsigned int n)
{
	struct vattach *a;

	list_for_each_entry(a, &vm->attached, node) {
		if (n-- == 0)
			return a;
	}
	return NULL;
}

static void come_and_go(struct input *in)
{
	struct vattach *a = nth(byte(in) % 3);

	if (a)
		vattach_remove(a);
	else
		fake_attach(vm, "echo", "");
}

static void state_op(struct input *in)
{
	static uint8_t record[RECORD_MAX];
	struct vattach *a = nth(byte(in) % 3);
	unsigned int how = byte(in);
	size_t len, at;

	if (!a)
		return;
	a->dev->dev.ops->quiesce(&a->dev->dev);
	len = fake_save(&a->dev->dev, record, sizeof(record));
	at = ((size_t)byte(in) << 8 | byte(in)) % len;
	if (how & 1)
		record[at] = byte(in);
	if (how & 2)
		len = at;
	if (fake_load(&a->dev->dev, record, len) != 0 && how % 4 == 0)
		abort(); /* its own, untouched */
	a->dev->dev.ops->resume(&a->dev->dev);
}

static void one(struct input *in)
{
	struct vattach *a = nth(0);

	switch (byte(in) % 12) {
	case 0: config_op(in, false); break;
	case 1: config_op(in, true); break;
	case 2: place_op(in); break;
	case 3: memory_op(in, false); break;
	case 4: case 5: case 6: memory_op(in, true); break;
	case 7: port_op(in); break;
	case 8: bytes_op(in); break;
	case 9: state_op(in); break;
	case 10:
		if (byte(in) % 8 == 0)
			come_and_go(in);
		else if (a)
			virtio_config_changed(a->dev);
		break;
	default: fake_io_run(vm); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct vattach *a;

	vm = fake_virtio_vm(1);
	fake_attach(vm, "echo", "");
	fake_attach(vm, "echo", "rate=1M");
	for (unsigned int i = 0; i < OPS_MAX && in.left > 0; i++) {
		one(&in);
		fake_io_run(vm);
		list_for_each_entry(a, &vm->attached, node)
			limits_hold(a);
	}
	if (fake_end != VM_END_NONE)
		abort();
	fake_virtio_vm_destroy(vm);
	return 0;
}
