/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two network cards at one switch, and the rings of their drivers: what tests of the card share.
 * Each test begins with setup() and ends with teardown(); TEST() does so. Included by one .c of a test.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_NIC_H
#define RAYOS_TESTS_HOST_FAKE_NIC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/virtio/net_priv.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

#define SIZE       64u
#define QUEUES     5u /* two pairs and control */
#define PLAIN      (VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS)
#define GUEST_ALL  (VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | \
		    VIRTIO_NET_F_GUEST_ECN)
#define HOST_ALL   (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | \
		    VIRTIO_NET_F_HOST_ECN)
#define CTRL_ALL   (VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_RX_EXTRA | \
		    VIRTIO_NET_F_CTRL_MAC_ADDR)

static struct vm *vm;

struct nic {
	struct vattach *a;
	struct virtio_dev *d;
	struct vnet *n;
	struct net_port *port;
	struct fake_ring ring[QUEUES];
	uint64_t buffer[QUEUES][SIZE]; /* by head */
	uint64_t scratch;
};
static struct nic one, two;

void epoch_call(struct epoch_entry *e, void (*fn)(struct epoch_entry *e))
{
	fn(e);
}

static inline void nic_attach(struct nic *c, const char *spec)
{
	memset(c, 0, sizeof(*c));
	c->a = fake_attach(vm, "net", spec);
	c->d = c->a->dev;
	c->n = vnet_of(c->d);
	c->port = &c->n->back->port;
	c->scratch = fake_guest_alloc(128u << 10, 4096);
}

static inline void nic_start(struct nic *c, uint64_t features)
{
	assert_true(fake_driver_start(c->d, PLAIN | features, c->ring,
				      (uint16_t)c->d->queue_count, SIZE));
	c->n = vnet_of(c->d);
}

static inline int setup(void **state)
{
	(void)state;
	if (!net_switch_find(NET_SWITCH_DEFAULT)) {
		assert_int_equal(net_init(), 0);
		fake_allocs_live = 0; /* switches stay */
	}
	vm = fake_virtio_vm(2);
	nic_attach(&one, "rate=unlimited,queues=2");
	nic_attach(&two, "rate=0,queues=2,mac=52:54:00:00:00:02");
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	fake_virtio_vm_destroy(vm);
	return 0;
}

static inline struct net_counts counts(const struct nic *c)
{
	struct net_counts n;

	net_port_stats(c->port, &n);
	return n;
}

/* @n receive buffers of @size bytes for pair @pair. */
static inline void fill(struct nic *c, unsigned int pair, unsigned int n, uint32_t size)
{
	while (n-- > 0) {
		const struct fake_buf b = {fake_guest_alloc(size, 1), size, true};

		c->buffer[2 * pair][fake_ring_add(&c->ring[2 * pair], &b, 1)] = b.gpa;
	}
	fake_ring_kick(&c->ring[2 * pair]);
}

/* Header and frame in one buffer each, or cut into pieces of @piece bytes. */
static inline void send_pieces(struct nic *c, unsigned int pair, const struct vnet_hdr *h,
			const uint8_t *frame, uint32_t len, uint32_t piece)
{
	struct fake_buf b[SIZE];
	unsigned int n = 0;
	uint32_t total = VNET_HDR_SIZE + len;

	memcpy(fake_guest(c->scratch), h, VNET_HDR_SIZE);
	memcpy((uint8_t *)fake_guest(c->scratch) + VNET_HDR_SIZE, frame, len);
	for (uint32_t at = 0; at < total; at += piece)
		b[n++] = (struct fake_buf){c->scratch + at, MIN(piece, total - at), false};
	fake_ring_add(&c->ring[2 * pair + 1], b, n);
	fake_ring_kick(&c->ring[2 * pair + 1]);
}

static const struct vnet_hdr no_offload;

static inline void send_frame(struct nic *c, const uint8_t *frame, uint32_t len)
{
	send_pieces(c, 0, &no_offload, frame, len, 1u << 20);
}

static inline unsigned int sent(struct nic *c, unsigned int pair)
{
	unsigned int n = 0;
	uint32_t head, len;

	while (fake_ring_used(&c->ring[2 * pair + 1], &head, &len)) {
		assert_int_equal(len, 0);
		n++;
	}
	return n;
}

/* The next frame on @pair: its bytes, its header; 0: none. */
static inline uint32_t received(struct nic *c, unsigned int pair, struct vnet_hdr *h, uint8_t *frame)
{
	static uint8_t flat[128u << 10];
	uint32_t head, len, total = 0, left = 1;

	while (left-- > 0) {
		if (!fake_ring_used(&c->ring[2 * pair], &head, &len)) {
			assert_int_equal(total, 0);
			return 0;
		}
		memcpy(flat + total, fake_guest(c->buffer[2 * pair][head]), len);
		if (total == 0) {
			memcpy(h, flat, VNET_HDR_SIZE);
			assert_true(h->num_buffers > 0);
			left = h->num_buffers - 1u;
		}
		total += len;
	}
	memcpy(frame, flat + VNET_HDR_SIZE, total - VNET_HDR_SIZE);
	return total - VNET_HDR_SIZE;
}

static uint8_t in[70000], out[70000];

static inline uint32_t frame_make(uint64_t dst, uint64_t src, uint32_t len)
{
	net_mac_store(out, dst);
	net_mac_store(out + 6, src);
	out[12] = 0x88;
	out[13] = 0xb5;
	for (uint32_t i = 14; i < len; i++)
		out[i] = (uint8_t)(i * 13 + len);
	return len;
}

static inline void assert_gets(struct nic *c, unsigned int pair, uint32_t len)
{
	struct vnet_hdr h;

	assert_int_equal(received(c, pair, &h, in), len);
	assert_memory_equal(in, out, len);
	assert_int_equal(h.flags, 0);
	assert_int_equal(h.gso_type, 0);
}

static inline void assert_silent(struct nic *c, unsigned int pair)
{
	struct vnet_hdr h;

	assert_int_equal(received(c, pair, &h, in), 0);
}

/* A command on the control queue: its answer. */
static inline uint8_t command(struct nic *c, uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	struct fake_ring *r = &c->ring[virtio_has(c->d, VIRTIO_NET_F_MQ) ? 4 : 2];
	uint8_t *p = fake_guest(c->scratch);
	const struct fake_buf b[] = {{c->scratch, 2, false}, {c->scratch + 2, len, false},
				     {c->scratch + 70000, 1, true}};
	uint32_t head, n;

	p[0] = class;
	p[1] = cmd;
	memcpy(p + 2, data, len);
	p[70000] = 0xee;
	fake_ring_add(r, b, 3);
	fake_ring_kick(r);
	fake_io_run(vm);
	assert_true(fake_ring_used(r, &head, &n));
	assert_int_equal(n, 1);
	return p[70000];
}

/* Another rate for all cards of the VM. */
static inline void limit_all(uint64_t bits)
{
	const struct quota_limits limits = quota_limits_of_rate(bits);

	vattach_limit_net(vm, &limits);
}

#endif
