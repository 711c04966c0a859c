/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c devices/virt/virtio/console.c
 * devices/virt/virtio/console_ctl.c devices/virt/virtio/console_state.c
 * devices/virt/back/console_port.c devices/virt/term.c security/quota.c kernel/lib/bucket.c
 * kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c kernel/lib/muldiv.c
 * hv/seed.c
 */
/* PARSER: devices/virt/virtio/console_ctl.c devices/virt/virtio/console_state.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that says anything to a console with three ports while operators type, come and go.
 * Must hold: no crash, no leak; what is written to a port is in its ring; what is typed arrives
 * once and in order; a saved record loads, one cut short or at will does no harm.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virt/virtio/console.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"
#include "tests/host/fuzz_input.h"

#define SIZE    16u
#define QUEUES  8u
#define PORTS   3u
#define OPS_MAX 300

static struct vm *vm;
static struct vattach *a;
static struct virtio_dev *d;
static struct fake_ring ring[QUEUES];
static uint64_t memory; /* a page for each queue */
static uint8_t typed[PORTS], seen[PORTS]; /* what is typed counts up; the next to be seen */

static struct vcport *port(unsigned int n)
{
	return vconsole_ports(vm)->port[n];
}

static void start(bool multiport)
{
	if (!fake_driver_start(d, multiport ? 3 : 1, ring, QUEUES, SIZE))
		abort();
}

static void push(unsigned int queue, uint32_t len, bool write)
{
	uint32_t slot = (uint32_t)ring[queue].desc_next * 256;
	struct fake_buf b = {.gpa = memory + 4096ull * queue + slot, .len = len, .write = write};

	fake_ring_add(&ring[queue], &b, 1);
	fake_ring_kick(&ring[queue]);
	fake_io_run(vm);
}

static void *slot(unsigned int queue)
{
	return fake_guest(memory + 4096ull * queue + (uint64_t)ring[queue].desc_next * 256);
}

/* Everything used: of receive queues what was typed, in order. */
static void drain(void)
{
	uint32_t head, len;

	for (unsigned int q = 0; q < QUEUES; q++) {
		unsigned int p = q < 2 ? 0 : q / 2 - 1;

		while (fake_ring_used(&ring[q], &head, &len)) {
			const uint8_t *at = fake_guest(fake_ring_desc(&ring[q], (uint16_t)head)->addr);

			if (q == 2 || q % 2)
				continue;
			for (uint32_t i = 0; i < len; i++) {
				if (at[i] != seen[p]++)
					abort();
			}
		}
	}
}

static void control_op(struct input *in)
{
	uint32_t len = byte(in) % 13;
	uint8_t *at = slot(3);

	for (uint32_t i = 0; i < len; i++)
		at[i] = byte(in);
	push(3, len, false);
}

static void output_op(struct input *in)
{
	unsigned int p = byte(in) % PORTS, q = p ? 3 + 2 * p : 1;
	uint64_t before = vterm_position(&port(p)->term);
	bool works = !d->broken && (q == 1 || virtio_has(d, BIT(1)));
	uint32_t len = byte(in);

	push(q, len, false);
	if (works && !d->broken && vterm_position(&port(p)->term) != before + len)
		abort();
}

static void type_op(struct input *in)
{
	unsigned int p = byte(in) % PORTS;
	struct vterm *t = &port(p)->term;
	unsigned int n = byte(in);

	while (n-- > 0 && t->ops->type(t, (const char *)&typed[p], 1) == 1)
		typed[p]++;
	fake_io_run(vm);
}

static void operator_op(struct input *in)
{
	struct vcport *p = port(byte(in) % PORTS);
	struct vterm *t = &p->term;

	switch (byte(in) % 3) {
	case 0:
		t->ops->session(t, true);
		break;
	case 1:
		if (p->sessions)
			t->ops->session(t, false);
		break;
	default:
		t->ops->resize(t, byte(in), byte(in));
		break;
	}
	fake_io_run(vm);
}

static void state_op(struct input *in)
{
	static uint8_t record[16384];
	struct state_buf b = {.data = record, .cap = sizeof(record)};
	size_t len;

	d->dev.ops->quiesce(&d->dev);
	len = fake_save(&d->dev, record, sizeof(record));
	if (fake_load(&d->dev, record, len - 1) != -RAY_EINVAL || fake_load(&d->dev, record, len))
		abort();
	/* The device's own part by itself, with one byte of another value. */
	d->ops->save(d, &b);
	record[(byte(in) | byte(in) << 8) % b.len] = byte(in);
	(void)d->ops->load(d, &b, d->ops->state_version);
	d->dev.ops->resume(&d->dev);
	/* Nobody knows now what was typed, nor what is half sent. */
	start(byte(in) & 1);
	for (unsigned int p = 0; p < PORTS; p++) {
		port(p)->in_count = 0;
		seen[p] = typed[p];
	}
}

static void one(struct input *in)
{
	switch (byte(in) % 8) {
	case 0:
		control_op(in);
		break;
	case 1:
		push(2, byte(in), true);
		break;
	case 2:
		output_op(in);
		break;
	case 3: {
		unsigned int p = byte(in) % PORTS;

		push(p ? 2 + 2 * p : 0, byte(in), true);
		break;
	}
	case 4:
		type_op(in);
		break;
	case 5:
		operator_op(in);
		break;
	case 6:
		fake_config_write(d, byte(in) % 16, 1u << byte(in) % 3, byte(in));
		fake_config_read(d, byte(in) % 16, 4);
		break;
	default:
		state_op(in);
		break;
	}
	drain();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	vm = fake_virtio_vm(1);
	a = fake_attach(vm, "console", "agent,log=audit");
	d = a->dev;
	memory = fake_guest_alloc(4096 * QUEUES, 4096);
	memset(typed, 0, sizeof(typed));
	memset(seen, 0, sizeof(seen));
	start(true);
	for (unsigned int i = 0; i < OPS_MAX && in.left; i++) {
		one(&in);
		if (d->broken)
			start(byte(&in) & 1);
	}
	fake_virtio_vm_destroy(vm);
	return 0;
}
