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
/* What a card may send in a second: its own rate, and the one that all cards of a VM share. */
#include "tests/host/fake_nic.h"

static void test_rate(void **state)
{
	uint64_t bytes = 0, begin, dst;
	unsigned int done = 0;

	(void)state;
	vattach_remove(one.a);
	nic_attach(&one, "rate=10M");
	nic_start(&one, 0);
	nic_start(&two, 0);
	dst = two.port->mac;
	begin = fake_now_ns;
	/* A tenth of a second's worth at once, then ten megabit a second: 1.25 MB. */
	for (unsigned int i = 0; i < 1000; i++) {
		send_frame(&one, out, frame_make(dst, one.port->mac, 1250));
		while ((done = sent(&one, 0)) == 0) {
			uint64_t wait = fake_timer_next();

			assert_true(wait != UINT64_MAX);
			/* Not a tick before its time. */
			if (wait > 1) {
				fake_virtio_advance(vm, wait - 1);
				assert_int_equal(sent(&one, 0), 0);
			}
			fake_virtio_advance(vm, wait > 1 ? 1 : wait);
		}
		bytes += done * 1250ull;
	}
	assert_int_equal(bytes, 1250000);
	/* Nothing is lost, nothing early: 1.25 MB less the burst of 125,000 in 0.9 s. */
	assert_in_range(fake_now_ns - begin, 899900000ull, 900100000ull);
	assert_int_equal(counts(&two).drop[NET_DROP_NO_BUFFER], 1000);
	assert_non_null(strstr(fake_markers, "QUOTA_EXCEEDED vm=fake device=net0 what=bytes"));
}

/* Frames of 1250 bytes that a card has sent. */
static uint64_t took_turns(unsigned int frames, unsigned int *first)
{
	unsigned int n[2] = {0};

	for (unsigned int i = 0; i < frames; i++) {
		send_frame(&one, out, frame_make(two.port->mac, one.port->mac, 1250));
		send_frame(&two, out, frame_make(one.port->mac, two.port->mac, 1250));
		while (n[0] + n[1] < 2 * (i + 1)) {
			uint64_t wait;

			n[0] += sent(&one, 0);
			n[1] += sent(&two, 0);
			wait = fake_timer_next();
			if (n[0] + n[1] < 2 * (i + 1)) {
				assert_true(wait != UINT64_MAX);
				fake_virtio_advance(vm, wait ? wait : 1);
			}
		}
	}
	*first = n[0];
	return 1250ull * (n[0] + n[1]);
}

/* Two cards of a VM have one rate, whatever a card's own is; nobody else's is in it. */
static void test_shared_rate(void **state)
{
	uint64_t begin;
	unsigned int first;

	(void)state;
	limit_all(10000000);
	nic_start(&one, 0);
	nic_start(&two, 0);
	begin = fake_now_ns;
	assert_int_equal(took_turns(500, &first), 1250000);
	assert_int_equal(first, 500);
	/* As in test_rate(): a burst of 125,000 bytes, the rest in 0.9 s. */
	assert_in_range(fake_now_ns - begin, 899000000ull, 901000000ull);
	assert_true(one.a->handler.quota.throttles + two.a->handler.quota.throttles > 0);
	assert_non_null(strstr(fake_markers, "QUOTA_EXCEEDED vm=fake device=net"));
	/* Half of it, while frames wait. */
	limit_all(5000000);
	begin = fake_now_ns;
	assert_int_equal(took_turns(500, &first), 1250000);
	assert_in_range(fake_now_ns - begin, 1899000000ull, 1901000000ull);
	/* And none. */
	limit_all(0);
	begin = fake_now_ns;
	assert_int_equal(took_turns(500, &first), 1250000);
	assert_int_equal(fake_now_ns - begin, 0);
}

/* What the VM's rate refuses the card's own gets back. */
static void test_shared_and_own(void **state)
{
	uint64_t begin;
	unsigned int n = 0;

	(void)state;
	vattach_remove(one.a);
	nic_attach(&one, "rate=20M");
	limit_all(10000000);
	nic_start(&one, 0);
	nic_start(&two, 0);
	begin = fake_now_ns;
	for (unsigned int i = 0; i < 1000; i++) {
		send_frame(&one, out, frame_make(two.port->mac, one.port->mac, 1250));
		while (n <= i) {
			n += sent(&one, 0);
			if (n <= i)
				fake_virtio_advance(vm, MAX(fake_timer_next(), 1u));
		}
	}
	assert_in_range(fake_now_ns - begin, 899000000ull, 901000000ull);
	assert_in_range(bucket_lag(one.a->handler.quota.bytes.full_at,
				   bucket_position(&one.a->handler.quota.bytes, rdtsc())), 0, 2500);
}

/* A frame that the exit handler could not deliver is paid for once. */
static void test_paid_once(void **state)
{
	(void)state;
	vattach_remove(one.a);
	nic_attach(&one, "rate=8000"); /* 1000 bytes a second, 100 at once */
	nic_start(&one, 0);
	nic_start(&two, 0);
	fill(&two, 0, 2, 200);
	send_frame(&one, out, frame_make(NET_MAC_BROADCAST, one.port->mac, 100));
	assert_silent(&two, 0);
	assert_int_equal(sent(&one, 0), 0);
	fake_io_run(vm);
	assert_gets(&two, 0, 100);
	assert_int_equal(sent(&one, 0), 1);
	assert_int_equal(fake_timer_next(), UINT64_MAX);
	assert_int_equal(one.a->handler.quota.throttles, 0);
	/* And a guest that makes another frame of it pays for that. */
	fake_virtio_advance(vm, 100000000);
	send_frame(&one, out, frame_make(NET_MAC_BROADCAST, one.port->mac, 100));
	fake_ring_desc(&one.ring[1], (uint16_t)(one.ring[1].desc_next - 1u))->len = VNET_HDR_SIZE + 99;
	fake_io_run(vm);
	assert_silent(&two, 0);
	assert_int_equal(one.a->handler.quota.throttles, 1);
	fake_virtio_advance(vm, 100000000);
	assert_gets(&two, 0, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rate),
		TEST(test_shared_rate),
		TEST(test_shared_and_own),
		TEST(test_paid_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
