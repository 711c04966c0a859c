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
// SPDX-License-Identifier: Apache-2.0
/* vsock as Linux' driver uses it, and as none should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/virtio/vsock_priv.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"

#define SIZE  32u
#define CID   42u
#define PORT  1234u  /* the guest's */
#define ALLOC 65536u /* the guest's room */

enum { RX, TX, EVENT, QUEUES };

static struct vm *vm;
static struct vattach *a;
static struct virtio_dev *d;
static struct fake_ring ring[QUEUES];
static uint64_t out, in; /* gpa of buffers of 64 KiB */
static struct vsock_hdr got; /* the last packet expect() saw */
static uint8_t payload[65536];

static int setup(void **state)
{
	(void)state;
	vm = fake_virtio_vm(1);
	a = fake_attach(vm, "vsock", "cid=42");
	d = a->dev;
	out = fake_guest_alloc(sizeof(struct vsock_hdr) + 65536, 4096);
	in = fake_guest_alloc(sizeof(struct vsock_hdr) + 65536, 4096);
	assert_true(fake_driver_start(d, 0, ring, QUEUES, SIZE));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_virtio_vm_destroy(vm);
	return 0;
}

static struct vsock *vs(void)
{
	return a->back;
}

/* --- packets --- */

static struct vsock_hdr header(enum vsock_op op, uint32_t host_port)
{
	return (struct vsock_hdr){.src_cid = CID, .dst_cid = VSOCK_CID_HOST, .src_port = PORT,
				  .dst_port = host_port, .type = VSOCK_TYPE_STREAM,
				  .op = (uint16_t)op, .buf_alloc = ALLOC};
}

static void send_raw(const struct vsock_hdr *h, const void *data, uint32_t len)
{
	struct fake_buf b[] = {{.gpa = out, .len = sizeof(*h)},
			       {.gpa = out + sizeof(*h), .len = len}};

	memcpy(fake_guest(out), h, sizeof(*h));
	memcpy(fake_guest(out + sizeof(*h)), data, len);
	fake_ring_add(&ring[TX], b, len ? 2 : 1);
	fake_ring_kick(&ring[TX]);
	fake_io_run(vm);
}

static void send(enum vsock_op op, uint32_t host_port)
{
	struct vsock_hdr h = header(op, host_port);

	send_raw(&h, "", 0);
}

static void send_data(uint32_t host_port, const void *data, uint32_t len)
{
	struct vsock_hdr h = header(VSOCK_OP_RW, host_port);

	h.len = len;
	send_raw(&h, data, len);
}

/* The next packet for the guest; 0: none. Its header in `got`. */
static uint32_t next(uint32_t room)
{
	struct fake_buf b = {.gpa = in, .len = room, .write = true};
	uint32_t head, len;
	static bool lent; /* a buffer that nobody wanted yet */
	static struct virtio_dev *of;

	if (of != d)
		lent = false;
	of = d;
	if (!lent)
		fake_ring_add(&ring[RX], &b, 1);
	lent = true;
	fake_ring_kick(&ring[RX]);
	fake_io_run(vm);
	if (!fake_ring_used(&ring[RX], &head, &len))
		return 0;
	lent = false;
	assert_true(len >= sizeof(got));
	memcpy(&got, fake_guest(in), sizeof(got));
	memcpy(payload, fake_guest(in + sizeof(got)), len - sizeof(got));
	assert_int_equal(len, sizeof(got) + got.len);
	return len;
}

static void expect(enum vsock_op op, uint32_t host_port)
{
	assert_true(next(sizeof(got) + 4096) > 0);
	assert_int_equal(got.op, op);
	assert_int_equal(got.src_cid, VSOCK_CID_HOST);
	assert_int_equal(got.dst_cid, CID);
	assert_int_equal(got.src_port, host_port);
	assert_int_equal(got.dst_port, PORT);
}

static void expect_data(uint32_t host_port, const void *data, uint32_t len)
{
	expect(VSOCK_OP_RW, host_port);
	assert_int_equal(got.len, len);
	assert_memory_equal(payload, data, len);
}

static void expect_nothing(void)
{
	assert_int_equal(next(sizeof(got) + 4096), 0);
}

static void open_echo(void)
{
	send(VSOCK_OP_REQUEST, 7);
	expect(VSOCK_OP_RESPONSE, 7);
	assert_int_equal(got.buf_alloc, VSTREAM_BUF);
	assert_int_equal(vs()->stream_count, 1);
}

/* --- guests connect --- */

static void test_configuration(void **state)
{
	(void)state;
	assert_int_equal(fake_config_read(d, 0, 4), CID);
	assert_int_equal(fake_config_read(d, 4, 4), 0);
	assert_int_equal(fake_common_read(d, FAKE_NUMQ, 2), QUEUES);
}

static void test_echo(void **state)
{
	(void)state;
	open_echo();
	send_data(7, "hello", 5);
	expect_data(7, "hello", 5);
	send_data(7, "again", 5);
	expect_data(7, "again", 5);
	assert_int_equal(got.fwd_cnt, 10);
	expect_nothing();
	assert_int_equal(a->handler.count[POLICY_CONNECT].ops, 1);
	assert_int_equal(a->handler.count[POLICY_SEND].bytes, 10);
	assert_int_equal(a->handler.count[POLICY_RECEIVE].bytes, 10);
}

static void test_info_is_one_line_and_the_end(void **state)
{
	struct vsock_hdr h = header(VSOCK_OP_SHUTDOWN, 1024);

	(void)state;
	send(VSOCK_OP_REQUEST, 1024);
	expect(VSOCK_OP_RESPONSE, 1024);
	expect(VSOCK_OP_RW, 1024);
	payload[got.len] = '\0';
	assert_non_null(strstr((char *)payload, "\"hypervisor\""));
	assert_non_null(strstr((char *)payload, "\"fake\""));
	assert_int_equal(payload[got.len - 1], '\n');
	expect(VSOCK_OP_SHUTDOWN, 1024);
	assert_int_equal(got.flags, VSOCK_SHUT_BOTH);
	h.flags = VSOCK_SHUT_BOTH;
	send_raw(&h, "", 0);
	expect(VSOCK_OP_RST, 1024);
	expect_nothing();
	assert_int_equal(vs()->stream_count, 0);
}

static void test_nobody_answers_the_end(void **state)
{
	(void)state;
	send(VSOCK_OP_REQUEST, 1024);
	expect(VSOCK_OP_RESPONSE, 1024);
	expect(VSOCK_OP_RW, 1024);
	expect(VSOCK_OP_SHUTDOWN, 1024);
	expect_nothing();
	fake_virtio_advance(vm, VSOCK_LINGER_NS + 1000);
	expect(VSOCK_OP_RST, 1024);
	assert_int_equal(vs()->stream_count, 0);
}

static void test_credit_of_the_guest(void **state)
{
	static uint8_t data[10000];
	struct vsock_hdr h = header(VSOCK_OP_REQUEST, 7);

	(void)state;
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13);
	h.buf_alloc = 6000;
	send_raw(&h, "", 0);
	expect(VSOCK_OP_RESPONSE, 7);
	h.op = VSOCK_OP_RW;
	h.len = sizeof(data);
	send_raw(&h, data, sizeof(data));
	expect_data(7, data, 4096); /* the buffer's size */
	expect_data(7, data + 4096, 6000 - 4096);
	expect_nothing();
	h.op = VSOCK_OP_CREDIT_UPDATE;
	h.len = 0;
	h.fwd_cnt = 500;
	send_raw(&h, "", 0);
	expect_data(7, data + 6000, 500);
	h.fwd_cnt = 6001; /* of more than was sent until then it may speak; not of more than now */
	send_raw(&h, "", 0);
	expect_data(7, data + 6500, 3500);
	h.fwd_cnt = 20000;
	send_raw(&h, "", 0);
	send_data(7, "x", 1);
	expect_data(7, "x", 1);
	expect_nothing();
}

static void test_fwd_cnt_beyond_what_was_sent_is_no_credit(void **state)
{
	struct vsock_hdr h = header(VSOCK_OP_RW, 7);

	(void)state;
	open_echo();
	h.fwd_cnt = 1;
	h.len = 3;
	send_raw(&h, "abc", 3);
	expect_nothing();
	h.op = VSOCK_OP_CREDIT_UPDATE;
	h.fwd_cnt = 0;
	h.len = 0;
	send_raw(&h, "", 0);
	expect_data(7, "abc", 3);
}

/* Both sides full: the service stops reading, and the guest may send no more than it was told. */
static void test_back_pressure(void **state)
{
	static uint8_t data[VSTREAM_BUF];
	struct vsock_hdr h = header(VSOCK_OP_REQUEST, 7);
	uint32_t seen = 0;

	(void)state;
	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i % 241);
	h.buf_alloc = 0;
	send_raw(&h, "", 0);
	expect(VSOCK_OP_RESPONSE, 7);
	h.op = VSOCK_OP_RW;
	h.len = VSTREAM_BUF;
	send_raw(&h, data, VSTREAM_BUF); /* into the echo's output */
	expect(VSOCK_OP_CREDIT_UPDATE, 7);
	assert_int_equal(got.fwd_cnt, VSTREAM_BUF);
	send_raw(&h, data, VSTREAM_BUF); /* stays */
	expect_nothing();
	h.op = VSOCK_OP_CREDIT_REQUEST;
	h.len = 0;
	h.buf_alloc = ALLOC;
	send_raw(&h, "", 0);
	while (next(sizeof(got) + 4096)) {
		if (got.op != VSOCK_OP_RW)
			continue;
		for (uint32_t i = 0; i < got.len; i++)
			assert_int_equal(payload[i], data[(seen + i) % VSTREAM_BUF]);
		seen += got.len;
	}
	assert_int_equal(seen, 2 * VSTREAM_BUF);
	assert_int_equal(vs()->stream_count, 1);
}

static void test_credit_overflow_resets_the_stream(void **state)
{
	static uint8_t data[VSTREAM_BUF + 1];

	(void)state;
	open_echo();
	send_data(7, data, sizeof(data));
	expect(VSOCK_OP_RST, 7);
	expect_nothing();
	assert_int_equal(vs()->stream_count, 0);
	assert_false(d->broken);
	open_echo();
}

/* The same by one byte, where the host has not taken what came before. */
static void test_credit_overflow_of_a_full_ring(void **state)
{
	static uint8_t half[VSTREAM_BUF / 2];
	struct vstream *s = NULL;
	uint32_t host_port;

	(void)state;
	assert_int_equal(vstream_connect(vm, PORT, &s), 0);
	assert_true(next(sizeof(got) + 64) > 0);
	host_port = got.src_port;
	send(VSOCK_OP_RESPONSE, host_port);
	send_data(host_port, half, sizeof(half));
	send_data(host_port, half, sizeof(half));
	expect_nothing();
	send_data(host_port, half, 1);
	expect(VSOCK_OP_RST, host_port);
	vstream_put(s);
}

static void test_half_close_by_the_guest(void **state)
{
	struct vsock_hdr h = header(VSOCK_OP_SHUTDOWN, 7);

	(void)state;
	open_echo();
	send_data(7, "last", 4);
	h.flags = VSOCK_SHUT_SEND;
	send_raw(&h, "", 0);
	expect_data(7, "last", 4);
	expect(VSOCK_OP_SHUTDOWN, 7);
	send(VSOCK_OP_RST, 7);
	expect_nothing();
	assert_int_equal(vs()->stream_count, 0);
}

static void test_data_behind_the_end(void **state)
{
	struct vsock_hdr h = header(VSOCK_OP_SHUTDOWN, 7);

	(void)state;
	open_echo();
	h.flags = VSOCK_SHUT_SEND;
	send_raw(&h, "", 0);
	send_data(7, "more", 4);
	expect(VSOCK_OP_RST, 7);
	expect_nothing();
}

static void test_packets_of_no_stream(void **state)
{
	struct vsock_hdr h = header(VSOCK_OP_REQUEST, 7);

	(void)state;
	send_data(7, "x", 1);
	expect(VSOCK_OP_RST, 7);
	send(VSOCK_OP_REQUEST, 99);
	expect(VSOCK_OP_RST, 99);
	send(VSOCK_OP_RST, 7); /* never answered */
	h.type = 2;
	send_raw(&h, "", 0);
	expect(VSOCK_OP_RST, 7);
	assert_int_equal(got.type, 2);
	expect_nothing();
	open_echo();
	send(VSOCK_OP_REQUEST, 7); /* once more */
	expect(VSOCK_OP_RST, 7);
	open_echo();
	send(77, 7);
	expect(VSOCK_OP_RST, 7);
	open_echo();
	send(VSOCK_OP_RESPONSE, 7);
	expect(VSOCK_OP_RST, 7);
	expect_nothing();
	assert_int_equal(vs()->stream_count, 0);
}

static void test_wrong_addresses_are_dropped(void **state)
{
	struct vsock_hdr h = header(VSOCK_OP_REQUEST, 7);

	(void)state;
	h.src_cid = CID + 1;
	send_raw(&h, "", 0);
	h = header(VSOCK_OP_REQUEST, 7);
	h.dst_cid = 3;
	send_raw(&h, "", 0);
	h.dst_cid = VSOCK_CID_HOST | 1ull << 40;
	send_raw(&h, "", 0);
	expect_nothing();
	assert_int_equal(a->handler.malformed, 3);
	assert_false(d->broken);
}

/* --- what breaks the device --- */

static void assert_broken(const char *why)
{
	fake_io_run(vm);
	assert_true(d->broken);
	assert_string_equal(d->broken_why, why);
	assert_non_null(strstr(fake_markers, "NEEDS_RESET vm=fake device=vsock0"));
}

static void test_short_packet(void **state)
{
	struct fake_buf b = {.gpa = out, .len = sizeof(struct vsock_hdr) - 1};

	(void)state;
	fake_ring_add(&ring[TX], &b, 1);
	fake_ring_kick(&ring[TX]);
	assert_broken("packet shorter than its header");
}

static void test_packet_longer_than_its_buffers(void **state)
{
	struct vsock_hdr h = header(VSOCK_OP_RW, 7);

	(void)state;
	open_echo();
	h.len = 5;
	send_raw(&h, "four", 4);
	assert_broken("packet longer than its buffers");
	assert_int_equal(vs()->stream_count, 1);
	assert_true(fake_driver_start(d, 0, ring, QUEUES, SIZE)); /* a reset makes it whole */
	assert_int_equal(vs()->stream_count, 0);
}

static void test_receive_buffer_without_room(void **state)
{
	(void)state;
	send(VSOCK_OP_REQUEST, 7);
	next(sizeof(struct vsock_hdr));
	assert_broken("receive buffer without room for data");
}

/* --- bounds --- */

static void test_table_is_full(void **state)
{
	(void)state;
	for (uint32_t i = 0; i <= VSOCK_STREAMS_MAX; i++) {
		struct vsock_hdr h = header(VSOCK_OP_REQUEST, 7);

		h.src_port = 5000 + i;
		send_raw(&h, "", 0);
		assert_true(next(sizeof(got) + 64) > 0);
		assert_int_equal(got.dst_port, 5000 + i);
		assert_int_equal(got.op, i < VSOCK_STREAMS_MAX ? VSOCK_OP_RESPONSE : VSOCK_OP_RST);
	}
	assert_int_equal(vs()->stream_count, VSOCK_STREAMS_MAX);
	vsock_reset(vs());
	fake_io_run(vm);
}

/* Without buffers for answers no more packets are taken; none is lost. */
static void test_answers_wait_for_buffers(void **state)
{
	uint32_t head, len, taken = 0;

	(void)state;
	for (uint32_t i = 0; i < VSOCK_RST_MAX + 5; i++) {
		send(VSOCK_OP_REQUEST, 100 + i);
		while (fake_ring_used(&ring[TX], &head, &len))
			taken++;
		if (i + 1 - taken == SIZE)
			break;
	}
	assert_int_equal(taken, VSOCK_RST_MAX);
	for (uint32_t i = 0; i < VSOCK_RST_MAX + 5; i++) {
		assert_true(next(sizeof(got) + 64) > 0);
		assert_int_equal(got.op, VSOCK_OP_RST);
	}
	while (fake_ring_used(&ring[TX], &head, &len))
		taken++;
	assert_int_equal(taken, VSOCK_RST_MAX + 5);
	expect_nothing();
}

static void test_rate(void **state)
{
	static const uint8_t data[1000];

	(void)state;
	vattach_remove(a);
	a = fake_attach(vm, "vsock", "cid=42,rate=1000");
	d = a->dev;
	assert_true(fake_driver_start(d, 0, ring, QUEUES, SIZE));
	open_echo();
	send_data(7, data, 1000); /* drains the bucket */
	expect_nothing();
	fake_virtio_advance(vm, 1100000000);
	expect_data(7, data, 1000);
	assert_non_null(strstr(fake_markers, "QUOTA_EXCEEDED vm=fake device=vsock0 what=bytes"));
}

/* --- the host connects --- */

static struct vstream *connect_to(uint32_t port)
{
	struct vstream *s;

	assert_int_equal(vstream_connect(vm, port, &s), 0);
	assert_true(next(sizeof(got) + 4096) > 0);
	assert_int_equal(got.op, VSOCK_OP_REQUEST);
	assert_int_equal(got.dst_port, port);
	return s;
}

static void test_host_connects(void **state)
{
	struct vstream *s = connect_to(PORT);
	uint32_t host_port = got.src_port;
	char buf[16];

	(void)state;
	assert_true(host_port >= VSOCK_PORT_EPHEMERAL);
	assert_int_equal(vstream_opened(s, fake_now_ns + 1000), -RAY_ETIMEDOUT);
	assert_int_equal(vstream_write(s, "early", 5), 0);
	send(VSOCK_OP_RESPONSE, host_port);
	assert_int_equal(vstream_opened(s, fake_now_ns + 1000), 0);
	assert_int_equal(vstream_read(s, buf, sizeof(buf)), 0);
	assert_int_equal(vstream_write(s, "to guest", 8), 8);
	expect_data(host_port, "to guest", 8);
	send_data(host_port, "to host", 7);
	assert_int_equal(vstream_read(s, buf, sizeof(buf)), 7);
	assert_memory_equal(buf, "to host", 7);
	vstream_write(s, "bye", 3);
	vstream_close(s);
	vstream_close(s);
	assert_int_equal(vstream_write(s, "x", 1), 0);
	vstream_put(s);
	expect_data(host_port, "bye", 3);
	expect(VSOCK_OP_SHUTDOWN, host_port);
	send_data(host_port, "late", 4); /* was on its way */
	send(VSOCK_OP_RST, host_port);
	expect_nothing();
	assert_int_equal(vs()->stream_count, 0);
}

static void test_nobody_listens(void **state)
{
	struct vstream *s = connect_to(PORT);
	char c;

	(void)state;
	send(VSOCK_OP_RST, got.src_port);
	assert_int_equal(vstream_opened(s, UINT64_MAX), -RAY_ENOENT);
	assert_int_equal(vstream_read(s, &c, 1), -RAY_ENODEV);
	vstream_put(s);
}

static void test_host_gives_up(void **state)
{
	struct vstream *s = connect_to(PORT);
	uint32_t host_port = got.src_port;

	(void)state;
	vstream_close(s);
	vstream_put(s);
	expect(VSOCK_OP_RST, host_port);
	send(VSOCK_OP_RESPONSE, host_port); /* crossed it */
	expect(VSOCK_OP_RST, host_port);
}

static void test_guest_ends_what_the_host_opened(void **state)
{
	struct vstream *s = connect_to(PORT);
	uint32_t host_port = got.src_port;
	struct vsock_hdr h = header(VSOCK_OP_SHUTDOWN, host_port);
	char buf[8];

	(void)state;
	send(VSOCK_OP_RESPONSE, host_port);
	send_data(host_port, "last", 4);
	h.flags = VSOCK_SHUT_BOTH;
	send_raw(&h, "", 0);
	expect(VSOCK_OP_RST, host_port);
	assert_int_equal(vstream_read(s, buf, sizeof(buf)), 4);
	assert_int_equal(vstream_read(s, buf, sizeof(buf)), -RAY_ENODEV);
	vstream_put(s);
}

static void test_streams_end_with_the_device(void **state)
{
	struct vstream *s = connect_to(PORT), *t;
	char c;

	(void)state;
	send(VSOCK_OP_RESPONSE, got.src_port);
	send(VSOCK_OP_REQUEST, 7);
	vattach_remove(a);
	assert_int_equal(vstream_read(s, &c, 1), -RAY_ENODEV);
	assert_int_equal(vstream_write(s, "x", 1), 0);
	assert_int_equal(vstream_room(s), 0);
	assert_string_equal(vstream_vm(s), "fake");
	vstream_close(s);
	vstream_put(s);
	assert_int_equal(vstream_connect(vm, PORT, &t), -RAY_ENODEV);
}

/* --- life --- */

static void test_restore_resets_the_transport(void **state)
{
	struct fake_buf b = {.gpa = in + 8192, .len = 8, .write = true};
	struct vstream *s = connect_to(PORT);
	struct vdev *v = &d->dev;
	uint8_t bytes[4096];
	uint32_t head, len;
	char c;
	size_t n;

	(void)state;
	send(VSOCK_OP_RESPONSE, got.src_port);
	fake_ring_add(&ring[EVENT], &b, 1);
	fake_ring_kick(&ring[EVENT]);
	v->ops->quiesce(v);
	fake_virtio_advance(vm, 1000);
	assert_int_equal(vstream_write(s, "kept", 4), 4); /* paused only */
	n = fake_save(v, bytes, sizeof(bytes));
	virtio_dev_destroy(d);
	assert_int_equal(a->kind->create(a, &d), 0);
	assert_int_equal(virtio_dev_plug(d), 0);
	for (unsigned int i = 0; i < QUEUES; i++)
		ring[i].d = d;
	v = &d->dev;
	v->ops->quiesce(v);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(fake_load(v, bytes, cut), -RAY_EINVAL);
	assert_int_equal(fake_load(v, bytes, n), 0);
	v->ops->resume(v);
	fake_io_run(vm);
	fake_pci_setup(d);
	assert_int_equal(vstream_read(s, &c, 1), -RAY_ENODEV);
	vstream_put(s);
	assert_true(fake_ring_used(&ring[EVENT], &head, &len));
	assert_int_equal(len, 4);
	assert_int_equal(*(uint32_t *)fake_guest(in + 8192), 0);
	assert_int_equal(fake_config_read(d, 0, 4), CID);
	open_echo();
	send_data(7, "goes on", 7);
	expect_data(7, "goes on", 7);
}

static void test_pause_keeps_streams(void **state)
{
	struct vdev *v = &d->dev;

	(void)state;
	open_echo();
	v->ops->quiesce(v);
	send_data(7, "in between", 10);
	v->ops->resume(v);
	fake_io_run(vm);
	expect_data(7, "in between", 10);
}

static void check(const char *spec, int err, const char *needle)
{
	char why[160] = "";

	assert_int_equal(vattach_check("vsock", spec, why, sizeof(why)), err);
	assert_non_null(strstr(why, needle));
}

static void test_specifications(void **state)
{
	struct vsock *other = NULL;
	char why[128];

	(void)state;
	check("", 0, "");
	check("cid=3", 0, "");
	check("cid=2", -RAY_ERANGE, "cid");
	check("cid=4294967295", -RAY_ERANGE, "cid");
	check("port=1", -RAY_EINVAL, "unknown option 'port'");
	assert_int_equal(vsock_create(vm, CID, &other, why, sizeof(why)), -RAY_EEXIST);
	assert_string_equal(why, "cid=42 is that of 'fake'; leave cid out for one of its own");
	vm->id = CID - VSOCK_CID_HOST;
	assert_int_equal(vsock_create(vm, 0, &other, why, sizeof(why)), 0);
	assert_int_equal(other->cid, CID + 1); /* the next that is free */
	vsock_destroy(other);
}

static void test_no_memory(void **state)
{
	struct vstream *s;

	(void)state;
	fake_allocs_left = 0;
	send(VSOCK_OP_REQUEST, 7);
	assert_int_equal(vstream_connect(vm, PORT, &s), -RAY_ENOMEM);
	fake_allocs_left = -1;
	expect(VSOCK_OP_RST, 7);
	vattach_remove(a);
	for (int n = 0;; n++) {
		char why[160];
		int err;

		assert_true(n < 100);
		fake_allocs_left = n;
		err = vattach_add(vm, "vsock", "", &a, why, sizeof(why));
		if (!err)
			break;
		assert_int_equal(err, -RAY_ENOMEM);
	}
	fake_allocs_left = -1;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_configuration),
		T(test_echo),
		T(test_info_is_one_line_and_the_end),
		T(test_nobody_answers_the_end),
		T(test_credit_of_the_guest),
		T(test_fwd_cnt_beyond_what_was_sent_is_no_credit),
		T(test_back_pressure),
		T(test_credit_overflow_resets_the_stream),
		T(test_credit_overflow_of_a_full_ring),
		T(test_half_close_by_the_guest),
		T(test_data_behind_the_end),
		T(test_packets_of_no_stream),
		T(test_wrong_addresses_are_dropped),
		T(test_short_packet),
		T(test_packet_longer_than_its_buffers),
		T(test_receive_buffer_without_room),
		T(test_table_is_full),
		T(test_answers_wait_for_buffers),
		T(test_rate),
		T(test_host_connects),
		T(test_nobody_listens),
		T(test_host_gives_up),
		T(test_guest_ends_what_the_host_opened),
		T(test_streams_end_with_the_device),
		T(test_restore_resets_the_transport),
		T(test_pause_keeps_streams),
		T(test_specifications),
		T(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
