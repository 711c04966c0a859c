/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c devices/virt/virtio/net.c
 * devices/virt/virtio/net_tx.c devices/virt/virtio/net_rx.c devices/virt/virtio/net_ctrl.c
 * net/switch.c net/mac_table.c net/info.c net/offload.c net/csum.c net/parse.c net/frame.c
 * security/quota.c kernel/lib/bucket.c kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c
 * kernel/lib/err.c kernel/lib/muldiv.c hv/seed.c
 */
/* PARSER: devices/virt/virtio/net_tx.c devices/virt/virtio/net_rx.c
 * devices/virt/virtio/net_ctrl.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * Two cards at one switch, one with a rate, and drivers that send, receive and command whatever
 * they like. Must hold: no crash, no leak; what one receives comes from the other's address and
 * fits the buffers it was said to take; who sends slower than its rate is not held up; what is
 * saved also loads.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virt/virtio/net_priv.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"
#include "tests/host/fuzz_input.h"

#define SIZE    16u
#define QUEUES  5u
#define OPS_MAX 200
#define BUFFER  2048u

static struct vm *vm;
static struct card {
	struct vattach *a;
	struct fake_ring ring[QUEUES];
	uint64_t rx[2][SIZE]; /* buffers by head: BUFFER bytes each */
	uint32_t rx_len[2][SIZE];
	uint64_t tx, ctrl;
} cards[2];

#define MUST(x)                  \
	do {                     \
		if (!(x))        \
			abort(); \
	} while (0)

void epoch_call(struct epoch_entry *e, void (*fn)(struct epoch_entry *e))
{
	fn(e);
}

static uint32_t half(struct input *in)
{
	uint32_t low = byte(in);

	return low | (uint32_t)byte(in) << 8;
}

static void bytes(struct input *in, void *dst, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)dst)[i] = byte(in);
}

static struct virtio_dev *dev(const struct card *c)
{
	return c->a->dev;
}

static void start(struct card *c, struct input *in)
{
	static const uint64_t sets[] = {
		0,
		VIRTIO_NET_F_MRG_RXBUF,
		VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_CTRL_VQ,
	};
	unsigned int pick = byte(in) % 5;
	uint64_t features = pick < 3 ? sets[pick] : dev(c)->offered & ~VIRTIO_F_VERSION_1;

	if (pick == 4)
		features &= ~(uint64_t)VNET_GUEST_OFFLOADS;
	memset(c->ring, 0, sizeof(c->ring));
	MUST(fake_driver_start(dev(c), features, c->ring, QUEUES, SIZE));
}

/* An IPv4 TCP frame to the other card, then bytes of it changed. */
static uint32_t frame_make(struct card *c, struct input *in, uint8_t *p)
{
	const struct card *other = &cards[c == &cards[0]];
	uint32_t len = 14 + half(in) % 3000;
	unsigned int changes = byte(in) % 8;

	memset(p, 0, len + 66);
	net_mac_store(p, vnet_of(dev(other))->back->port.mac);
	net_mac_store(p + 6, vnet_of(dev(c))->back->port.mac);
	p[12] = 8;
	p[14] = 0x45;
	store_be16(p + 16, (uint16_t)(len - 14));
	p[23] = 6;
	p[35] = byte(in);
	p[46] = 0x50;
	for (unsigned int i = 0; i < changes; i++)
		p[byte(in) % 64] = byte(in);
	return len;
}

static void send_op(struct card *c, struct input *in)
{
	static const struct vnet_hdr tso = {.flags = 1,
					    .gso_type = NET_GSO_TCPV4,
					    .gso_size = 500,
					    .csum_start = 34,
					    .csum_offset = 16};
	unsigned int how = byte(in), n = 0;
	uint8_t *p = fake_guest(c->tx);
	struct fake_buf b[SIZE];
	uint32_t piece, len;

	memset(p, 0, VNET_HDR_SIZE);
	if (how % 4 == 1)
		memcpy(p, &tso, VNET_HDR_SIZE);
	else if (how % 4 == 2)
		bytes(in, p, VNET_HDR_SIZE);
	len = frame_make(c, in, p + VNET_HDR_SIZE) + VNET_HDR_SIZE;
	if (how & 16)
		len = byte(in) % 40 + 1;
	piece = how & 32 ? byte(in) + 1u : len;
	for (uint32_t at = 0; at < len && n < SIZE; at += piece)
		b[n++] = (struct fake_buf){c->tx + at, MIN(piece, len - at), false};
	fake_ring_add(&c->ring[how & 64 ? 3 : 1], b, n);
	fake_ring_kick(&c->ring[how & 64 ? 3 : 1]);
}

static void fill_op(struct card *c, struct input *in)
{
	unsigned int pair = byte(in) & 1, n = byte(in) % 4 + 1;
	uint32_t len = half(in) % BUFFER + 1, cut = byte(in);

	if (pair && !virtio_has(dev(c), VIRTIO_NET_F_MQ))
		pair = 0;
	/* As a driver, that uses no descriptor twice: two for each. */
	while (n-- > 0 &&
	       (uint16_t)(c->ring[2 * pair].avail_idx - c->ring[2 * pair].used_seen) < SIZE / 2) {
		uint16_t head = c->ring[2 * pair].desc_next;
		uint64_t gpa = c->rx[pair][head];
		const struct fake_buf b[] = {{gpa, cut, true}, {gpa + cut, len - cut, true}};

		c->rx_len[pair][head] = len;
		fake_ring_add(&c->ring[2 * pair],
			      cut && cut < len ? b : &(struct fake_buf){gpa, len, true},
			      cut && cut < len ? 2 : 1);
	}
}

/* What has come: whole frames, from whom they may come. */
static void receive_op(struct card *c, unsigned int pair)
{
	const struct card *other = &cards[c == &cards[0]];
	static uint8_t flat[SIZE * BUFFER];
	uint32_t head, len;

	while (fake_ring_used(&c->ring[2 * pair], &head, &len)) {
		uint32_t total = 0, left = 1;
		struct vnet_hdr h;

		while (left-- > 0) {
			MUST(head < SIZE && len <= c->rx_len[pair][head]);
			memcpy(flat + total, fake_guest(c->rx[pair][head]), len);
			if (total == 0) {
				memcpy(&h, flat, VNET_HDR_SIZE);
				MUST(h.num_buffers > 0 && h.num_buffers <= SIZE);
				left = h.num_buffers - 1u;
			}
			total += len;
			MUST(left == 0 || fake_ring_used(&c->ring[2 * pair], &head, &len));
		}
		MUST(total >= VNET_HDR_SIZE + NET_ETH_HLEN);
		MUST(net_mac_load(flat + VNET_HDR_SIZE + 6) == vnet_of(dev(other))->back->port.mac);
		MUST(!(h.flags & NET_F_NEEDS_CSUM) ||
		     (uint32_t)h.csum_start + h.csum_offset + 2u <= total - VNET_HDR_SIZE);
	}
}

static void command_op(struct card *c, struct input *in)
{
	bool mq = virtio_has(dev(c), VIRTIO_NET_F_MQ);
	uint32_t len = byte(in) % 40, room = byte(in) % 8 ? 1 : 0;
	uint8_t *p = fake_guest(c->ctrl);
	const struct fake_buf b[] = {{c->ctrl, len + 2, false}, {c->ctrl + 64, 1, true}};

	p[0] = byte(in) % 7;
	p[1] = byte(in) % 7;
	bytes(in, p + 2, len);
	fake_ring_add(&c->ring[mq ? 4 : 2], b, 1 + room);
	fake_ring_kick(&c->ring[mq ? 4 : 2]);
}

static void state_op(struct card *c)
{
	static uint8_t record[16384], again[16384];
	struct vdev *v = &dev(c)->dev;
	size_t len;

	v->ops->quiesce(v);
	len = fake_save(v, record, sizeof(record));
	MUST(fake_load(v, record, len - 1) == -RAY_EINVAL);
	MUST(fake_load(v, record, len) == 0);
	MUST(fake_save(v, again, sizeof(again)) == len && memcmp(record, again, len) == 0);
	v->ops->resume(v);
}

static void one(struct input *in)
{
	unsigned int op = byte(in);
	struct card *c = &cards[op >> 7];

	switch (op % 8) {
	case 0:
	case 1:
		send_op(c, in);
		break;
	case 2:
		fill_op(c, in);
		break;
	case 3:
		command_op(c, in);
		break;
	case 4:
		state_op(c);
		break;
	case 5:
		fake_virtio_advance(vm, (uint64_t)byte(in) * 1000000);
		break;
	case 6:
		MUST(net_link_set(net_switch_find(NET_SWITCH_DEFAULT), "fake/net1", byte(in) & 3) ==
		     0);
		break;
	default:
		start(c, in);
		break;
	}
	fake_io_run(vm);
	for (unsigned int i = 0; i < 2; i++) {
		receive_op(&cards[i], 0);
		if (virtio_has(dev(&cards[i]), VIRTIO_NET_F_MQ)) /* else it is the control queue */
			receive_op(&cards[i], 1);
	}
}

static void card_make(struct card *c, const char *spec)
{
	memset(c, 0, sizeof(*c));
	c->a = fake_attach(vm, "net", spec);
	c->tx = fake_guest_alloc(4096, 4096);
	c->ctrl = fake_guest_alloc(128, 64);
	for (unsigned int i = 0; i < 2 * SIZE; i++)
		c->rx[i / SIZE][i % SIZE] = fake_guest_alloc(BUFFER, 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	if (!net_switch_find(NET_SWITCH_DEFAULT)) {
		MUST(net_init() == 0);
		fake_allocs_live = 0;
	}
	vm = fake_virtio_vm(2);
	card_make(&cards[0], "rate=unlimited,queues=2");
	card_make(&cards[1], "rate=1M,queues=2");
	start(&cards[0], &in);
	start(&cards[1], &in);
	for (int i = 0; in.left && i < OPS_MAX; i++)
		one(&in);
	/* Whatever waits for its rate has its turn. */
	for (int i = 0; i < 1000 && fake_timer_next() != UINT64_MAX; i++)
		fake_virtio_advance(vm, 1000000000);
	MUST(fake_timer_next() == UINT64_MAX);
	fake_virtio_vm_destroy(vm);
	return 0;
}
