/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c devices/virt/virtio/input.c
 * devices/virt/virtio/input_config.c devices/virt/virtio/input_keys.c security/quota.c
 * kernel/lib/bucket.c kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c
 * kernel/lib/muldiv.c hv/seed.c
 */
// SPDX-License-Identifier: Apache-2.0
/* Input device: what it says it is, events in order and whole, lights, state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/virtio/input.h"
#include "devices/virt/virtio/input_keys.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"

#define SIZE 64u

static struct vm *vm;
static struct vattach *a;
static struct virtio_dev *d;
static struct fake_ring ring[2];
static uint64_t buffers;
static unsigned int next_buffer;

static void attach(const char *spec)
{
	a = fake_attach(vm, "input", spec);
	d = a->dev;
	buffers = fake_guest_alloc(SIZE * 8, 8);
	next_buffer = 0;
	assert_true(fake_driver_start(d, 0, ring, 2, SIZE));
}

static int setup(void **state)
{
	(void)state;
	vm = fake_virtio_vm(1);
	attach("keyboard");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_virtio_vm_destroy(vm);
	return 0;
}

/* The driver gives @n buffers for events. */
static void give(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct fake_buf b = {buffers + 8 * (next_buffer++ % SIZE), 8, true};

		fake_ring_add(&ring[0], &b, 1);
	}
	fake_ring_kick(&ring[0]);
	fake_io_run(vm);
}

/* The next event the driver gets. */
static bool take(struct vinput_event *ev)
{
	uint32_t head, len;

	if (!fake_ring_used(&ring[0], &head, &len))
		return false;
	assert_int_equal(len, 8);
	memcpy(ev, fake_guest(fake_ring_desc(&ring[0], (uint16_t)head)->addr), 8);
	return true;
}

static void assert_event(uint16_t type, uint16_t code, uint32_t value)
{
	struct vinput_event ev;

	assert_true(take(&ev));
	assert_int_equal(ev.type, type);
	assert_int_equal(ev.code, code);
	assert_int_equal(ev.value, value);
}

static void assert_no_event(void)
{
	struct vinput_event ev;

	assert_false(take(&ev));
}

/* A report of @n events, numbered from @value on, sent. */
static int report(unsigned int n, uint32_t value)
{
	struct vinput_event ev[VINPUT_QUEUED + 8];

	for (unsigned int i = 0; i + 1 < n; i++)
		ev[i] = (struct vinput_event){VINPUT_EV_KEY, 30, value + i};
	ev[n - 1] = (struct vinput_event){VINPUT_EV_SYN, 0, 0};
	return vinput_send(a, ev, n);
}

static unsigned int answer(uint8_t select, uint8_t subsel, uint8_t data[128])
{
	fake_config_write(d, 0, 1, select);
	fake_config_write(d, 1, 1, subsel);
	for (unsigned int i = 0; i < 128; i++)
		data[i] = (uint8_t)fake_config_read(d, 8 + i, 1);
	return (unsigned int)fake_config_read(d, 2, 1);
}

static bool bit(const uint8_t *data, unsigned int n)
{
	return data[n / 8] >> (n % 8) & 1;
}

static void test_config_of_a_keyboard(void **state)
{
	uint8_t data[128];

	(void)state;
	assert_int_equal(answer(0x01, 0, data), 14);
	assert_memory_equal(data, "RayOS keyboard\0", 15);
	assert_int_equal(answer(0x02, 0, data), 6);
	assert_memory_equal(data, "input0\0", 7);
	assert_int_equal(answer(0x03, 0, data), 8);
	assert_memory_equal(data, "\x06\x00\xf4\x1a\x01\x00\x01\x00", 8);
	assert_int_equal(answer(0x10, 0, data), 0);
	assert_int_equal(answer(0x11, VINPUT_EV_KEY, data), 32);
	assert_false(bit(data, 0));
	assert_true(bit(data, 1) && bit(data, 30) && bit(data, 248));
	assert_false(bit(data, 249));
	assert_int_equal(answer(0x11, VINPUT_EV_LED, data), 1);
	assert_int_equal(data[0], 7);
	assert_int_equal(answer(0x11, VINPUT_EV_REP, data), 1);
	assert_int_equal(answer(0x11, VINPUT_EV_ABS, data), 0);
	assert_int_equal(answer(0x12, VINPUT_ABS_X, data), 0);
	/* What does not exist, and what a driver may not write. */
	assert_int_equal(answer(0x01, 1, data), 0);
	assert_int_equal(data[0], 0);
	assert_int_equal(answer(0x77, 0, data), 0);
	fake_config_write(d, 2, 1, 99);
	fake_config_write(d, 8, 4, 0x41414141);
	assert_int_equal(fake_config_read(d, 2, 1), 0);
	assert_int_equal(fake_config_read(d, 8, 4), 0);
	/* Both selectors at once, as one write of two bytes. */
	fake_config_write(d, 0, 2, 0x0111);
	assert_int_equal(fake_config_read(d, 2, 1), 32);
	fake_common_write(d, FAKE_STATUS, 1, 0);
	assert_int_equal(fake_config_read(d, 0, 4), 0);
}

static void test_config_of_pointers(void **state)
{
	uint8_t data[128];

	(void)state;
	attach("tablet");
	assert_int_equal(answer(0x01, 0, data), 12);
	assert_memory_equal(data, "RayOS tablet", 12);
	assert_int_equal(answer(0x10, 0, data), 1);
	assert_int_equal(data[0], 1);
	assert_int_equal(answer(0x11, VINPUT_EV_ABS, data), 1);
	assert_int_equal(data[0], 3);
	assert_int_equal(answer(0x11, VINPUT_EV_KEY, data), 35);
	assert_true(bit(data, 0x110) && bit(data, 0x114));
	assert_int_equal(answer(0x12, VINPUT_ABS_Y, data), 20);
	assert_memory_equal(data, "\0\0\0\0\xff\x7f\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	assert_int_equal(answer(0x12, 2, data), 0);
	attach("mouse");
	assert_int_equal(answer(0x11, VINPUT_EV_REL, data), 2);
	assert_true(bit(data, 0) && bit(data, 1) && bit(data, 8));
	assert_int_equal(answer(0x12, VINPUT_ABS_X, data), 0);
	assert_ptr_equal(vinput_find(vm, VINPUT_MOUSE), a);
	assert_ptr_not_equal(vinput_find(vm, VINPUT_TABLET), a);
	assert_int_equal(a->index, 2);
}

static void test_events_in_order(void **state)
{
	uint32_t sent = 0, got = 0;
	struct vinput_event ev;

	(void)state;
	give(1);
	assert_no_event();
	assert_int_equal(report(3, 1), 0);
	fake_io_run(vm);
	assert_event(VINPUT_EV_KEY, 30, 1); /* the only buffer; the others wait for more */
	assert_no_event();
	give(1);
	assert_event(VINPUT_EV_KEY, 30, 2);
	give(8);
	assert_event(VINPUT_EV_SYN, 0, 0);
	assert_no_event();
	/* Many, with the ring of events and the rings of the queue going round. */
	give(20);
	for (unsigned int i = 0; i < 500; i++) {
		assert_int_equal(report(2 + i % 3, sent), 0);
		sent += 1 + i % 3;
		fake_io_run(vm);
		while (take(&ev)) {
			if (ev.type == VINPUT_EV_KEY)
				assert_int_equal(ev.value, got++);
			give(1);
		}
	}
	assert_int_equal(got, sent);
	assert_int_equal(a->handler.count[POLICY_READ].ops, 501);
}

static void test_full_queue_drops_whole_reports(void **state)
{
	char text[96];

	(void)state;
	assert_int_equal(vinput_room(a), 64);
	assert_int_equal(report(60, 1000), 0);
	assert_int_equal(vinput_room(a), 4);
	assert_int_equal(report(5, 2000), -RAY_ENOSPC);
	assert_int_equal(report(65, 2500), -RAY_ENOSPC);
	assert_int_equal(report(4, 3000), 0); /* a smaller one still fits */
	assert_int_equal(vinput_room(a), 0);
	a->kind->describe(a, text, sizeof(text));
	assert_string_equal(text, "keyboard, 64 events waiting, 70 dropped");
	give(64);
	for (uint32_t i = 0; i < 59; i++)
		assert_event(VINPUT_EV_KEY, 30, 1000 + i);
	assert_event(VINPUT_EV_SYN, 0, 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_event(VINPUT_EV_KEY, 30, 3000 + i);
	assert_event(VINPUT_EV_SYN, 0, 0);
	assert_no_event();
}

static void test_refused_sends(void **state)
{
	const struct vinput_event torn[] = {{VINPUT_EV_SYN, 0, 0}, {VINPUT_EV_KEY, 30, 1}};

	(void)state;
	assert_int_equal(vinput_send(a, torn, 2), -RAY_EINVAL);
	assert_int_equal(vinput_send(a, torn, 1), 0);
	fake_common_write(d, FAKE_STATUS, 1, 0);
	assert_int_equal(vinput_room(a), 64); /* what waited is not for the next driver */
	assert_int_equal(report(2, 1), -RAY_ENODEV);
	assert_true(fake_driver_start(d, 0, ring, 2, SIZE));
	d->dev.ops->quiesce(&d->dev); /* paused: it waits */
	assert_int_equal(report(2, 7), 0);
	d->dev.ops->resume(&d->dev);
	give(2);
	assert_event(VINPUT_EV_KEY, 30, 7);
}

static void status_event(uint16_t type, uint16_t code, uint32_t value, uint32_t len)
{
	uint64_t at = fake_guest_alloc(8, 8);
	struct vinput_event ev = {type, code, value};
	struct fake_buf b = {at, len, false};

	memcpy(fake_guest(at), &ev, 8);
	fake_ring_add(&ring[1], &b, 1);
	fake_ring_kick(&ring[1]);
	fake_io_run(vm);
}

static void test_lights(void **state)
{
	uint32_t head, len;
	char text[96];

	(void)state;
	status_event(VINPUT_EV_LED, 1, 1, 8);
	assert_true(fake_ring_used(&ring[1], &head, &len));
	assert_int_equal(len, 0);
	assert_int_equal(vinput_leds(a), 2);
	status_event(VINPUT_EV_LED, 0, 5, 8);
	status_event(VINPUT_EV_LED, 1, 0, 8);
	status_event(VINPUT_EV_LED, 3, 1, 8);
	status_event(VINPUT_EV_LED, 33, 1, 8);
	status_event(VINPUT_EV_REP, 0, 250, 8);
	assert_int_equal(vinput_leds(a), 1);
	a->kind->describe(a, text, sizeof(text));
	assert_string_equal(text, "keyboard, 0 events waiting, 0 dropped, num");
	assert_int_equal(a->handler.count[POLICY_WRITE].bytes, 48);
	status_event(VINPUT_EV_LED, 2, 1, 7);
	assert_true(d->broken);
	assert_string_equal(d->broken_why, "status buffer too short");
	assert_int_equal(vinput_leds(a), 1);
}

static void test_short_event_buffer(void **state)
{
	struct fake_buf b = {buffers, 7, true};

	(void)state;
	fake_ring_add(&ring[0], &b, 1);
	assert_int_equal(report(2, 1), 0);
	fake_io_run(vm);
	assert_true(d->broken);
	assert_string_equal(d->broken_why, "event buffer too short");
	assert_int_equal(report(2, 1), -RAY_ENODEV);
	assert_true(fake_driver_start(d, 0, ring, 2, SIZE));
	assert_int_equal(report(2, 9), 0);
	give(2);
	assert_event(VINPUT_EV_KEY, 30, 9);
}

static void test_rate(void **state)
{
	(void)state;
	attach("tablet,rate=10");
	give(64);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(report(2, i), 0);
	fake_io_run(vm);
	assert_event(VINPUT_EV_KEY, 30, 0); /* the burst is one: a tenth of a second */
	assert_event(VINPUT_EV_SYN, 0, 0);
	assert_no_event();
	fake_virtio_advance(vm, 100000000);
	assert_event(VINPUT_EV_KEY, 30, 1);
	assert_event(VINPUT_EV_SYN, 0, 0);
	assert_no_event();
	fake_virtio_advance(vm, 200000000);
	assert_event(VINPUT_EV_KEY, 30, 2);
}

static void test_state(void **state)
{
	static uint8_t one[4096], two[4096];
	size_t len;

	(void)state;
	status_event(VINPUT_EV_LED, 2, 1, 8);
	give(1);
	assert_int_equal(report(4, 40), 0);
	fake_io_run(vm);
	assert_event(VINPUT_EV_KEY, 30, 40);
	d->dev.ops->quiesce(&d->dev);
	len = fake_save(&d->dev, one, sizeof(one));
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(fake_load(&d->dev, one, cut), -RAY_EINVAL);
	one[len - 8] = VINPUT_EV_KEY; /* a report without an end */
	assert_int_equal(fake_load(&d->dev, one, len), -RAY_EINVAL);
	one[len - 8] = VINPUT_EV_SYN;
	d->dev.ops->reset(&d->dev);
	assert_int_equal(vinput_room(a), 64);
	assert_int_equal(fake_load(&d->dev, one, len), 0);
	assert_int_equal(fake_save(&d->dev, two, sizeof(two)), len);
	assert_memory_equal(one, two, len);
	assert_int_equal(vinput_leds(a), 4);
	d->dev.ops->resume(&d->dev);
	give(4);
	assert_event(VINPUT_EV_KEY, 30, 41);
	assert_event(VINPUT_EV_KEY, 30, 42);
	assert_event(VINPUT_EV_SYN, 0, 0);
	assert_no_event();
}

static void test_specification(void **state)
{
	char why[128];

	(void)state;
	assert_int_equal(vattach_check("input", "", why, sizeof(why)), 0);
	assert_int_equal(vattach_check("input", "mouse,rate=100", why, sizeof(why)), 0);
	assert_int_equal(vattach_check("input", "mouse,tablet", why, sizeof(why)), -RAY_EINVAL);
	assert_non_null(strstr(why, "one of keyboard, tablet and mouse"));
	assert_int_equal(vattach_check("input", "joystick", why, sizeof(why)), -RAY_EINVAL);
	assert_non_null(strstr(why, "'joystick'"));
	assert_int_equal(vattach_check("input", "rate=x", why, sizeof(why)), -RAY_EINVAL);
}

/* Keys pressed and released, as "29+ 56+ 56- 29-". */
static const char *shown(const struct vinput_reports *r)
{
	static char text[512];
	size_t n = 0;

	for (unsigned int i = 0; i < r->count; i += 2) {
		assert_int_equal(r->ev[i].type, VINPUT_EV_KEY);
		assert_int_equal(r->ev[i + 1].type, VINPUT_EV_SYN);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u%c", i ? " " : "",
				      r->ev[i].code, r->ev[i].value ? '+' : '-');
	}
	return text;
}

static void test_keys(void **state)
{
	static const struct {
		const char *combo, *shown;
	} good[] = {
		{"a", "30+ 30-"},
		{"ctrl-alt-delete", "29+ 56+ 111+ 111- 56- 29-"},
		{"shift+f12", "42+ 88+ 88- 42-"},
		{"0", "11+ 11-"},
		{"/", "53+ 53-"},
		{"ctrl-minus", "29+ 12+ 12- 29-"},
		{"plus", "13+ 13-"},
	};
	static const char *const bad[] = {"", "A", "ctrl-", "-a", "ctrl--a", "foo", "f13", "+",
					  "a-a-a-a-a-a-a-a-a"};
	struct vinput_reports r;
	char why[64];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(good); i++) {
		r.count = 0;
		assert_int_equal(vinput_combo(&r, good[i].combo, why, sizeof(why)), 0);
		assert_string_equal(shown(&r), good[i].shown);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		r.count = 0;
		assert_int_equal(vinput_combo(&r, bad[i], why, sizeof(why)), -RAY_EINVAL);
	}
	for (int c = ' '; c < 127; c++) {
		r.count = 0;
		assert_int_equal(vinput_char(&r, (char)c), 0);
	}
	r.count = 0;
	assert_int_equal(vinput_char(&r, '~'), 0);
	assert_string_equal(shown(&r), "42+ 41+ 41- 42-");
	r.count = 0;
	assert_int_equal(vinput_char(&r, '\n'), 0);
	assert_string_equal(shown(&r), "28+ 28-");
	assert_int_equal(vinput_char(&r, '\0'), -RAY_EINVAL);
	assert_int_equal(vinput_char(&r, '\x80'), -RAY_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_config_of_a_keyboard, setup, teardown),
		cmocka_unit_test_setup_teardown(test_config_of_pointers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_queue_drops_whole_reports, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_sends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_event_buffer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_specification, setup, teardown),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
