/* UNIT: tests/host/fake_virt.c hv/vdev.c hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c
 * hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c hv/irqchip/vlapic_timer.c
 * hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/term.c devices/virt/uart.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The 16550A, as its data sheet and Linux's 8250 driver expect it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/uart.h"
#include "devices/virt/virt.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_virt.h"

static struct vm *vm;
static struct vterm *term;

static size_t type(const char *buf, size_t len)
{
	return term->ops->type(term, buf, len);
}

static void out(unsigned int reg, uint8_t v)
{
	fake_out(vm, (uint16_t)(0x3f8 + reg), 1, v);
}

static uint8_t in(unsigned int reg)
{
	return (uint8_t)fake_in(vm, (uint16_t)(0x3f8 + reg), 1);
}

/* Whether an interrupt has come on IRQ 4 since the last look; takes it. */
static bool irq(void)
{
	int vec = vlapic_pending(vm->vcpu[0]);
	uint32_t zero = 0;

	if (vec < 0)
		return false;
	assert_int_equal(vec, 0x44);
	vlapic_ack(vm->vcpu[0]);
	vlapic_mmio(vm->vcpu[0], 0xb0, true, &zero, false);
	return true;
}

static int setup(void **state)
{
	uint32_t svr = 0x1ff;

	(void)state;
	vm = fake_vm_create(1);
	assert_int_equal(vuart_create(vm), 0);
	term = vuart_get(vm);
	vlapic_mmio(vm->vcpu[0], 0xf0, true, &svr, true);
	fake_mmio_write(vm, 0xfec00000, 4, 0x18);
	fake_mmio_write(vm, 0xfec00010, 4, 0x44);
	out(4, 0x0b);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vterm_put(term);
	fake_vm_destroy(vm);
	return 0;
}

static void test_output(void **state)
{
	char buf[16];
	uint64_t pos = 0;

	(void)state;
	assert_int_equal(in(5), 0x60);
	for (const char *s = "hello"; *s; s++)
		out(0, (uint8_t)*s);
	assert_int_equal(vterm_position(term), 5);
	assert_int_equal(vterm_read(term, &pos, buf, 2), 2);
	assert_memory_equal(buf, "he", 2);
	assert_int_equal(vterm_read(term, &pos, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "llo", 3);
	assert_int_equal(vterm_read(term, &pos, buf, sizeof(buf)), 0);
	assert_false(vterm_wait(term, pos, fake_now_ns + 1000));
	out(0, '!');
	assert_true(vterm_wait(term, pos, fake_now_ns + 1000));
	assert_false(irq());
}

static void test_scrollback_wraps(void **state)
{
	static char buf[VTERM_LOG_SIZE];
	uint64_t pos = 3;
	size_t n;

	(void)state;
	for (unsigned int i = 0; i < VTERM_LOG_SIZE + 100; i++)
		out(0, (uint8_t)(i % 251));
	assert_int_equal(vterm_oldest(term), 100 + VTERM_WRITING);
	n = vterm_read(term, &pos, buf, sizeof(buf));
	assert_int_equal(n, VTERM_KEPT);
	assert_int_equal(pos, VTERM_LOG_SIZE + 100);
	for (size_t i = 0; i < n; i++)
		assert_int_equal((uint8_t)buf[i], (i + 100 + VTERM_WRITING) % 251);
	pos = UINT64_MAX; /* a position from the future is the present */
	assert_int_equal(vterm_read(term, &pos, buf, sizeof(buf)), 0);
	assert_int_equal(pos, VTERM_LOG_SIZE + 100);
}

static void test_is_a_16550a(void **state)
{
	(void)state;
	out(7, 0xa5);
	assert_int_equal(in(7), 0xa5);
	assert_int_equal(in(2), 0x01);
	out(2, 0x01);
	assert_int_equal(in(2), 0xc1);
	out(2, 0xfe); /* without bit 0 nothing else counts */
	assert_int_equal(in(2), 0x01);
	out(1, 0xff);
	assert_int_equal(in(1), 0x0f);
	out(1, 0);
	out(3, 0x83);
	assert_int_equal(in(0), 1);
	assert_int_equal(in(1), 0);
	out(0, 0x34);
	out(1, 0x12);
	assert_int_equal(in(0), 0x34);
	assert_int_equal(in(1), 0x12);
	out(3, 0x03);
	assert_int_equal(in(3), 0x03);
	assert_int_equal(in(1), 0);
	assert_int_equal(vterm_position(term), 0);
	out(5, 0xff);
	out(6, 0xff);
	assert_int_equal(in(5), 0x60);
	assert_int_equal(in(6), 0xb0);
	assert_int_equal(in(6), 0xb0);
}

static void test_transmit_interrupt(void **state)
{
	(void)state;
	out(1, 0x02);
	assert_true(irq()); /* on enabling */
	assert_int_equal(in(2), 0x02);
	assert_int_equal(in(2), 0x01); /* reading took it */
	for (unsigned int i = 0; i < 16; i++)
		out(0, 'x');
	assert_true(irq()); /* one for the burst */
	assert_false(irq());
	assert_int_equal(in(2), 0x02);
	out(0, 'x');
	assert_true(irq());
	assert_int_equal(in(2), 0x02);
	out(1, 0);
	out(0, 'x');
	assert_false(irq());
	out(1, 0x02); /* again on enabling */
	assert_true(irq());
}

static void test_out2_gates_the_line(void **state)
{
	(void)state;
	out(4, 0x03);
	out(1, 0x02);
	assert_false(irq());
	out(4, 0x0b);
	assert_true(irq());
}

static void test_receive(void **state)
{
	(void)state;
	assert_int_equal(type("abc", 3), 3);
	assert_false(irq());
	assert_int_equal(in(5), 0x61);
	assert_int_equal(in(0), 'a');
	out(1, 0x01);
	assert_true(irq());
	assert_int_equal(in(2), 0x04);
	assert_int_equal(in(0), 'b');
	assert_int_equal(in(0), 'c');
	assert_int_equal(in(2), 0x01);
	assert_int_equal(in(5), 0x60);
	assert_int_equal(in(0), 0);
	out(2, 0xc1); /* FIFO, trigger at 14 */
	assert_int_equal(type("0123456789", 10), 10);
	assert_true(irq());
	assert_int_equal(in(2), 0xcc); /* short: timed out */
	assert_int_equal(type("ABCDEFGH", 8), 8);
	assert_int_equal(in(2), 0xc4);
	for (unsigned int i = 0; i < 18; i++)
		assert_int_equal(in(0), "0123456789ABCDEFGH"[i]);
	assert_int_equal(in(2), 0xc1);
	assert_int_equal(type("zz", 2), 2);
	out(2, 0xc3); /* clear */
	assert_int_equal(in(5), 0x60);
}

static void test_receive_overflow_is_refused(void **state)
{
	static char big[2 * VUART_RX_SIZE];

	(void)state;
	memset(big, 'q', sizeof(big));
	assert_int_equal(type(big, sizeof(big)), VUART_RX_SIZE);
	assert_int_equal(type(big, 1), 0);
	assert_int_equal(in(0), 'q');
	assert_int_equal(type(big, 5), 1);
}

static void test_loopback(void **state)
{
	(void)state;
	in(6);
	out(4, 0x1a); /* RTS, OUT2: CTS, DCD */
	assert_int_equal(in(6), 0x92); /* DSR went: delta */
	out(4, 0x1f);
	assert_int_equal(in(6), 0xf2); /* RI rising is no event */
	out(4, 0x1b);
	assert_int_equal(in(6), 0xb4); /* its falling is */
	out(2, 0x01);
	for (unsigned int i = 0; i < 17; i++)
		out(0, (uint8_t)('a' + i));
	assert_int_equal(vterm_position(term), 0);
	assert_int_equal(in(5), 0x63); /* overrun */
	assert_int_equal(in(5), 0x61);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(in(0), 'a' + i);
	out(1, 0x04);
	for (unsigned int i = 0; i < 17; i++)
		out(0, 'x');
	assert_int_equal(in(2), 0xc6);
	assert_false(irq()); /* disconnected in loopback */
	out(1, 0x08);
	in(5);
	out(4, 0x10);
	assert_int_equal(in(2), 0xc0); /* modem status */
	in(6);
	assert_int_equal(in(2), 0xc1);
}

static void test_wide_access(void **state)
{
	(void)state;
	fake_out(vm, 0x3f8, 2, 0x0141); /* THR, then IER */
	assert_int_equal(in(1), 1);
	assert_int_equal(vterm_position(term), 1);
	assert_int_equal(fake_in(vm, 0x3fc, 4) & 0xffff, 0x600b);
}

static void test_save_destroy_restore_continue(void **state)
{
	uint8_t bytes[2048], again[2048];
	struct vdev *d = fake_vdev(vm, "uart16550");
	size_t len;

	(void)state;
	out(1, 0x03);
	irq();
	in(2);
	out(2, 0x81);
	out(7, 0x77);
	assert_int_equal(type("typed", 5), 5);
	in(0);
	len = fake_save(d, bytes, sizeof(bytes));
	d->ops->destroy(d);
	vterm_put(term);
	assert_int_equal(vuart_create(vm), 0);
	term = vuart_get(vm);
	d = fake_vdev(vm, "uart16550");
	assert_int_equal(fake_load(d, bytes, len), 0);
	assert_int_equal(fake_save(d, again, sizeof(again)), len);
	assert_memory_equal(bytes, again, len);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(fake_load(d, bytes, cut), -RAY_EINVAL);
	assert_true(irq()); /* it had come before; the bit lies in the local APIC */
	assert_int_equal(in(2), 0xcc);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(in(0), "yped"[i]);
	assert_int_equal(in(7), 0x77);
	assert_int_equal(type("X", 1), 1);
	assert_true(irq()); /* the line was known to be up, went down, came up */
	d->ops->reset(d);
	assert_int_equal(in(5), 0x60);
	assert_int_equal(in(1), 0);
}

static void test_last_words_outlive_the_vm(void **state)
{
	char buf[8];
	uint64_t pos = 0;

	(void)state;
	out(0, 'b');
	out(0, 'y');
	assert_false(term->gone);
	fake_vdev(vm, "uart16550")->ops->destroy(fake_vdev(vm, "uart16550"));
	assert_null(vuart_get(vm));
	assert_true(term->gone);
	assert_int_equal(vterm_read(term, &pos, buf, sizeof(buf)), 2);
	assert_memory_equal(buf, "by", 2);
	assert_false(vterm_wait(term, pos, UINT64_MAX)); /* does not sleep for ever */
	assert_int_equal(type("x", 1), 0);
}

static void test_long_output_in_pieces(void **state)
{
	static char text[VTERM_LOG_SIZE + 1000], buf[VTERM_LOG_SIZE];
	uint64_t pos = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7 % 253);
	vterm_write(term, text, 300);
	assert_int_equal(vterm_read(term, &pos, buf, sizeof(buf)), 300);
	assert_memory_equal(buf, text, 300);
	vterm_write(term, text + 300, sizeof(text) - 300);
	assert_int_equal(vterm_position(term), sizeof(text));
	assert_int_equal(vterm_read(term, &pos, buf, sizeof(buf)), VTERM_KEPT);
	assert_memory_equal(buf, text + sizeof(text) - VTERM_KEPT, VTERM_KEPT);
	assert_int_equal(pos, sizeof(text));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_output),
		T(test_scrollback_wraps),
		T(test_is_a_16550a),
		T(test_transmit_interrupt),
		T(test_out2_gates_the_line),
		T(test_receive),
		T(test_receive_overflow_is_refused),
		T(test_loopback),
		T(test_wide_access),
		T(test_save_destroy_restore_continue),
		T(test_last_words_outlive_the_vm),
		T(test_long_output_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
