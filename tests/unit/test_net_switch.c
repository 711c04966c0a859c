/* UNIT: net/switch.c net/mac_table.c net/info.c net/offload.c net/csum.c net/parse.c net/frame.c
 * kernel/lib/fmt.c kernel/lib/sink.c */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/host/fake_heap.h"
#include "tests/host/fake_lock.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"
#include "net/switch_priv.h"

static uint64_t now_ns = 5000000000ull;
static int sections;
static unsigned int synchronised;

uint64_t time_now(void)
{
	return now_ns;
}

void epoch_enter(void)
{
	sections++;
}

void epoch_leave(void)
{
	sections--;
}

void epoch_synchronize(void)
{
	assert_int_equal(sections, 0);
	assert_int_equal(fake_lock_count, 0);
	synchronised++;
}

void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	*l = (struct spinlock)SPINLOCK_INIT(order);
}

/* A port that keeps the last frame. */
struct tap {
	struct net_port port;
	int answer;
	unsigned int frames, links;
	bool fast;
	size_t len;
	uint8_t bytes[2048];
};

static int tap_deliver(struct net_port *p, const struct net_frame *f, bool fast)
{
	struct tap *t = container_of(p, struct tap, port);
	struct net_cursor c;

	assert_int_equal(fake_lock_count, 0);
	t->fast = fast;
	if (t->answer)
		return t->answer;
	net_cursor_init(&c, f);
	net_cursor_copy(&c, t->bytes, f->len);
	t->len = f->len;
	t->frames++;
	return 0;
}

static void tap_link_changed(struct net_port *p)
{
	container_of(p, struct tap, port)->links++;
}

static const struct net_port_ops tap_ops = {
	.deliver = tap_deliver,
	.link_changed = tap_link_changed,
};

static struct net_switch *sw;
static struct tap a, b, c;

#define MAC_A 0x0a0000000052ull
#define MAC_B 0x0b0000000052ull
#define MAC_C 0x0c0000000052ull
#define MAC_X 0x990000000052ull /* behind somebody */

static int attach(struct tap *t, const char *name, uint64_t mac, uint32_t flags)
{
	memset(t, 0, sizeof(*t));
	t->port.ops = &tap_ops;
	t->port.mac = mac;
	t->port.flags = flags;
	strlcpy(t->port.name, name, sizeof(t->port.name));
	return net_port_attach(sw, &t->port);
}

static int setup(void **state)
{
	(void)state;
	if (!net_switch_find(NET_SWITCH_DEFAULT))
		assert_int_equal(net_init(), 0);
	sw = net_switch_find(NET_SWITCH_DEFAULT);
	assert_non_null(sw);
	assert_int_equal(attach(&a, "vm1/net0", MAC_A, 0), 0);
	assert_int_equal(attach(&b, "vm2/net0", MAC_B, 0), 0);
	assert_int_equal(attach(&c, "vm3/net0", MAC_C, 0), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	net_port_detach(&a.port);
	net_port_detach(&b.port);
	net_port_detach(&c.port);
	assert_int_equal(fake_heap_live, 1); /* the switch */
	for (unsigned int i = 0; i < MAC_BUCKETS; i++)
		for (unsigned int k = 0; k < MAC_WAYS; k++)
			assert_int_equal(sw->macs.bucket[i].place[k], 0);
	return 0;
}

static uint8_t frame[64];

static int send_frame(struct tap *from, uint64_t dst, uint64_t src, bool fast)
{
	uint8_t head[NET_HEAD_MAX];
	const struct net_seg seg = {frame, sizeof(frame)};
	struct net_frame f;

	net_mac_store(frame, dst);
	net_mac_store(frame + 6, src);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	assert_int_equal(net_frame_init(&f, head, &seg, 1, 0), 0);
	return net_send(&from->port, &f, fast);
}

static struct net_counts counts(struct tap *t)
{
	struct net_counts n;

	net_port_stats(&t->port, &n);
	return n;
}

static void test_unicast(void **state)
{
	(void)state;
	frame[20] = 77;
	assert_int_equal(send_frame(&a, MAC_B, MAC_A, true), 0);
	assert_int_equal(b.frames, 1);
	assert_true(b.fast);
	assert_int_equal(b.len, 64);
	assert_int_equal(b.bytes[20], 77);
	assert_int_equal(a.frames + c.frames, 0);
	fake_cpu_now = 2; /* counted on another CPU */
	assert_int_equal(send_frame(&a, MAC_B, MAC_A, false), 0);
	fake_cpu_now = 0;
	assert_false(b.fast);
	assert_int_equal(counts(&a).tx_frames, 2);
	assert_int_equal(counts(&a).tx_bytes, 128);
	assert_int_equal(counts(&b).rx_frames, 2);
	assert_int_equal(counts(&b).rx_bytes, 128);
	assert_int_equal(counts(&b).tx_frames, 0);
}

static void test_flood(void **state)
{
	(void)state;
	/* Not from the fast path, where nothing may have happened. */
	assert_int_equal(send_frame(&a, NET_MAC_BROADCAST, MAC_A, true), -RAY_EBUSY);
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, true), -RAY_EBUSY);
	assert_int_equal(a.frames + b.frames + c.frames, 0);
	assert_int_equal(counts(&a).tx_frames, 0);
	assert_int_equal(send_frame(&a, NET_MAC_BROADCAST, MAC_A, false), 0);
	assert_int_equal(send_frame(&a, 0x010000005e0001ull & NET_MAC_MASK, MAC_A, false), 0);
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, false), 0);
	assert_int_equal(send_frame(&a, 0, MAC_A, false), 0);
	assert_int_equal(a.frames, 0);
	assert_int_equal(b.frames, 4);
	assert_int_equal(c.frames, 4);
	assert_int_equal(counts(&a).tx_frames, 4);
	assert_int_equal(counts(&c).rx_frames, 4);
}

static void test_busy_and_drops(void **state)
{
	static const struct {
		int answer;
		enum net_drop why;
	} drops[] = {
		{-RAY_ENOSPC, NET_DROP_NO_BUFFER}, {-RAY_E2BIG, NET_DROP_TOO_LONG},
		{-RAY_EPERM, NET_DROP_FILTER},	   {-RAY_EIO, NET_DROP_LINK},
		{-RAY_EBUSY, NET_DROP_NO_BUFFER},
	};

	(void)state;
	b.answer = -RAY_EBUSY;
	assert_int_equal(send_frame(&a, MAC_B, MAC_A, true), -RAY_EBUSY);
	assert_int_equal(counts(&a).tx_frames, 0);
	for (size_t i = 0; i < ARRAY_SIZE(drops); i++) {
		uint64_t before = counts(&b).drop[drops[i].why];

		b.answer = drops[i].answer;
		assert_int_equal(send_frame(&a, MAC_B, MAC_A, false), 0);
		assert_int_equal(counts(&b).drop[drops[i].why], before + 1);
	}
	assert_int_equal(counts(&b).rx_frames, 0);
	assert_int_equal(counts(&a).tx_frames, ARRAY_SIZE(drops));
	/* One of many that is short of buffers does not take the frame from the others. */
	assert_int_equal(send_frame(&a, NET_MAC_BROADCAST, MAC_A, false), 0);
	assert_int_equal(c.frames, 1);
}

static void test_source(void **state)
{
	(void)state;
	/* Another's address, one nobody has, a group's. */
	assert_int_equal(send_frame(&a, MAC_B, MAC_C, true), 0);
	assert_int_equal(send_frame(&a, MAC_B, MAC_X, true), 0);
	assert_int_equal(counts(&a).drop[NET_DROP_SOURCE], 2);
	assert_int_equal(send_frame(&a, MAC_B, MAC_A | NET_MAC_GROUP, true), 0);
	assert_int_equal(counts(&a).drop[NET_DROP_MALFORMED], 1);
	/* To itself: no way out and in again. */
	assert_int_equal(send_frame(&a, MAC_A, MAC_A, true), 0);
	assert_int_equal(counts(&a).drop[NET_DROP_FILTER], 1);
	assert_int_equal(a.frames + b.frames + c.frames, 0);
	assert_int_equal(counts(&a).tx_frames, 0);
}

static void test_malformed(void **state)
{
	uint8_t head[NET_HEAD_MAX];
	const struct net_seg seg = {frame, sizeof(frame)};
	struct net_frame f;

	(void)state;
	net_mac_store(frame, MAC_B);
	net_mac_store(frame + 6, MAC_A);
	assert_int_equal(net_frame_init(&f, head, &seg, 1, 0), 0);
	f.gso_type = NET_GSO_TCPV4;
	f.flags = NET_F_NEEDS_CSUM;
	f.gso_size = 100;
	assert_int_equal(net_send(&a.port, &f, true), 0);
	assert_int_equal(counts(&a).drop[NET_DROP_MALFORMED], 1);
	assert_int_equal(b.frames, 0);
}

static void test_learning(void **state)
{
	struct tap up;

	(void)state;
	assert_int_equal(attach(&up, "uplink", 0xee0000000052ull, NET_PORT_ANY_SOURCE), 0);
	assert_int_equal(send_frame(&up, MAC_B, MAC_X, true), 0);
	assert_int_equal(b.frames, 1);
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, true), 0);
	assert_int_equal(up.frames, 1);
	assert_int_equal(c.frames, 0);
	/* A port's own address is not learned away from it, nor does such a frame pass. */
	assert_int_equal(send_frame(&up, MAC_B, MAC_A, true), 0);
	assert_int_equal(counts(&up).drop[NET_DROP_SOURCE], 1);
	assert_int_equal(send_frame(&b, MAC_A, MAC_B, true), 0);
	assert_int_equal(a.frames, 1);
	/* It ages, unless it is seen. */
	now_ns += 200ull * 1000000000;
	assert_int_equal(send_frame(&up, MAC_B, MAC_X, true), 0);
	now_ns += 200ull * 1000000000;
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, true), 0);
	now_ns += 200ull * 1000000000;
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, true), -RAY_EBUSY);
	assert_int_equal(send_frame(&up, MAC_B, MAC_X, true), 0);
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, true), 0);
	net_port_detach(&up.port);
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, true), -RAY_EBUSY);
}

static void test_moving(void **state)
{
	struct tap one, two;

	(void)state;
	assert_int_equal(attach(&one, "one", 0xe10000000052ull, NET_PORT_ANY_SOURCE), 0);
	assert_int_equal(attach(&two, "two", 0xe20000000052ull, NET_PORT_ANY_SOURCE), 0);
	assert_int_equal(send_frame(&one, MAC_B, MAC_X, true), 0);
	assert_int_equal(send_frame(&two, MAC_B, MAC_X, true), 0);
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, true), 0);
	assert_int_equal(one.frames, 0);
	assert_int_equal(two.frames, 1);
	net_port_detach(&one.port);
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, true), 0);
	assert_int_equal(two.frames, 2);
	net_port_detach(&two.port);
}

/* Far more addresses than places: the table stays bounded, own addresses stay in it. */
static void test_table_full(void **state)
{
	struct tap up;
	unsigned int learned = 0;
	struct net_mac_info m;

	(void)state;
	assert_int_equal(attach(&up, "uplink", 0xee0000000052ull, NET_PORT_ANY_SOURCE), 0);
	for (uint64_t i = 1; i < 20000; i++)
		assert_int_equal(send_frame(&up, MAC_B, i << 8, true), 0);
	assert_int_equal(send_frame(&a, MAC_B, MAC_A, true), 0);
	assert_int_equal(send_frame(&b, MAC_A, MAC_B, true), 0);
	for (unsigned int i = 0; net_mac_info(sw, i, &m) != -RAY_ERANGE; i++)
		if (!net_mac_info(sw, i, &m) && m.learned)
			learned++;
	assert_in_range(learned, MAC_PLACES * 3 / 4, MAC_PLACES - 4);
	/* A new port finds a place all the same: an own address takes a learned one's. */
	net_port_detach(&c.port);
	assert_int_equal(attach(&c, "vm3/net0", MAC_C, 0), 0);
	assert_int_equal(send_frame(&a, MAC_C, MAC_A, true), 0);
	assert_int_equal(c.frames, 1);
	/* When the old ones have aged, new ones are learned in their place. */
	now_ns += 400ull * 1000000000;
	assert_int_equal(send_frame(&up, MAC_B, MAC_X, true), 0);
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, true), 0);
	net_port_detach(&up.port);
}

/* Own addresses that fall into one bucket. */
static void test_bucket_full(void **state)
{
	static struct tap t[MAC_WAYS + 1];
	struct mac_bucket *want = mac_bucket(&sw->macs, 0x100);
	unsigned int n = 0;
	uint64_t mac;

	(void)state;
	if (want == mac_bucket(&sw->macs, MAC_A) || want == mac_bucket(&sw->macs, MAC_B) ||
	    want == mac_bucket(&sw->macs, MAC_C))
		return; /* the multiplier is random */
	for (mac = 0x100; n < MAC_WAYS; mac += 0x100)
		if (mac_bucket(&sw->macs, mac) == want)
			assert_int_equal(attach(&t[n++], "x", mac, 0), 0);
	while (mac_bucket(&sw->macs, mac) != want)
		mac += 0x100;
	assert_int_equal(attach(&t[n], "x", mac, 0), -RAY_ENOSPC);
	/* And one learned there is flooded to instead. */
	assert_int_equal(mac_learn(&sw->macs, mac, 0), 0);
	assert_int_equal(mac_find(&sw->macs, mac), -RAY_ENOENT);
	while (n > 0)
		net_port_detach(&t[--n].port);
}

/* An address learned just before a port comes that owns it. */
static void test_own_after_learned(void **state)
{
	struct tap up, late;

	(void)state;
	assert_int_equal(attach(&up, "uplink", 0xee0000000052ull, NET_PORT_ANY_SOURCE), 0);
	assert_int_equal(send_frame(&up, MAC_B, MAC_X, true), 0);
	assert_int_equal(attach(&late, "late", MAC_X, 0), 0);
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, true), 0);
	assert_int_equal(late.frames, 1);
	assert_int_equal(up.frames, 0);
	assert_int_equal(send_frame(&up, MAC_B, MAC_X, true), 0);
	assert_int_equal(counts(&up).drop[NET_DROP_SOURCE], 1);
	net_port_detach(&late.port);
	/* The same with the learned address in a later place, as a race may leave it. */
	mac_bucket(&sw->macs, MAC_X)->place[3] = MAC_X << MAC_ADDRESS_SHIFT | MAC_LEARNED |
						 up.port.index;
	assert_int_equal(attach(&late, "late", MAC_X, 0), 0);
	assert_int_equal(send_frame(&a, MAC_X, MAC_A, true), 0);
	assert_int_equal(late.frames, 1);
	net_port_detach(&late.port);
	net_port_detach(&up.port);
}

static void test_attach_errors(void **state)
{
	static struct tap many[NET_SWITCH_PORTS_MAX];
	struct net_switch *other;
	unsigned int n = 0;
	struct tap t;

	(void)state;
	assert_int_equal(attach(&t, "t", 0, 0), -RAY_EINVAL);
	assert_int_equal(attach(&t, "t", MAC_A | NET_MAC_GROUP, 0), -RAY_EINVAL);
	assert_int_equal(attach(&t, "t", BIT(50), 0), -RAY_EINVAL);
	assert_int_equal(attach(&t, "t", MAC_A, 0), -RAY_EEXIST);
	fake_heap_fail_at = 1;
	assert_int_equal(attach(&t, "t", MAC_X, 0), -RAY_ENOMEM);
	while (n < NET_SWITCH_PORTS_MAX - 3) {
		int err = attach(&many[n], "m", (uint64_t)(n + 1) << 40 | 0x0200, 0);

		if (err == -RAY_ENOSPC)
			break; /* four in one bucket: the multiplier is random */
		assert_int_equal(err, 0);
		n++;
	}
	if (n == NET_SWITCH_PORTS_MAX - 3)
		assert_int_equal(attach(&t, "t", MAC_X, 0), -RAY_ENOSPC);
	while (n > 0)
		net_port_detach(&many[--n].port);
	assert_int_equal(net_switch_create(NET_SWITCH_DEFAULT, &other), -RAY_EEXIST);
	fake_heap_fail_at = 1;
	assert_int_equal(net_switch_create("other", &other), -RAY_ENOMEM);
	assert_null(net_switch_find("other"));
	assert_string_equal(net_switch_name(sw), NET_SWITCH_DEFAULT);
}

static void test_detach_waits(void **state)
{
	unsigned int before = synchronised;

	(void)state;
	net_port_detach(&c.port);
	assert_int_equal(synchronised, before + 1);
	assert_int_equal(send_frame(&a, MAC_C, MAC_A, true), -RAY_EBUSY); /* unknown again */
	assert_int_equal(attach(&c, "vm3/net0", MAC_C, 0), 0);
}

static void test_link_and_info(void **state)
{
	struct net_port_info info;
	struct net_mac_info m;
	bool seen = false;

	(void)state;
	assert_int_equal(net_link_set(sw, "nobody", false), -RAY_ENOENT);
	assert_int_equal(net_link_set(sw, "vm2/net0", false), 0);
	assert_int_equal(net_link_set(sw, "vm2/net0", false), 0);
	assert_int_equal(b.links, 1);
	assert_int_equal(send_frame(&a, MAC_B, MAC_A, true), 0);
	assert_int_equal(send_frame(&b, MAC_A, MAC_B, true), 0);
	assert_int_equal(a.frames + b.frames, 0);
	assert_int_equal(counts(&b).drop[NET_DROP_LINK], 2);
	assert_int_equal(net_port_info(sw, b.port.index, &info), 0);
	assert_string_equal(info.name, "vm2/net0");
	assert_false(info.link);
	assert_int_equal(info.counts.drop[NET_DROP_LINK], 2);
	assert_int_equal(net_link_set(sw, "vm2/net0", true), 0);
	assert_int_equal(b.links, 2);
	assert_int_equal(send_frame(&a, MAC_B, MAC_A, true), 0);
	assert_int_equal(b.frames, 1);
	assert_int_equal(net_port_info(sw, NET_SWITCH_PORTS_MAX - 1, &info), -RAY_ENOENT);
	assert_int_equal(net_port_info(sw, NET_SWITCH_PORTS_MAX, &info), -RAY_ENOENT);
	for (unsigned int i = 0; i < MAC_PLACES; i++)
		if (!net_mac_info(sw, i, &m) && m.mac == MAC_B) {
			assert_string_equal(m.port, "vm2/net0");
			assert_false(m.learned);
			seen = true;
		}
	assert_true(seen);
	assert_int_equal(net_mac_info(sw, MAC_PLACES, &m), -RAY_ERANGE);
	assert_int_equal(sections, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_unicast),    TEST(test_flood),	     TEST(test_busy_and_drops),
		TEST(test_source),     TEST(test_malformed),	     TEST(test_learning),
		TEST(test_moving),     TEST(test_table_full),	     TEST(test_bucket_full),
		TEST(test_own_after_learned), TEST(test_attach_errors), TEST(test_detach_waits),
		TEST(test_link_and_info),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
