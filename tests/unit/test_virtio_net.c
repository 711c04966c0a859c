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
// SPDX-License-Identifier: Apache-2.0
/* Two network cards at one switch, and the rings of their drivers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/csum.h"
#include "tests/host/fake_nic.h"

/* An IPv4 TCP frame from one to two with that many bytes of payload. */
static uint32_t tcp_make(uint16_t sport, uint32_t payload)
{
	frame_make(two.port->mac, one.port->mac, 54 + payload);
	out[12] = 0x08;
	out[13] = 0x00;
	memset(out + 14, 0, 40);
	out[14] = 0x45;
	store_be16(out + 16, (uint16_t)(40 + payload));
	out[23] = 6;
	out[26] = out[30] = 10;
	out[29] = 1;
	out[33] = 2;
	store_be16(out + 34, sport);
	store_be16(out + 36, 80);
	out[46] = 0x50;
	return 54 + payload;
}

/* --- start --- */

static void test_config_and_features(void **state)
{
	static const uint64_t bad[] = {
		VIRTIO_NET_F_GUEST_TSO4,
		VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_ECN,
		VIRTIO_NET_F_HOST_TSO6,
		VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_ECN,
		VIRTIO_NET_F_MQ,
		VIRTIO_NET_F_CTRL_RX,
		VIRTIO_NET_F_CTRL_VLAN,
		VIRTIO_NET_F_CTRL_MAC_ADDR,
		VIRTIO_NET_F_CTRL_RX_EXTRA,
		VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
		BIT(3), /* MTU: not offered */
	};

	(void)state;
	assert_int_equal(one.d->queue_count, 5);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(fake_driver_start(one.d, bad[i], one.ring, 5, SIZE));
	nic_start(&two, GUEST_ALL | HOST_ALL | CTRL_ALL | VIRTIO_NET_F_MQ | VIRTIO_NET_F_CTRL_VLAN |
				VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	assert_int_equal(fake_config_read(two.d, 0, 4), 0x00005452);
	assert_int_equal(fake_config_read(two.d, 4, 2), 0x0200);
	assert_int_equal(fake_config_read(two.d, 6, 2), VNET_S_LINK_UP);
	assert_int_equal(fake_config_read(two.d, 8, 2), 2);
	/* One's address is made up: local, of a station, and the same every time. */
	assert_int_equal(one.port->mac & 0xff, 0x52);
	assert_string_equal(one.port->name, "fake/net0");
}

static void test_addresses_are_stable(void **state)
{
	uint64_t mac = one.port->mac;
	char why[160];
	struct vattach *a;

	(void)state;
	vattach_remove(one.a);
	nic_attach(&one, "switch0");
	assert_int_equal(one.port->mac, mac);
	assert_int_equal(one.a->handler.quota.limits.bytes_per_second, 0); /* of its own */
	assert_ptr_equal(one.a->handler.shared, &vm->net_quota);
	/* A second with two's address. */
	assert_int_equal(vattach_add(vm, "net", "mac=52:54:00:00:00:02", &a, why, sizeof(why)),
			 -RAY_EEXIST);
	assert_non_null(strstr(why, "another port has its MAC address"));
}

static void test_definitions(void **state)
{
	static const char *const good[] = {"switch0", "rate=0", "rate=unlimited", "rate=10M",
					   "rate=2G,queues=8,spoof,switch0", "rate=1500000", "rate=5k"};
	static const char *const bad[] = {"switch9", "rate=10X", "rate=", "rate=10MM", "rate=-1",
					  "rate=999G", "queues=0", "queues=9", "mac=52:54:00:00:00",
					  "mac=01:00:5e:00:00:01", "mac=00:00:00:00:00:00", "colour=red",
					  "rate=99999999999999999999999"};
	char why[160], text[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(vattach_check("net", good[i], why, sizeof(why)), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		why[0] = '\0';
		assert_int_not_equal(vattach_check("net", bad[i], why, sizeof(why)), 0);
		assert_int_not_equal(why[0], '\0');
	}
	two.a->kind->describe(two.a, text, sizeof(text));
	assert_string_equal(text,
			    "52:54:00:00:00:02 at switch0, unlimited, 2 queue pairs, link up");
	limit_all(100000000);
	two.a->kind->describe(two.a, text, sizeof(text));
	assert_non_null(strstr(text, "switch0, the VM's 100000 kbit/s, 2"));
	vattach_remove(one.a);
	nic_attach(&one, "rate=10M");
	one.a->kind->describe(one.a, text, sizeof(text));
	assert_non_null(strstr(text, "switch0, 10000 of the VM's 100000 kbit/s, 2"));
	limit_all(0);
	one.a->kind->describe(one.a, text, sizeof(text));
	assert_non_null(strstr(text, "switch0, 10000 kbit/s, 2"));
}

static void test_memory_short(void **state)
{
	struct vattach *a;
	char why[160];
	int n;

	(void)state;
	for (n = 0;; n++) {
		int live = fake_allocs_live;

		fake_allocs_left = n;
		if (vattach_add(vm, "net", "rate=1M", &a, why, sizeof(why)) == 0)
			break;
		assert_int_equal(fake_allocs_live, live);
	}
	fake_allocs_left = -1;
	assert_true(n > 5);
}

/* --- frames --- */

static void test_frames(void **state)
{
	(void)state;
	nic_start(&one, 0);
	nic_start(&two, 0);
	fill(&two, 0, 40, 1526);
	for (uint32_t piece = 1; piece < 70; piece = piece * 2 + 1) {
		uint32_t len = frame_make(two.port->mac, one.port->mac, 40 + piece % 12);

		send_pieces(&one, 0, &no_offload, out, len, piece);
		assert_gets(&two, 0, len);
	}
	assert_gets(&two, 0, (send_frame(&one, out, frame_make(two.port->mac, one.port->mac, 1514)), 1514));
	assert_true(sent(&one, 0) > 0);
	assert_int_equal(counts(&one).drop[NET_DROP_MALFORMED], 0);
	assert_int_equal(counts(&one).tx_frames, counts(&two).rx_frames);
	assert_int_equal(two.a->handler.count[POLICY_RECEIVE].ops, counts(&two).rx_frames);
	assert_int_equal(one.a->handler.count[POLICY_SEND].bytes, counts(&one).tx_bytes);
	/* No buffer is taken for a frame it cannot hold; the next one finds it. */
	send_frame(&one, out, frame_make(two.port->mac, one.port->mac, 1515));
	assert_int_equal(counts(&two).drop[NET_DROP_TOO_LONG], 1);
	send_frame(&one, out, frame_make(two.port->mac, one.port->mac, 60));
	assert_gets(&two, 0, 60);
}

/* The first bytes are copied once: what the guest does to them afterwards is not sent. */
static void test_buffers_in_pieces(void **state)
{
	struct vnet_hdr h;

	(void)state;
	nic_start(&one, 0);
	nic_start(&two, 0);
	for (uint32_t cut = 1; cut < 16; cut++) {
		uint64_t gpa = fake_guest_alloc(200, 1);
		const struct fake_buf b[] = {{gpa, cut, true}, {gpa + cut, 3, true},
					     {gpa + cut + 3, 200 - cut - 3, true}};

		two.buffer[0][fake_ring_add(&two.ring[0], b, 3)] = gpa;
		send_frame(&one, out, frame_make(two.port->mac, one.port->mac, 188));
		assert_int_equal(received(&two, 0, &h, in), 188);
		assert_memory_equal(in, out, 188);
		assert_int_equal(h.num_buffers, 1);
	}
}

static void test_mergeable(void **state)
{
	struct vnet_hdr h;
	uint32_t len = frame_make(two.port->mac, one.port->mac, 1000);

	(void)state;
	nic_start(&one, 0);
	nic_start(&two, VIRTIO_NET_F_MRG_RXBUF);
	fill(&two, 0, 4, 256);
	send_frame(&one, out, len);
	assert_int_equal(received(&two, 0, &h, in), len);
	assert_memory_equal(in, out, len);
	assert_int_equal(h.num_buffers, 4); /* 1012 bytes */
	/* Three are too few: nothing is used, until there is a fourth. */
	fill(&two, 0, 3, 256);
	send_frame(&one, out, len);
	assert_silent(&two, 0);
	assert_int_equal(counts(&two).drop[NET_DROP_NO_BUFFER], 1);
	fill(&two, 0, 1, 256);
	send_frame(&one, out, frame_make(two.port->mac, one.port->mac, len));
	assert_int_equal(received(&two, 0, &h, in), len);
	assert_memory_equal(in, out, len);
	assert_int_equal(h.num_buffers, 4);
	assert_int_equal(sent(&one, 0), 3);
	/* A header in pieces is counted right too. */
	for (uint32_t cut = 1; cut < 13; cut++) {
		uint64_t gpa = fake_guest_alloc(100, 1);
		const struct fake_buf b[] = {{gpa, cut, true}, {gpa + cut, 100 - cut, true}};

		two.buffer[0][fake_ring_add(&two.ring[0], b, 2)] = gpa;
		fill(&two, 0, 1, 100);
		send_frame(&one, out, frame_make(two.port->mac, one.port->mac, 150));
		assert_int_equal(received(&two, 0, &h, in), 150);
		assert_memory_equal(in, out, 150);
		assert_int_equal(h.num_buffers, 2);
	}
}

static void test_offload_between_guests(void **state)
{
	const struct vnet_hdr tso = {.flags = 1, .gso_type = NET_GSO_TCPV4, .gso_size = 1000,
				     .hdr_len = 9999, .csum_start = 34, .csum_offset = 16};
	struct vnet_hdr h;
	uint32_t len = tcp_make(1000, 4500);

	(void)state;
	nic_start(&one, HOST_ALL);
	nic_start(&two, GUEST_ALL | VIRTIO_NET_F_MRG_RXBUF);
	fill(&two, 0, 30, 1526);
	send_pieces(&one, 0, &tso, out, len, 1000);
	assert_int_equal(received(&two, 0, &h, in), len);
	assert_memory_equal(in, out, len);
	assert_int_equal(h.flags, 1);
	assert_int_equal(h.gso_type, NET_GSO_TCPV4);
	assert_int_equal(h.gso_size, 1000);
	assert_int_equal(h.hdr_len, 54);
	assert_int_equal(h.csum_start, 34);
	assert_int_equal(h.csum_offset, 16);
	/* A receiver that cannot: five segments with good checksums, cut by the I/O thread. */
	nic_start(&two, VIRTIO_NET_F_MRG_RXBUF);
	fill(&two, 0, 30, 1526);
	send_pieces(&one, 0, &tso, out, len, 1000);
	assert_silent(&two, 0);
	fake_io_run(vm);
	for (unsigned int i = 0; i < 5; i++) {
		struct net_csum c = {.sum = 0};
		uint32_t n = received(&two, 0, &h, in);

		assert_int_equal(n, 54 + (i < 4 ? 1000 : 500));
		assert_int_equal(h.flags | h.gso_type | h.gso_size | h.csum_start, 0);
		assert_memory_equal(in + 54, out + 54 + 1000 * i, n - 54);
		assert_int_equal(load_be32(in + 38), 1000 * i);
		net_csum_add(&c, in + 26, 8);
		net_csum_add16(&c, 6);
		net_csum_add16(&c, (uint16_t)(n - 34));
		net_csum_add(&c, in + 34, n - 34);
		assert_int_equal(net_csum_finish(&c), 0);
	}
	assert_silent(&two, 0);
	assert_int_equal(sent(&one, 0), 2);
	assert_int_equal(counts(&one).tx_frames, 2);
}

/* Every bad thing a header can say costs the frame, not the device. */
static void test_bad_metadata(void **state)
{
	static const struct vnet_hdr bad[] = {
		{.gso_type = NET_GSO_TCPV4, .gso_size = 1000},
		{.flags = 1, .gso_type = 3, .gso_size = 1000, .csum_start = 34, .csum_offset = 16},
		{.flags = 1, .gso_type = NET_GSO_TCPV6, .gso_size = 9, .csum_start = 34, .csum_offset = 16},
		{.flags = 1, .csum_start = 34, .csum_offset = 2},
		{.flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff},
		{.flags = 1, .gso_type = NET_GSO_TCPV4, .gso_size = 1, .csum_start = 34, .csum_offset = 16},
	};
	const struct vnet_hdr csum = {.flags = 1, .csum_start = 34, .csum_offset = 16};
	const struct vnet_hdr ignored = {.flags = 0xfe, .num_buffers = 99};
	uint32_t len = tcp_make(1000, 400);

	(void)state;
	nic_start(&one, HOST_ALL);
	nic_start(&two, GUEST_ALL);
	fill(&two, 0, 8, 1526);
	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		send_pieces(&one, 0, &bad[i], out, len, 1000);
		assert_int_equal(counts(&one).drop[NET_DROP_MALFORMED], i + 1);
	}
	assert_int_equal(sent(&one, 0), ARRAY_SIZE(bad));
	assert_silent(&two, 0);
	send_pieces(&one, 0, &ignored, out, len, 1000);
	assert_gets(&two, 0, len);
	/* Offloads that were never negotiated. */
	nic_start(&one, VIRTIO_NET_F_CSUM);
	send_pieces(&one, 0, &(struct vnet_hdr){.flags = 1, .gso_type = NET_GSO_TCPV4, .gso_size = 100,
						.csum_start = 34, .csum_offset = 16}, out, len, 1000);
	assert_silent(&two, 0);
	nic_start(&one, 0);
	send_pieces(&one, 0, &csum, out, len, 1000);
	assert_silent(&two, 0);
	assert_int_equal(counts(&one).drop[NET_DROP_MALFORMED], ARRAY_SIZE(bad) + 2);
	/* Not even Ethernet; longer than anything. */
	send_frame(&one, out, 13);
	send_pieces(&one, 0, &no_offload, out, NET_FRAME_MAX + 1, 4096);
	assert_int_equal(counts(&one).drop[NET_DROP_MALFORMED], ARRAY_SIZE(bad) + 3);
	assert_int_equal(counts(&one).drop[NET_DROP_TOO_LONG], 1);
	assert_int_equal(sent(&one, 0), 3);
	assert_false(one.d->broken);
}

static void test_broken_drivers(void **state)
{
	(void)state;
	nic_start(&one, 0);
	nic_start(&two, VIRTIO_NET_F_MRG_RXBUF | CTRL_ALL);
	fill(&two, 0, 1, 11); /* no room for a header: two is at fault, one is not */
	send_frame(&one, out, frame_make(two.port->mac, one.port->mac, 60));
	assert_true(two.d->broken);
	assert_false(one.d->broken);
	assert_int_equal(sent(&one, 0), 1);
	send_frame(&one, out, 60);
	assert_int_equal(counts(&two).drop[NET_DROP_LINK], 2);
	nic_start(&two, VIRTIO_NET_F_MRG_RXBUF | CTRL_ALL);
	fill(&two, 0, 1, 12);
	{
		const struct fake_buf zero = {two.scratch, 0, true};

		fake_ring_add(&two.ring[0], &zero, 1);
	}
	send_frame(&one, out, 60);
	assert_true(two.d->broken);
	assert_string_equal(two.d->broken_why, "receive buffer without room");
	/* A frame without a header; a command without an answer. */
	{
		const struct fake_buf b = {one.scratch, 11, false};

		fake_ring_add(&one.ring[1], &b, 1);
		fake_ring_kick(&one.ring[1]);
		assert_true(one.d->broken);
	}
	nic_start(&two, CTRL_ALL);
	{
		const struct fake_buf b = {two.scratch, 3, false};

		fake_ring_add(&two.ring[2], &b, 1);
		fake_ring_kick(&two.ring[2]);
		fake_io_run(vm);
		assert_true(two.d->broken);
	}
}

/* --- addresses --- */

static void test_source_address(void **state)
{
	(void)state;
	nic_start(&one, 0);
	nic_start(&two, 0);
	fill(&two, 0, 2, 1526);
	send_frame(&one, out, frame_make(two.port->mac, two.port->mac, 60));
	send_frame(&one, out, frame_make(two.port->mac, 0x111111111152, 60));
	assert_int_equal(counts(&one).drop[NET_DROP_SOURCE], 2);
	assert_silent(&two, 0);
	/* Where the definition lets it. */
	vattach_remove(one.a);
	nic_attach(&one, "spoof");
	nic_start(&one, 0);
	send_frame(&one, out, frame_make(two.port->mac, 0x111111111152, 60));
	assert_gets(&two, 0, 60);
	send_frame(&one, out, frame_make(two.port->mac, two.port->mac, 60));
	assert_silent(&two, 0);
}

static uint8_t mode(struct nic *c, uint8_t cmd, uint8_t on)
{
	return command(c, 0, cmd, &on, 1);
}

static bool hears(uint64_t dst)
{
	struct vnet_hdr h;

	send_frame(&one, out, frame_make(dst, one.port->mac, 60));
	fake_io_run(vm); /* floods are the I/O thread's */
	return received(&two, 0, &h, in) == 60;
}

#define GROUP 0x010000005e0001ull
#define OTHER 0x070000000052ull

static void test_receive_filter(void **state)
{
	uint64_t group = 0x05005e000001ull | NET_MAC_GROUP, group2 = group | 1ull << 41;
	uint8_t table[4 + 6 + 4 + 6] = {1};
	uint8_t big[8 + 65 * 6] = {0};

	(void)state;
	nic_start(&one, 0);
	nic_start(&two, CTRL_ALL);
	fill(&two, 0, 60, 100);
	assert_true(hears(two.port->mac) && hears(NET_MAC_BROADCAST) && hears(group) && hears(OTHER));
	assert_int_equal(mode(&two, 0, 0), 0); /* promiscuous no more */
	assert_true(hears(two.port->mac) && hears(NET_MAC_BROADCAST));
	assert_false(hears(group) || hears(OTHER));
	assert_int_equal(counts(&two).drop[NET_DROP_FILTER], 2);
	assert_int_equal(mode(&two, 1, 1), 0);
	assert_true(hears(group));
	assert_int_equal(mode(&two, 1, 0), 0);
	net_mac_store(table + 4, OTHER);
	table[10] = 1;
	net_mac_store(table + 14, group);
	assert_int_equal(command(&two, 1, 0, table, sizeof(table)), 0);
	assert_true(hears(group) && hears(OTHER));
	assert_false(hears(group2));
	/* Refused as a whole, and nothing has changed: cut, or longer than it is. */
	assert_int_equal(command(&two, 1, 0, table, sizeof(table) - 1), 1);
	table[0] = 3;
	assert_int_equal(command(&two, 1, 0, table, sizeof(table)), 1);
	memset(table, 0xff, 4);
	assert_int_equal(command(&two, 1, 0, table, sizeof(table)), 1);
	assert_true(hears(group) && hears(OTHER));
	/* More than fit: all of that kind. */
	big[4] = 65;
	assert_int_equal(command(&two, 1, 0, big, sizeof(big)), 0);
	assert_true(hears(group2));
	assert_false(hears(OTHER));
	assert_int_equal(mode(&two, 2, 1), 0);
	assert_true(hears(OTHER));
	assert_int_equal(mode(&two, 3, 1), 0);
	assert_int_equal(mode(&two, 4, 1), 0);
	assert_int_equal(mode(&two, 5, 1), 0);
	assert_false(hears(group) || hears(two.port->mac) || hears(NET_MAC_BROADCAST));
	assert_int_equal(mode(&two, 6, 1), 1);
	assert_int_equal(command(&two, 0, 0, "", 0), 1);
}

static void test_other_commands(void **state)
{
	uint8_t mac[6];

	(void)state;
	nic_start(&one, 0);
	nic_start(&two, CTRL_ALL);
	fill(&two, 0, 10, 100);
	/* The own address, and no other. */
	net_mac_store(mac, two.port->mac);
	assert_int_equal(command(&two, 1, 1, mac, 6), 0);
	net_mac_store(mac, OTHER);
	assert_int_equal(command(&two, 1, 1, mac, 6), 1);
	assert_int_equal(command(&two, 1, 1, mac, 5), 1);
	assert_int_equal(command(&two, 1, 2, mac, 6), 1);
	/* What was not negotiated, what is not known. */
	assert_int_equal(command(&two, 2, 0, "\1\0", 2), 1);
	assert_int_equal(command(&two, 4, 0, "\1\0", 2), 1);
	assert_int_equal(command(&two, 5, 0, "\0\0\0\0\0\0\0\0", 8), 1);
	assert_int_equal(command(&two, 3, 0, "", 0), 1);
	assert_int_equal(command(&two, 99, 0, "", 0), 1);
	assert_false(two.d->broken);
	assert_int_equal(two.a->handler.count[POLICY_CONFIGURE].ops, 9);
	nic_start(&two, VIRTIO_NET_F_CTRL_VQ);
	assert_int_equal(mode(&two, 0, 0), 1);
	assert_int_equal(mode(&two, 5, 1), 1);
	/* A guest that may spoof sets what it likes, but for groups. */
	vattach_remove(two.a);
	nic_attach(&two, "spoof");
	nic_start(&two, CTRL_ALL);
	assert_int_equal(command(&two, 1, 1, mac, 6), 0);
	assert_int_equal(two.n->filter->mac, OTHER);
	mac[0] |= 1;
	assert_int_equal(command(&two, 1, 1, mac, 6), 1);
}

static void test_vlans(void **state)
{
	(void)state;
	nic_start(&one, 0);
	nic_start(&two, CTRL_ALL | VIRTIO_NET_F_CTRL_VLAN);
	fill(&two, 0, 20, 100);
	for (unsigned int round = 0; round < 3; round++) {
		struct vnet_hdr h;

		frame_make(two.port->mac, one.port->mac, 64);
		memcpy(out + 12, "\x81\x00\x60\x07", 4);
		send_frame(&one, out, 64);
		assert_int_equal(received(&two, 0, &h, in) != 0, round == 1);
		out[15] = 0; /* priority only */
		send_frame(&one, out, 64);
		assert_int_equal(received(&two, 0, &h, in), 64);
		assert_int_equal(command(&two, 2, (uint8_t)round, "\7\0", 2), round == 2);
	}
	assert_int_equal(command(&two, 2, 0, "\0\x10", 2), 1); /* 4096 */
	assert_true(hears(two.port->mac));
	/* Without the feature all tags pass. */
	nic_start(&two, CTRL_ALL);
	fill(&two, 0, 1, 100);
	memcpy(out + 12, "\x81\x00\x60\x07", 4);
	send_frame(&one, out, 60);
	assert_gets(&two, 0, 60);
}

static void test_guest_offloads(void **state)
{
	const struct vnet_hdr csum = {.flags = 1, .csum_start = 34, .csum_offset = 16};
	uint64_t off = 0, on = VIRTIO_NET_F_GUEST_CSUM, never = BIT(10);
	struct vnet_hdr h;
	uint32_t len = tcp_make(5, 100);

	(void)state;
	nic_start(&one, HOST_ALL);
	nic_start(&two, CTRL_ALL | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	fill(&two, 0, 5, 1526);
	for (unsigned int round = 0; round < 3; round++) {
		send_pieces(&one, 0, &csum, out, len, 1000);
		fake_io_run(vm);
		assert_int_equal(received(&two, 0, &h, in), len);
		assert_int_equal(h.flags, round != 1);
		assert_int_equal(command(&two, 5, 0, round ? &on : &off, 8), 0);
	}
	assert_int_equal(command(&two, 5, 0, &never, 8), 1);
	on = VIRTIO_NET_F_GUEST_TSO4; /* not negotiated */
	assert_int_equal(command(&two, 5, 0, &on, 8), 1);
	assert_int_equal(command(&two, 5, 0, &off, 7), 1);
}

/* --- several queues --- */

static void test_queues(void **state)
{
	(void)state;
	nic_start(&one, CTRL_ALL | VIRTIO_NET_F_MQ);
	nic_start(&two, CTRL_ALL | VIRTIO_NET_F_MQ);
	fill(&two, 0, 60, 200);
	fill(&two, 1, 60, 200);
	/* One pair until the driver says so. */
	for (uint16_t port = 0; port < 16; port++) {
		send_frame(&one, out, tcp_make(port, 50));
		assert_gets(&two, 0, 104);
	}
	assert_int_equal(command(&two, 4, 0, "\0\0", 2), 1);
	assert_int_equal(command(&two, 4, 0, "\3\0", 2), 1);
	assert_int_equal(command(&two, 4, 1, "\2\0", 2), 1);
	assert_int_equal(command(&two, 4, 0, "\2\0", 2), 0);
	{
		unsigned int on[2] = {0};
		struct vnet_hdr h;

		for (uint16_t port = 0; port < 32; port++) {
			send_frame(&one, out, tcp_make(port, 50));
			for (unsigned int pair = 0; pair < 2; pair++)
				while (received(&two, pair, &h, in))
					on[pair]++;
		}
		assert_int_equal(on[0] + on[1], 32);
		assert_true(on[0] > 5 && on[1] > 5);
	}
	/* Where the driver sends a flow, it gets the answers. */
	fill(&one, 0, 8, 200);
	for (unsigned int pair = 0; pair < 2; pair++) {
		for (uint16_t port = 100; port < 104; port++) {
			uint32_t len = tcp_make(port, 50);
			uint8_t back[12];

			memcpy(back, out + 6, 6);
			memcpy(back + 6, out, 6);
			memcpy(out, back, 12);
			memcpy(back, out + 26, 4);
			memcpy(out + 26, out + 30, 4);
			memcpy(out + 30, back, 4);
			memcpy(back, out + 34, 2);
			memcpy(out + 34, out + 36, 2);
			memcpy(out + 36, back, 2);
			send_pieces(&two, pair, &no_offload, out, len, 1000);
			send_frame(&one, out, tcp_make(port, 50));
			assert_gets(&two, pair, 104);
		}
	}
	assert_int_equal(sent(&two, 0), 4);
	assert_int_equal(sent(&two, 1), 4);
}

/* --- link, state, life --- */

static void test_link(void **state)
{
	struct net_switch *sw = net_switch_find(NET_SWITCH_DEFAULT);
	uint32_t generation;

	(void)state;
	nic_start(&one, 0);
	nic_start(&two, 0);
	fill(&two, 0, 2, 200);
	generation = fake_common_read(&two.d[0], FAKE_GENERATION, 1);
	assert_int_equal(net_link_set(sw, "fake/net1", false), 0);
	assert_int_equal(fake_config_read(two.d, 6, 2), 0);
	assert_int_not_equal(fake_common_read(two.d, FAKE_GENERATION, 1), generation);
	send_frame(&one, out, frame_make(two.port->mac, one.port->mac, 60));
	assert_silent(&two, 0);
	assert_int_equal(sent(&one, 0), 1);
	assert_int_equal(net_link_set(sw, "fake/net1", true), 0);
	assert_int_equal(fake_config_read(two.d, 6, 2), VNET_S_LINK_UP);
	send_frame(&one, out, 60);
	assert_gets(&two, 0, 60);
	/* A change while the device stands still is seen when it goes on. */
	two.d->dev.ops->quiesce(&two.d->dev);
	assert_int_equal(net_link_set(sw, "fake/net1", false), 0);
	two.d->dev.ops->resume(&two.d->dev);
	assert_int_equal(fake_config_read(two.d, 6, 2), 0);
}

static void test_save_and_load(void **state)
{
	static uint8_t record[16384], again[16384];
	const struct vnet_hdr csum = {.flags = 1, .csum_start = 34, .csum_offset = 16};
	uint64_t csum_only = VIRTIO_NET_F_GUEST_CSUM;
	struct virtio_dev *fresh;
	struct vnet_hdr h;
	size_t n;

	(void)state;
	nic_start(&one, HOST_ALL);
	nic_start(&two, GUEST_ALL | CTRL_ALL | VIRTIO_NET_F_MQ | VIRTIO_NET_F_CTRL_VLAN |
				VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	fill(&two, 0, 4, 1526);
	assert_int_equal(mode(&two, 0, 0), 0);
	assert_int_equal(command(&two, 4, 0, "\2\0", 2), 0);
	assert_int_equal(command(&two, 2, 0, "\7\0", 2), 0);
	assert_int_equal(command(&two, 5, 0, &csum_only, 8), 0);
	two.d->dev.ops->quiesce(&two.d->dev);
	send_frame(&one, out, frame_make(two.port->mac, one.port->mac, 60));
	assert_int_equal(counts(&two).drop[NET_DROP_LINK], 1);
	n = fake_save(&two.d->dev, record, sizeof(record));
	/* Taken apart and made anew at the same slot, as `vm rebuild` does. */
	virtio_dev_destroy(two.d);
	assert_int_equal(two.a->kind->create(two.a, &fresh), 0);
	assert_int_equal(virtio_dev_plug(fresh), 0);
	two.d = fresh;
	two.n = vnet_of(fresh);
	for (unsigned int i = 0; i < QUEUES; i++)
		two.ring[i].d = fresh;
	two.d->dev.ops->quiesce(&two.d->dev);
	for (size_t cut = 0; cut < n; cut += cut < n - 40 ? 7 : 1)
		assert_int_not_equal(fake_load(&two.d->dev, record, cut), 0);
	assert_int_equal(fake_load(&two.d->dev, record, n), 0);
	assert_int_equal(fake_save(&two.d->dev, again, sizeof(again)), n);
	assert_memory_equal(record, again, n);
	two.d->dev.ops->resume(&two.d->dev);
	fake_io_run(vm);
	assert_int_equal(two.n->pairs, 2);
	assert_int_equal(two.n->rx_caps, NET_CAP_CSUM);
	assert_int_equal(two.n->filter->flags, 0);
	assert_true(two.n->filter->vlan && two.n->filter->vlans[0] == BIT(7));
	two.n->pairs = 1;
	send_pieces(&one, 0, &csum, out, tcp_make(1, 10), 1000);
	assert_int_equal(received(&two, 0, &h, in), 64);
	assert_int_equal(h.flags, 1);
}

static void test_reset_and_detach(void **state)
{
	uint64_t dst = two.port->mac;
	uint8_t off = 0;

	(void)state;
	nic_start(&one, 0);
	nic_start(&two, CTRL_ALL);
	fill(&two, 0, 2, 200);
	assert_int_equal(command(&two, 0, 0, &off, 1), 0);
	/* After a reset the filter is open again and nothing is received. */
	fake_common_write(two.d, FAKE_STATUS, 1, 0);
	assert_int_equal(two.n->filter->flags, VNET_RX_PROMISC);
	send_frame(&one, out, frame_make(dst, one.port->mac, 60));
	assert_silent(&two, 0);
	nic_start(&two, 0);
	fill(&two, 0, 1, 200);
	send_frame(&one, out, 60);
	assert_gets(&two, 0, 60);
	/* A card that is gone: its address is nobody's, so the frame is flooded. */
	vattach_remove(two.a);
	send_frame(&one, out, 60);
	assert_int_equal(sent(&one, 0), 2);
	fake_io_run(vm);
	assert_int_equal(sent(&one, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_config_and_features),
		TEST(test_addresses_are_stable),
		TEST(test_definitions),
		TEST(test_memory_short),
		TEST(test_frames),
		TEST(test_buffers_in_pieces),
		TEST(test_mergeable),
		TEST(test_offload_between_guests),
		TEST(test_bad_metadata),
		TEST(test_broken_drivers),
		TEST(test_source_address),
		TEST(test_receive_filter),
		TEST(test_other_commands),
		TEST(test_vlans),
		TEST(test_guest_offloads),
		TEST(test_queues),
		TEST(test_link),
		TEST(test_save_and_load),
		TEST(test_reset_and_detach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
