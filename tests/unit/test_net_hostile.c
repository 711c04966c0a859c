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
/* Frames, buffers and commands of a driver that means harm to the network, each made by hand. */
#include "net/csum.h"
#include "tests/host/fake_nic.h"

#define FRAME 1054u /* an IPv4 TCP frame with 1,000 bytes */

static const struct {
	uint64_t gpa;
	uint32_t len;
} no_memory[] = {
	{FAKE_RAM_SIZE, 1}, {FAKE_RAM_SIZE - 1, 2}, {UINT64_MAX, 1}, {UINT64_MAX, 2},
	{UINT64_MAX - 11, 12}, {UINT64_MAX - 10, 12}, {UINT64_MAX - 1525, 1526}, {0, UINT32_MAX},
	{1ull << 63, 0x80000000}, {1ull << 52, 1526}, {0xfee00000, 64}, {0, FAKE_RAM_SIZE + 1},
};

static void tcp_frame(void)
{
	frame_make(two.port->mac, one.port->mac, FRAME);
	store_be16(out + 12, 0x0800);
	memset(out + 14, 0, 40);
	out[14] = 0x45;
	store_be16(out + 16, FRAME - 14);
	out[23] = 6;
	out[26] = out[30] = 10;
	out[33] = 2;
	out[46] = 0x50;
}

/* Receive buffers for all of the frames that came, and what @two is told of each: nothing that it
 * could follow out of the frame. */
static unsigned int take_all(void)
{
	struct vnet_hdr h;
	unsigned int n = 0;
	uint32_t len;

	while ((len = received(&two, 0, &h, in)) > 0) {
		n++;
		assert_in_range(len, 14, FRAME);
		assert_int_equal(h.flags & ~(NET_F_NEEDS_CSUM | NET_F_DATA_VALID), 0);
		if (h.flags & NET_F_NEEDS_CSUM)
			assert_true((uint32_t)h.csum_start + h.csum_offset + 2 <= len);
		if (h.gso_type) {
			assert_int_equal(h.gso_type & ~NET_GSO_ECN, NET_GSO_TCPV4);
			assert_true(h.flags & NET_F_NEEDS_CSUM && h.gso_size >= NET_GSO_SIZE_MIN);
		}
		fill(&two, 0, h.num_buffers, 1526);
	}
	return n;
}

static void test_headers(void **state)
{
	static const uint8_t types[] = {0, 1, 2, 3, 4, 5, 0x7f, 0x80, 0x81, 0x84, 0xff};
	static const uint16_t sizes[] = {0, 1, 7, 8, 999, 1000, 0x7fff, 0x8000, 0xffff};
	static const uint16_t places[] = {0, 13, 14, 33, 34, 54, FRAME - 2, FRAME - 1, FRAME, 0x7fff,
					  0xfffe, 0xffff};
	unsigned int n = 0, came = 0;

	(void)state;
	nic_start(&one, HOST_ALL);
	nic_start(&two, GUEST_ALL | VIRTIO_NET_F_MRG_RXBUF);
	fill(&two, 0, 32, 1526);
	tcp_frame();
	for (unsigned int t = 0; t < ARRAY_SIZE(types); t++) {
		for (unsigned int s = 0; s < ARRAY_SIZE(sizes); s++) {
			for (unsigned int p = 0; p < ARRAY_SIZE(places) * ARRAY_SIZE(places); p++) {
				const struct vnet_hdr h = {
					.flags = p & 1 ? 0xff : 1, .gso_type = types[t],
					.hdr_len = places[p % ARRAY_SIZE(places)], .gso_size = sizes[s],
					.csum_start = places[p / ARRAY_SIZE(places)],
					.csum_offset = places[p % ARRAY_SIZE(places)], .num_buffers = 0xffff,
				};

				send_pieces(&one, 0, &h, out, FRAME, 1u << 20);
				fake_io_run(vm);
				n += sent(&one, 0);
				came += take_all();
			}
		}
	}
	assert_int_equal(n, ARRAY_SIZE(types) * ARRAY_SIZE(sizes) * ARRAY_SIZE(places) * ARRAY_SIZE(places));
	assert_int_equal(came + counts(&one).drop[NET_DROP_MALFORMED], n);
	assert_in_range(came, 1, n - 1);
	assert_false(one.d->broken || two.d->broken);
}

/* A byte less than a header, and every length of what should be a frame up to one. */
static void test_lengths(void **state)
{
	(void)state;
	nic_start(&two, 0);
	fill(&two, 0, 4, 1526);
	for (uint32_t len = 0; len < VNET_HDR_SIZE + 14; len++) {
		const struct fake_buf b = {one.scratch, len, false};

		nic_start(&one, 0);
		memset(fake_guest(one.scratch), 0, 64);
		fake_ring_add(&one.ring[1], &b, 1);
		fake_ring_kick(&one.ring[1]);
		fake_io_run(vm);
		assert_int_equal(one.d->broken, len < VNET_HDR_SIZE);
		assert_int_equal(sent(&one, 0), len < VNET_HDR_SIZE ? 0 : 1);
	}
	assert_silent(&two, 0);
	assert_false(two.d->broken);
}

/* Whose buffer is no memory, whose device breaks; the other's goes on. */
static void test_buffers_that_are_none(void **state)
{
	unsigned int broken = 0;

	(void)state;
	nic_start(&two, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(no_memory); i++) {
		for (unsigned int place = 0; place < 2; place++) {
			struct fake_buf b[] = {{one.scratch, VNET_HDR_SIZE, false},
					       {one.scratch + 64, 60, false}};

			b[place].gpa = no_memory[i].gpa;
			b[place].len = no_memory[i].len;
			nic_start(&one, 0);
			fake_ring_add(&one.ring[1], b, 2);
			fake_ring_kick(&one.ring[1]);
			fake_io_run(vm);
			assert_true(one.d->broken);
			assert_int_equal(one.a->handler.malformed, ++broken);
			assert_int_equal(sent(&one, 0), 0);
		}
	}
	nic_start(&one, 0);
	broken = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(no_memory); i++) {
		const struct fake_buf b = {no_memory[i].gpa, no_memory[i].len, true};

		nic_start(&two, 0);
		fake_ring_add(&two.ring[0], &b, 1);
		fake_ring_kick(&two.ring[0]);
		send_frame(&one, out, frame_make(two.port->mac, one.port->mac, 60));
		fake_io_run(vm);
		assert_true(two.d->broken);
		assert_int_equal(two.a->handler.malformed, ++broken);
		assert_int_equal(sent(&one, 0), 1);
		assert_false(one.d->broken);
	}
}

/* Every class and command with bodies of every edge: answered, and what is heard stays bounded. */
static void test_commands(void **state)
{
	static const uint32_t counts_of[] = {0, 1, 2, 64, 65, 0x2aaaaaab, 0x55555556, 0x80000000,
					     0xaaaaaaab, UINT32_MAX - 1, UINT32_MAX};
	uint8_t body[512];

	(void)state;
	nic_start(&one, 0);
	nic_start(&two, GUEST_ALL | CTRL_ALL | VIRTIO_NET_F_MQ | VIRTIO_NET_F_CTRL_VLAN |
				VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	for (unsigned int class = 0; class < 256; class++) {
		for (unsigned int cmd = 0; cmd < 256; cmd = cmd < 8 ? cmd + 1 : cmd * 2 + 1) {
			uint8_t said;

			memset(body, 0xff, sizeof(body));
			for (uint32_t len = 1; len <= 16; len *= 2) {
				said = command(&two, (uint8_t)class, (uint8_t)cmd, body, len);
				assert_true(said == 0 || said == 1);
				if (class > 5)
					assert_int_equal(said, 1);
			}
		}
	}
	/* The table of addresses: more than there are, and numbers whose bytes wrap to what is there. */
	for (unsigned int i = 0; i < ARRAY_SIZE(counts_of); i++) {
		memset(body, 0, sizeof(body));
		memcpy(body, &counts_of[i], 4);
		if (counts_of[i] > 65)
			assert_int_equal(command(&two, 1, 0, body, 4 + 2 * 6 + 4), 1);
		/* The second list: behind a first one that is empty. */
		memset(body, 0, 4);
		memcpy(body + 4, &counts_of[i], 4);
		if (counts_of[i] > 65)
			assert_int_equal(command(&two, 1, 0, body, 8 + 2 * 6), 1);
	}
	for (unsigned int id = 4096; id < 0x10000; id += 4095) {
		const uint8_t vlan[] = {(uint8_t)id, (uint8_t)(id >> 8)};

		assert_int_equal(command(&two, 2, 0, vlan, 2), 1);
		assert_int_equal(command(&two, 2, 1, vlan, 2), 1);
	}
	for (unsigned int pairs = 0; pairs < 0x10000; pairs += pairs < 16 ? 1 : 4095) {
		const uint8_t n[] = {(uint8_t)pairs, (uint8_t)(pairs >> 8)};

		assert_int_equal(command(&two, 4, 0, n, 2), pairs == 1 || pairs == 2 ? 0 : 1);
	}
	assert_false(two.d->broken);
	assert_int_equal(two.a->handler.malformed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_headers),
		TEST(test_lengths),
		TEST(test_buffers_that_are_none),
		TEST(test_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
