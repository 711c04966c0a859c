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
// SPDX-License-Identifier: Apache-2.0
/* The virtio console as Linux' driver uses it, and as none should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/virtio/console.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"

#define SIZE      16u
#define QUEUES    8u /* three ports */
#define MULTIPORT 2u
#define F_SIZE    1u

enum { READY = 0, ADD, REMOVE, PORT_READY, CONSOLE, RESIZE, OPEN, NAME };

static struct vm *vm;
static struct vattach *a;
static struct virtio_dev *d;
static struct fake_ring ring[QUEUES];
static uint64_t buf; /* gpa of a page for each queue */
static bool lent;    /* a buffer of the control queue, not used yet */

static int setup(void **state)
{
	(void)state;
	vm = fake_virtio_vm(1);
	a = fake_attach(vm, "console", "agent,log=audit");
	d = a->dev;
	buf = fake_guest_alloc(4096 * QUEUES, 4096);
	assert_true(fake_driver_start(d, MULTIPORT | F_SIZE, ring, QUEUES, SIZE));
	lent = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_virtio_vm_destroy(vm);
	return 0;
}

static struct vcport *port(unsigned int n)
{
	return vconsole_ports(vm)->port[n];
}

static uint64_t page(unsigned int queue)
{
	return buf + 4096ull * queue;
}

static void send(unsigned int queue, const void *data, uint32_t len)
{
	struct fake_buf b = {.gpa = page(queue), .len = len};

	memcpy(fake_guest(b.gpa), data, len);
	fake_ring_add(&ring[queue], &b, 1);
	fake_ring_kick(&ring[queue]);
	fake_io_run(vm);
}

/* Give a queue a buffer of @len bytes at @off of its page. */
static void offer_at(unsigned int queue, uint32_t off, uint32_t len)
{
	struct fake_buf b = {.gpa = page(queue) + off, .len = len, .write = true};

	fake_ring_add(&ring[queue], &b, 1);
	fake_ring_kick(&ring[queue]);
	fake_io_run(vm);
}

static void control(uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t m[8] = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16), (uint8_t)(id >> 24),
			(uint8_t)event, 0, (uint8_t)value, 0};

	send(3, m, sizeof(m));
}

/* A buffer for control messages, unless there is one yet. */
static void lend(void)
{
	if (!lent)
		offer_at(2, 0, 256);
	lent = true;
}

/* The next control message is that; its payload is @text. */
static void expect(uint32_t id, uint16_t event, uint16_t value, const char *text)
{
	uint32_t head, len;
	const uint8_t *m = fake_guest(page(2));

	lend();
	assert_true(fake_ring_used(&ring[2], &head, &len));
	lent = false;
	assert_int_equal(len, 8 + strlen(text));
	assert_int_equal(m[0], id);
	assert_int_equal(m[4], event);
	assert_int_equal(m[6], value);
	assert_memory_equal(m + 8, text, strlen(text));
}

/* No message is owed; the buffer offered is left for the next. */
static void expect_none(void)
{
	uint32_t head, len;

	lend();
	assert_false(fake_ring_used(&ring[2], &head, &len));
}

static void linux_start(void)
{
	control(0, READY, 1);
	for (uint32_t i = 0; i < 3; i++)
		expect(i, ADD, 1, "");
	control(0, PORT_READY, 1);
	expect(0, CONSOLE, 1, "");
	expect(0, NAME, 1, "console");
	expect(0, OPEN, 1, "");
	control(0, OPEN, 1);
	control(1, PORT_READY, 1);
	expect(1, NAME, 1, "agent");
	control(2, PORT_READY, 1);
	expect(2, NAME, 1, "audit");
	expect(2, OPEN, 1, "");
	expect_none();
}

static void assert_output(unsigned int n, const char *text)
{
	char out[256];
	uint64_t pos = 0;
	size_t len = vterm_read(&port(n)->term, &pos, out, sizeof(out));

	assert_int_equal(len, strlen(text));
	assert_memory_equal(out, text, len);
}

static void type(unsigned int n, const char *text)
{
	struct vterm *t = &port(n)->term;

	assert_int_equal(t->ops->type(t, text, strlen(text)), strlen(text));
	fake_io_run(vm);
}

static void test_configuration(void **state)
{
	(void)state;
	assert_int_equal(fake_config_read(d, 0, 4), 0);
	assert_int_equal(fake_config_read(d, 4, 4), 3);
	assert_int_equal(fake_config_read(d, 8, 4), 0);
	assert_int_equal(fake_common_read(d, FAKE_NUMQ, 2), QUEUES);
}

static void test_ports_are_announced(void **state)
{
	(void)state;
	linux_start();
	assert_true(port(0)->guest_open);
	assert_false(port(1)->guest_open);
	control(1, OPEN, 1);
	assert_true(port(1)->guest_open);
	control(1, OPEN, 0);
	assert_false(port(1)->guest_open);
	assert_int_equal(a->handler.count[POLICY_OPEN].ops, 2);
	assert_int_equal(a->handler.count[POLICY_CLOSE].ops, 1);
}

static void test_output_of_each_port(void **state)
{
	(void)state;
	linux_start();
	send(1, "console\n", 8);
	send(5, "agent", 5);
	send(7, "", 0);
	send(7, "audit", 5);
	send(7, "!", 1);
	assert_output(0, "console\n");
	assert_output(1, "agent");
	assert_output(2, "audit!");
	assert_int_equal(a->handler.count[POLICY_WRITE].bytes, 19);
	for (uint32_t q = 1, head, len; q < QUEUES; q += 2 + 2 * (q == 1)) {
		assert_true(fake_ring_used(&ring[q], &head, &len));
		assert_int_equal(len, 0);
	}
}

/* One buffer longer than a turn, and than the ring: what is kept is its end. */
static void test_long_output(void **state)
{
	enum { PIECES = 40, LEN = 4096 };
	struct fake_buf b[SIZE];
	static char out[VTERM_LOG_SIZE];
	uint32_t head, len;
	uint64_t pos = 0;

	(void)state;
	linux_start();
	for (unsigned int i = 0; i < SIZE; i++)
		b[i] = (struct fake_buf){.gpa = fake_guest_alloc(3 * LEN, 1), .len = 3 * LEN};
	for (unsigned int i = 0; i < SIZE * 3 * LEN; i++)
		((uint8_t *)fake_guest(b[0].gpa))[i] = (uint8_t)(i % 249);
	fake_ring_add(&ring[1], b, SIZE);
	fake_ring_kick(&ring[1]);
	assert_int_equal(vterm_position(&port(0)->term), 4096); /* the exit handler's part */
	fake_io_run(vm);
	assert_int_equal(vterm_position(&port(0)->term), SIZE * 3 * LEN);
	assert_true(fake_ring_used(&ring[1], &head, &len));
	len = (uint32_t)vterm_read(&port(0)->term, &pos, out, sizeof(out));
	assert_int_equal(len, VTERM_KEPT);
	for (unsigned int i = 0; i < len; i++)
		assert_int_equal((uint8_t)out[i], (SIZE * 3 * LEN - VTERM_KEPT + i) % 249);
}

static void test_input_waits_for_the_guest(void **state)
{
	uint32_t head, len;

	(void)state;
	linux_start();
	type(1, "hello");
	offer_at(4, 0, 3);
	offer_at(4, 3, 64);
	assert_false(fake_ring_used(&ring[4], &head, &len)); /* not open */
	control(1, OPEN, 1);
	assert_true(fake_ring_used(&ring[4], &head, &len));
	assert_int_equal(len, 3);
	assert_true(fake_ring_used(&ring[4], &head, &len));
	assert_int_equal(len, 2);
	assert_memory_equal(fake_guest(page(4)), "hello", 5);
	type(1, "more");
	assert_false(fake_ring_used(&ring[4], &head, &len)); /* no buffer */
	offer_at(4, 0, 64);
	assert_true(fake_ring_used(&ring[4], &head, &len));
	assert_int_equal(len, 4);
	assert_memory_equal(fake_guest(page(4)), "more", 4);
	assert_int_equal(a->handler.count[POLICY_READ].bytes, 9);
}

/* Typed before the driver begins, which is with a reset. */
static void test_input_waits_for_the_driver(void **state)
{
	uint32_t head, len;

	(void)state;
	type(0, "early");
	assert_true(fake_driver_start(d, MULTIPORT, ring, QUEUES, SIZE));
	lent = false;
	linux_start();
	offer_at(0, 0, 64);
	assert_true(fake_ring_used(&ring[0], &head, &len));
	assert_int_equal(len, 5);
}

static void test_input_has_an_end(void **state)
{
	static char text[VCPORT_IN_SIZE + 10];
	struct vterm *t = &port(0)->term;
	uint32_t head, len;

	(void)state;
	linux_start();
	memset(text, 'x', sizeof(text));
	type(0, "abc");
	assert_int_equal(t->ops->type(t, text, sizeof(text)), VCPORT_IN_SIZE - 3);
	offer_at(0, 0, 8);
	assert_true(fake_ring_used(&ring[0], &head, &len));
	assert_memory_equal(fake_guest(page(0)), "abcxxxxx", 8);
	assert_int_equal(t->ops->type(t, "12345678", 8), 8); /* wraps */
	fake_io_run(vm);
	offer_at(0, 0, 4000);
	assert_true(fake_ring_used(&ring[0], &head, &len));
	assert_int_equal(len, VCPORT_IN_SIZE);
	assert_memory_equal((char *)fake_guest(page(0)) + len - 9, "x12345678", 9);
}

static void test_operators_come_and_go(void **state)
{
	struct vterm *agent = &port(1)->term, *audit = &port(2)->term;

	(void)state;
	control(0, READY, 1);
	for (uint32_t i = 0; i < 3; i++)
		expect(i, ADD, 1, "");
	agent->ops->session(agent, true); /* before the guest knows the port */
	expect_none();
	control(1, PORT_READY, 1);
	expect(1, NAME, 1, "agent");
	expect(1, OPEN, 1, "");
	agent->ops->session(agent, true);
	agent->ops->session(agent, false);
	expect(1, OPEN, 1, ""); /* the other is still there */
	agent->ops->session(agent, false);
	expect(1, OPEN, 0, "");
	control(2, PORT_READY, 1);
	expect(2, NAME, 1, "audit");
	expect(2, OPEN, 1, "");
	audit->ops->session(audit, true); /* always open */
	audit->ops->session(audit, false);
	fake_io_run(vm);
	expect_none();
}

static void test_resize(void **state)
{
	struct vterm *t = &port(0)->term;
	static const char size[] = {0x78, 0, 0x28, 0};
	const uint8_t *m = fake_guest(page(2));
	uint32_t head, len;
	uint8_t generation = (uint8_t)fake_common_read(d, FAKE_GENERATION, 1);

	(void)state;
	linux_start();
	t->ops->resize(t, 120, 40);
	fake_io_run(vm);
	assert_true(fake_ring_used(&ring[2], &head, &len)); /* the buffer linux_start() left */
	assert_int_equal(len, 12);
	assert_int_equal(m[4], RESIZE);
	assert_memory_equal(m + 8, size, 4);
	assert_int_equal(fake_config_read(d, 0, 4), 0x00280078);
	assert_int_not_equal(fake_common_read(d, FAKE_GENERATION, 1), generation);
}

static void test_one_port_driver(void **state)
{
	uint32_t head, len;

	(void)state;
	assert_true(fake_driver_start(d, 0, ring, 2, SIZE));
	send(1, "old", 3);
	assert_output(0, "old");
	type(0, "in");
	offer_at(0, 0, 16);
	assert_true(fake_ring_used(&ring[0], &head, &len));
	assert_int_equal(len, 2);
}

static void test_emergency_write(void **state)
{
	(void)state;
	fake_config_write(d, 8, 4, 'E');
	fake_config_write(d, 8, 1, '!');
	fake_config_write(d, 9, 1, 'x');  /* not the byte that counts */
	fake_config_write(d, 4, 4, 0xff); /* read-only */
	assert_output(0, "E!");
	assert_int_equal(fake_config_read(d, 4, 4), 3);
	assert_int_equal(fake_config_read(d, 8, 4), 0);
}

static void assert_broken(const char *why)
{
	fake_io_run(vm);
	assert_true(d->broken);
	assert_string_equal(d->broken_why, why);
	assert_true(fake_common_read(d, FAKE_STATUS, 1) & VIRTIO_S_NEEDS_RESET);
	assert_non_null(strstr(fake_markers, "NEEDS_RESET vm=fake device=console0"));
}

static void test_short_control_message(void **state)
{
	(void)state;
	send(3, "1234567", 7);
	assert_broken("control message shorter than its header");
	/* A reset makes it whole. */
	assert_true(fake_driver_start(d, MULTIPORT, ring, QUEUES, SIZE));
	lent = false;
	linux_start();
}

static void test_short_control_buffer(void **state)
{
	(void)state;
	control(0, READY, 1);
	offer_at(2, 0, 7);
	assert_broken("control buffer shorter than its message");
}

static void test_receive_buffer_without_room(void **state)
{
	struct fake_buf b = {.gpa = page(0), .len = 8};

	(void)state;
	linux_start();
	type(0, "x");
	fake_ring_add(&ring[0], &b, 1);
	fake_ring_kick(&ring[0]);
	assert_broken("receive buffer without room");
}

static void test_messages_nobody_knows(void **state)
{
	(void)state;
	linux_start();
	control(3, PORT_READY, 1);
	control(0xffffffff, OPEN, 1);
	control(1, NAME, 1);
	control(1, 200, 1);
	control(1, PORT_READY, 0);
	fake_io_run(vm);
	expect_none();
	assert_false(d->broken);
	assert_int_equal(a->handler.malformed, 4);
	send(5, "on", 2);
	assert_output(1, "on");
}

static void test_driver_that_failed_gets_no_ports(void **state)
{
	(void)state;
	control(0, READY, 0);
	expect_none();
}

static void test_rate(void **state)
{
	static const char text[1000] = {0};
	uint32_t head, len;

	(void)state;
	vattach_remove(a);
	a = fake_attach(vm, "console", "rate=1000");
	d = a->dev;
	assert_true(fake_driver_start(d, 0, ring, 2, SIZE));
	for (unsigned int i = 0; i < 3; i++)
		send(1, text, sizeof(text)); /* the first drains the bucket */
	assert_int_equal(vterm_position(&port(0)->term), 1000);
	assert_true(fake_ring_used(&ring[1], &head, &len));
	assert_false(fake_ring_used(&ring[1], &head, &len));
	fake_virtio_advance(vm, 1100000000);
	assert_int_equal(vterm_position(&port(0)->term), 2000);
	fake_virtio_advance(vm, 1100000000);
	assert_int_equal(vterm_position(&port(0)->term), 3000);
	assert_non_null(strstr(fake_markers, "QUOTA_EXCEEDED vm=fake device=console0 what=bytes"));
}

static void test_save_destroy_restore_continue(void **state)
{
	uint8_t bytes[8192], again[8192];
	struct vdev *v = &d->dev;
	uint32_t head, len;
	size_t n;

	(void)state;
	linux_start();
	send(1, "before ", 7);
	type(1, "typed");
	control(1, OPEN, 1); /* no buffer yet */
	v->ops->quiesce(v);
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
	assert_int_equal(fake_save(v, again, sizeof(again)), n);
	/* It owes one message more than before. */
	assert_int_equal(fake_load(v, again, n), 0);
	assert_int_equal(fake_save(v, bytes, sizeof(bytes)), n);
	assert_memory_equal(bytes, again, n);
	v->ops->resume(v);
	fake_io_run(vm);
	fake_pci_setup(d);
	send(1, "after", 5);
	assert_output(0, "before after");
	offer_at(4, 0, 64);
	assert_true(fake_ring_used(&ring[4], &head, &len));
	assert_int_equal(len, 5);
	assert_memory_equal(fake_guest(page(4)), "typed", 5);
	/* Whether an operator is there is said anew. */
	expect(1, OPEN, 0, "");
}

static void test_operators_outlive_the_device(void **state)
{
	struct vterm *t = vterm_get(&port(1)->term);
	char out[8];
	uint64_t pos = 0;

	(void)state;
	linux_start();
	t->ops->session(t, true);
	send(5, "bye", 3);
	vattach_remove(a);
	assert_true(t->gone);
	assert_null(vconsole_ports(vm));
	assert_int_equal(vterm_read(t, &pos, out, sizeof(out)), 3);
	assert_int_equal(t->ops->type(t, "x", 1), 0);
	t->ops->resize(t, 80, 24);
	t->ops->session(t, false);
	vterm_put(t);
}

static void check(const char *spec, int err, const char *needle)
{
	char why[160] = "";

	assert_int_equal(vattach_check("console", spec, why, sizeof(why)), err);
	assert_non_null(strstr(why, needle));
}

static void test_specifications(void **state)
{
	struct vcports *ps = vconsole_ports(vm);
	char names[128];

	(void)state;
	check("", 0, "");
	check("console", 0, "");
	check("org.qemu.guest_agent.0,log=a:b,rate=1M", 0, "");
	check("a,b,c,d,e,f,g", 0, "");
	check("a,b,c,d,e,f,log=g:h", -RAY_E2BIG, "console: more than 7 ports beside the console");
	check("1st", -RAY_EINVAL, "'1st' is no name of a port");
	check("log=a:", -RAY_EINVAL, "'' is no name of a port");
	check("a b", -RAY_EINVAL, "'a b' is no name");
	check("abcdefghijklmnopqrstuvwxyzabcdef", -RAY_EINVAL, "is no name");
	check("a,log=a", -RAY_EEXIST, "two ports are called 'a'");
	check("log=console", -RAY_EEXIST, "two ports are called 'console'");
	check("ports=a", -RAY_EINVAL, "unknown option 'ports'");
	check("rate=x", -RAY_EINVAL, "rate");
	assert_ptr_equal(vcports_find(ps, "audit"), ps->port[2]);
	assert_ptr_equal(vcports_find(ps, "1"), ps->port[1]);
	assert_null(vcports_find(ps, "3"));
	assert_null(vcports_find(ps, "none"));
	vcports_names(ps, names, sizeof(names));
	assert_string_equal(names, "console, agent, audit");
	vcports_names(ps, names, 10);
	assert_string_equal(names, "console, ");
}

static void test_no_memory(void **state)
{
	struct vattach *b;
	char why[160];

	(void)state;
	vattach_remove(a);
	for (int n = 0;; n++) {
		int err;

		assert_true(n < 100);
		fake_allocs_left = n;
		err = vattach_add(vm, "console", "agent", &b, why, sizeof(why));
		if (!err)
			break;
		assert_int_equal(err, -RAY_ENOMEM);
	}
	fake_allocs_left = -1;
	vattach_remove(b);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_configuration),
		T(test_ports_are_announced),
		T(test_output_of_each_port),
		T(test_long_output),
		T(test_input_waits_for_the_guest),
		T(test_input_waits_for_the_driver),
		T(test_input_has_an_end),
		T(test_operators_come_and_go),
		T(test_resize),
		T(test_one_port_driver),
		T(test_emergency_write),
		T(test_short_control_message),
		T(test_short_control_buffer),
		T(test_receive_buffer_without_room),
		T(test_messages_nobody_knows),
		T(test_driver_that_failed_gets_no_ports),
		T(test_rate),
		T(test_save_destroy_restore_continue),
		T(test_operators_outlive_the_device),
		T(test_specifications),
		T(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
