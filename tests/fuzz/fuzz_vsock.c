/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c devices/virt/virtio/vsock.c
 * devices/virt/virtio/vsock_packet.c devices/virt/virtio/vsock_stream.c
 * devices/virt/vsock_services.c security/quota.c kernel/lib/bucket.c kernel/lib/parse.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/json.c kernel/lib/utf8.c kernel/lib/err.c
 * kernel/lib/muldiv.c hv/seed.c
 */
/* PARSER: devices/virt/virtio/vsock_packet.c devices/virt/virtio/vsock.c
 * devices/virt/virtio/vsock_stream.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * A driver that sends any packets, in any state of a stream, while the host opens and closes
 * streams of its own. Must hold: no crash, no leak; counts of bytes agree with what the rings
 * hold; the table is bounded; every packet for the guest is whole and within its credit.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virt/virtio/vsock_priv.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"
#include "tests/host/fuzz_input.h"

#define SIZE    32u
#define CID     42u
#define HELD    4u
#define OPS_MAX 300

enum { RX, TX, EVENT, QUEUES };

static struct vm *vm;
static struct vattach *a;
static struct virtio_dev *d;
static struct fake_ring ring[QUEUES];
static uint64_t out, rooms; /* gpa */
static struct vstream *held[HELD];

#define ROOM (sizeof(struct vsock_hdr) + 1024)

static void start(void)
{
	if (!fake_driver_start(d, 0, ring, QUEUES, SIZE))
		abort();
}

/* Ports that mean something, and any other. */
static uint32_t host_port(struct input *in)
{
	uint8_t b = byte(in);

	switch (b % 4) {
	case 0:
		return 7;
	case 1:
		return 1024;
	case 2:
		return VSOCK_PORT_EPHEMERAL + b / 4 % 8;
	default:
		return b;
	}
}

static void packet_op(struct input *in)
{
	uint32_t len = byte(in) * (byte(in) % 128u), said = byte(in) % 16 ? len : byte(in) * 300u;
	struct vsock_hdr h = {.src_cid = byte(in) % 16 ? CID : byte(in),
			      .dst_cid = byte(in) % 16 ? VSOCK_CID_HOST : byte(in),
			      .src_port = byte(in) % 80, .dst_port = host_port(in), .len = said,
			      .type = byte(in) % 16 ? VSOCK_TYPE_STREAM : byte(in),
			      .op = byte(in) % 10, .flags = byte(in),
			      .buf_alloc = byte(in) << 8, .fwd_cnt = (uint32_t)byte(in) * byte(in)};
	struct fake_buf b[] = {{.gpa = out, .len = sizeof(h) - (byte(in) == 1)},
			       {.gpa = out + sizeof(h), .len = len}};

	memcpy(fake_guest(out), &h, sizeof(h));
	fake_ring_add(&ring[TX], b, len ? 2 : 1);
	fake_ring_kick(&ring[TX]);
}

static void buffer_op(struct input *in)
{
	uint32_t len = byte(in) % 8 ? (uint32_t)ROOM : byte(in);
	unsigned int n = byte(in) % 8;

	while (n-- > 0) {
		struct fake_buf b = {.gpa = rooms + ROOM * ring[RX].desc_next, .len = len,
				     .write = true};

		fake_ring_add(&ring[RX], &b, 1);
	}
	fake_ring_kick(&ring[RX]);
}

static void host_op(struct input *in)
{
	struct vstream **s = &held[byte(in) % HELD];
	uint8_t what = byte(in);
	static char buf[4096];

	if (!*s) {
		if (vstream_connect(vm, byte(in) % 80, s))
			*s = NULL;
	} else if (what % 4 == 0) {
		vstream_close(*s);
		vstream_put(*s);
		*s = NULL;
	} else if (what % 4 == 1) {
		(void)vstream_read(*s, buf, what * 16u);
	} else {
		size_t room = vstream_room(*s);

		if (vstream_write(*s, buf, what * 16u) != MIN(room, (size_t)(what * 16u)))
			abort();
	}
}

static void state_op(struct input *in)
{
	static uint8_t record[4096];
	size_t len;

	d->dev.ops->quiesce(&d->dev);
	len = fake_save(&d->dev, record, sizeof(record));
	if (byte(in) & 1 && (fake_load(&d->dev, record, len - 1) != -RAY_EINVAL ||
			     fake_load(&d->dev, record, len)))
		abort();
	d->dev.ops->resume(&d->dev);
}

static void event_op(struct input *in)
{
	struct fake_buf b = {.gpa = out, .len = byte(in) % 8 + 1, .write = true};

	fake_ring_add(&ring[EVENT], &b, 1);
	fake_ring_kick(&ring[EVENT]);
}

/* --- what must hold --- */

static void packets_check(void)
{
	uint32_t head, len;

	while (fake_ring_used(&ring[RX], &head, &len)) {
		struct vsock_hdr h;

		memcpy(&h, fake_guest(fake_ring_desc(&ring[RX], (uint16_t)head)->addr), sizeof(h));
		if (len < sizeof(h) || len != sizeof(h) + h.len || h.src_cid != VSOCK_CID_HOST ||
		    h.dst_cid != CID || (h.op != VSOCK_OP_RW && h.len) || h.op == 0 ||
		    (h.op != VSOCK_OP_RST && h.buf_alloc != VSTREAM_BUF))
			abort();
	}
	while (fake_ring_used(&ring[TX], &head, &len) || fake_ring_used(&ring[EVENT], &head, &len)) {
		if (len > 4)
			abort();
	}
}

static void streams_check(void)
{
	const struct vsock *vs = a->back;
	const struct vstream *s;
	unsigned int n = 0;

	list_for_each_entry(s, &vs->streams, node) {
		n++;
		if (s->rx.used > VSTREAM_BUF || s->tx.used > VSTREAM_BUF ||
		    s->rx_cnt - s->fwd_cnt != s->rx.used || s->state == VSTREAM_OVER)
			abort();
	}
	if (n != vs->stream_count || n > VSOCK_STREAMS_MAX || vs->rst_count > VSOCK_RST_MAX)
		abort();
}

static void one(struct input *in)
{
	switch (byte(in) % 8) {
	case 0:
	case 1:
	case 2:
		packet_op(in);
		break;
	case 3:
		buffer_op(in);
		break;
	case 4:
		host_op(in);
		break;
	case 5:
		state_op(in);
		break;
	case 6:
		event_op(in);
		break;
	default:
		fake_virtio_advance(vm, (uint64_t)byte(in) * 100000000);
		break;
	}
	fake_io_run(vm);
	packets_check();
	streams_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	bool limited = byte(&in) & 1;

	vm = fake_virtio_vm(1);
	a = fake_attach(vm, "vsock", limited ? "cid=42,rate=2000" : "cid=42");
	d = a->dev;
	out = fake_guest_alloc(65536, 4096);
	rooms = fake_guest_alloc(ROOM * SIZE, 4096);
	start();
	for (unsigned int i = 0; i < OPS_MAX && in.left; i++) {
		one(&in);
		if (d->broken)
			start();
	}
	for (unsigned int i = 0; i < HELD; i++) {
		if (held[i])
			vstream_put(held[i]);
		held[i] = NULL;
	}
	fake_virtio_vm_destroy(vm);
	return 0;
}
