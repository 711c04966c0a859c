/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what frames cost between two guests at one switch, as TSC deltas seen from the sender.
 * On one CPU, and while nothing else runs, these are all instructions: both drivers, the switch,
 * interrupts, and changes of threads. The sender's own are subtracted.
 *
 * Both have a network device; the last digit of its MAC address is 1 in one and 2 in the other.
 *
 *	sink  takes frames, and answers every BATCH buffers of them with a frame of its own
 *	send  a byte at its menu (lib/meter.h) says what it sends:
 *		w  a batch that is not measured, once both are ready
 *		p  frames of 1,514 bytes, the checksum left to the receiver
 *		t  frames of 64 KiB, to be segmented by who cannot take them whole
 *
 * A batch is as many frames as fill the same number of buffers at the sink.
 */
#include "guest.h"
#include "meter.h"
#include "virtio.h"

#define F_CSUM       (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MAC        (1ull << 5)
#define F_GUEST_TSO4 (1ull << 7)
#define F_HOST_TSO4  (1ull << 11)
#define F_MRG_RXBUF  (1ull << 15)

#define RX_QUEUE   0u
#define TX_QUEUE   1u
#define RING       256u
#define BUFFER     4096u
#define TSO_FRAMES 8u
#define TSO_PIECES 16u
#define BATCH      (17u * TSO_FRAMES) /* header, 12 bytes, and frame of 64 KiB: 17 buffers */
#define ROUNDS     100u

/* In front of each frame (virtio 1.2, 5.1.6), and the frame's own headers. */
struct headers {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
	uint8_t to[6], from[6], ethertype[2];
	uint8_t ip[20], tcp[20];
} __attribute__((packed));

#define VIRTIO_HEADER 12u
#define NEEDS_CSUM    1u
#define GSO_TCPV4     1u
#define ETHERNET      14u
#define IP_AND_TCP    40u
#define FRAME_BYTES   1514u
#define TSO_IP_BYTES  65520u
#define TSO_MSS       1448u

static struct virtio net;
static struct vring rx, tx;
static uint8_t *buffers, *payload;
static struct headers *packet, *segment;
static volatile struct vring_desc *tables; /* one of TSO_PIECES + 1 for each TSO frame */

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* TCP over IPv4; checksums are the receiver's, who does not look here. */
static void headers_make(struct headers *h, uint32_t ip_bytes)
{
	for (unsigned i = 0; i < 6; i++)
		h->from[i] = h->to[i] = *(volatile uint8_t *)(net.config + i);
	h->to[5] ^= 3;
	put16(h->ethertype, 0x0800);
	h->ip[0] = 0x45;
	put16(h->ip + 2, ip_bytes);
	h->ip[8] = 64;
	h->ip[9] = 6;
	h->ip[12] = h->ip[16] = 10;
	h->ip[15] = h->from[5];
	h->ip[19] = h->to[5];
	put16(h->tcp, 5001);
	put16(h->tcp + 2, 5001);
	h->tcp[12] = 0x50;
	h->flags = NEEDS_CSUM;
	h->csum_start = ETHERNET + 20;
	h->csum_offset = 16;
}

static void rx_post(uint16_t n)
{
	while (n-- > 0) {
		uint16_t i = (uint16_t)(rx.avail_idx & (RING - 1));

		vring_desc_set(&rx, i, buffers + i * BUFFER, BUFFER, VRING_WRITE, 0);
		vring_push(&rx, i);
	}
}

static void net_start(void)
{
	if (!virtio_find(VIRTIO_NET, 0, &net) ||
	    !virtio_negotiate(&net, VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT | F_CSUM | F_GUEST_CSUM |
					    F_MAC | F_GUEST_TSO4 | F_HOST_TSO4 | F_MRG_RXBUF) ||
	    !vring_setup(&rx, &net, RX_QUEUE, RING, 1) ||
	    !vring_setup(&tx, &net, TX_QUEUE, RING, VIRTIO_NO_VECTOR))
		meter_fail("no network");
	virtio_msix(&net, 1, METER_VECTOR, 0);
	buffers = virtio_alloc(RING * BUFFER, 4096);
	payload = virtio_alloc(TSO_PIECES * BUFFER, 4096);
	packet = virtio_alloc(VIRTIO_HEADER + FRAME_BYTES, 4096);
	segment = virtio_alloc(sizeof(*segment), 4096);
	headers_make(packet, FRAME_BYTES - ETHERNET);
	headers_make(segment, TSO_IP_BYTES);
	segment->gso_type = GSO_TCPV4;
	segment->hdr_len = ETHERNET + IP_AND_TCP;
	segment->gso_size = TSO_MSS;
	virtio_driver_ok(&net);
	rx_post(RING);
	vring_no_interrupt(&tx);
	vring_kick_port(&rx);
}

static void __attribute__((noreturn)) sink(void)
{
	meter_interrupt_after(&rx, BATCH);
	print("BENCH ready\n");
	for (uint32_t batch = 1;; batch++) {
		meter_wait(batch);
		meter_until_used(&rx, BATCH);
		meter_take(&rx, BATCH);
		rx_post(BATCH);
		meter_interrupt_after(&rx, BATCH);
		vring_desc_set(&tx, 0, packet, VIRTIO_HEADER + 60, 0, 0);
		put16(packet->ip + 2, 60 - ETHERNET);
		vring_push(&tx, 0);
		vring_kick_port(&tx);
		meter_until_used(&tx, 1);
		meter_take(&tx, 1);
	}
}

/* Header and payload as Linux has them: a piece of the socket's head, then pages. */
static void tables_make(void)
{
	uint32_t left = TSO_IP_BYTES - IP_AND_TCP;

	tables = virtio_alloc(TSO_FRAMES * (TSO_PIECES + 1) * 16ul, 4096);
	for (uint16_t i = 0; i < TSO_FRAMES; i++) {
		volatile struct vring_desc *t = tables + i * (TSO_PIECES + 1);
		uint32_t rest = left;

		t[0].addr = (uintptr_t)segment;
		t[0].len = sizeof(*segment);
		for (uint16_t p = 1; p <= TSO_PIECES; p++) {
			t[p].addr = (uintptr_t)(payload + (p - 1) * BUFFER);
			t[p].len = rest < BUFFER ? rest : BUFFER;
			rest -= t[p].len;
		}
		for (uint16_t p = 0; p < TSO_PIECES; p++) {
			t[p].flags = VRING_NEXT;
			t[p].next = (uint16_t)(p + 1);
		}
	}
}

static inline void push_packet(uint16_t i)
{
	vring_desc_set(&tx, i, packet, VIRTIO_HEADER + FRAME_BYTES, 0, 0);
	vring_push(&tx, i);
}

static inline void push_segment(uint16_t i)
{
	vring_desc_set(&tx, i, (const void *)(tables + i * (TSO_PIECES + 1)),
		       (TSO_PIECES + 1) * 16, VRING_INDIRECT, 0);
	vring_push(&tx, i);
}

/* @rounds batches of @n frames; without @real only what the sender itself does. */
static uint64_t batches(uint32_t rounds, uint16_t n, void (*push)(uint16_t i), bool real)
{
	uint64_t begin = rdtsc();

	for (uint32_t round = 0; round < rounds; round++) {
		uint32_t before = meter_handled;

		meter_interrupt_after(&rx, 1);
		for (uint16_t i = 0; i < n; i++)
			push(i);
		if (real) {
			vring_kick_port(&tx);
			meter_wait(before + 1);
			meter_until_used(&rx, 1);
			meter_take(&rx, 1);
			rx_post(1);
			meter_until_used(&tx, n);
		}
		meter_take(&tx, n);
		if (!real)
			meter_undo(&tx, n);
		vring_no_interrupt(&tx);
	}
	return rdtsc() - begin;
}

static void measure(const char *name, uint16_t n, void (*push)(uint16_t i))
{
	uint64_t own = batches(ROUNDS, n, push, false);
	uint64_t all = batches(ROUNDS, n, push, true);

	print("BENCH %s %lu\n", name, (all - own) / (ROUNDS * n));
}

static void run(uint8_t byte)
{
	if (byte == 'w')
		(void)batches(1, BATCH, push_packet, true);
	if (byte == 'p')
		measure("net_1500", BATCH, push_packet);
	if (byte == 't')
		measure("net_tso", TSO_FRAMES, push_segment);
}

void guest_run(void)
{
	meter_init();
	net_start();
	if (cmdline_has("sink"))
		sink();
	tables_make();
	meter_menu(run);
}
