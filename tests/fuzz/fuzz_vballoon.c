/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c devices/virt/virtio/balloon.c
 * security/quota.c kernel/lib/bucket.c kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c
 * kernel/lib/err.c kernel/lib/muldiv.c hv/seed.c
 */
/* PARSER: devices/virt/virtio/balloon.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that inflates, deflates and reports whatever it likes. Must hold: no crash, no leak,
 * the balloon never holds more than there is memory, what goes back is whole chunks named by
 * the guest, and what is saved also loads.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virt/virtio/balloon.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"
#include "tests/host/fuzz_input.h"

#define SIZE    16u
#define OPS_MAX 200
#define PAGES   (FAKE_RAM_SIZE / PAGE_SIZE)

static struct vm *vm;
static struct vattach *a;
static struct virtio_dev *d;
static struct fake_ring ring[4];
static uint64_t memory;

uint64_t gmem_release(struct vm *m, const struct gmem_range *ranges, unsigned int count)
{
	uint64_t bytes = 0;

	if (m != vm || count > 64)
		abort();
	for (unsigned int i = 0; i < count; i++)
		bytes += ranges[i].len;
	return bytes;
}

static void start(struct input *in)
{
	uint64_t features = BIT(1) | BIT(5);

	if (byte(in) & 1)
		features &= ~BIT(1);
	if (!fake_driver_start(d, features, ring, features & BIT(1) ? 4 : 3, SIZE))
		abort();
}

/* A run of page numbers, or words of the input. */
static void pages_op(struct input *in)
{
	struct fake_ring *r = &ring[byte(in) % 3];
	uint32_t first = word(in), count = byte(in) * 8u + byte(in) % 8u;
	uint32_t *p = fake_guest(memory);
	struct fake_buf b = {memory, count * 4 + byte(in) % 2, false};
	bool run = byte(in) & 1;

	if (byte(in) & 1)
		first %= 2 * PAGES;
	for (uint32_t i = 0; i < count; i++)
		p[i] = run ? first + i : word(in);
	if (b.len == 0)
		b.len = 1;
	fake_ring_add(r, &b, 1);
	fake_ring_kick(r);
}

static void report_op(struct input *in)
{
	struct fake_ring *r = &ring[2 + byte(in) % 2];
	unsigned int n = byte(in) % SIZE + 1;
	struct fake_buf b[SIZE];

	if (!r->d)
		return;
	for (unsigned int i = 0; i < n; i++)
		b[i] = (struct fake_buf){(uint64_t)word(in) << (byte(in) % 32), word(in) | 1,
					 !(byte(in) == 7)};
	fake_ring_add(r, b, n);
	fake_ring_kick(r);
}

static void shell_op(struct input *in)
{
	struct vballoon_info i;

	vballoon_ask(a);
	vballoon_target_set(a, (uint64_t)byte(in) << 12);
	if (!vballoon_info(a, &i) || i.held > FAKE_RAM_SIZE)
		abort();
}

static void state_op(void)
{
	static uint8_t record[8192];
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
	switch (byte(in) % 6) {
	case 0:
	case 1:
		pages_op(in);
		break;
	case 2:
		report_op(in);
		break;
	case 3:
		shell_op(in);
		break;
	case 4:
		state_op();
		break;
	default:
		start(in);
		break;
	}
	fake_io_run(vm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	vm = fake_virtio_vm(1);
	vm->def.memory = FAKE_RAM_SIZE;
	vm->mem.count = 1;
	vm->mem.region[0] = (struct gmem_region){.size = FAKE_RAM_SIZE, .type = GMEM_RAM};
	memory = fake_guest_alloc(16384, 4096);
	a = fake_attach(vm, "balloon", "");
	d = a->dev;
	memset(ring, 0, sizeof(ring));
	start(&in);
	for (int i = 0; in.left && i < OPS_MAX; i++)
		one(&in);
	vm->mem.count = 0;
	fake_virtio_vm_destroy(vm);
	return 0;
}
