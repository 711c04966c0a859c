/* UNIT: tests/host/fake_virt.c hv/vdev.c hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c
 * hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c hv/irqchip/vlapic_timer.c
 * hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 */
// SPDX-License-Identifier: Apache-2.0
/* Interrupt lines, the 8259 pair and the IOAPIC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/err.h"
#include "tests/host/fake_virt.h"

#define IOREGSEL 0xfec00000u
#define IOWIN    0xfec00010u
#define IOEOI    0xfec00040u

static struct vm *vm;

static uint32_t io_read(uint32_t reg)
{
	fake_mmio_write(vm, IOREGSEL, 4, reg);
	return (uint32_t)fake_mmio_read(vm, IOWIN, 4);
}

static void io_write(uint32_t reg, uint32_t v)
{
	fake_mmio_write(vm, IOREGSEL, 4, reg);
	fake_mmio_write(vm, IOWIN, 4, v);
}

static void redir(unsigned int pin, uint32_t high, uint32_t low)
{
	io_write(0x11 + 2 * pin, high);
	io_write(0x10 + 2 * pin, low);
}

static int take(unsigned int cpu)
{
	int vec = vlapic_pending(vm->vcpu[cpu]);

	return vec < 0 ? vec : vlapic_ack(vm->vcpu[cpu]);
}

static void eoi(unsigned int cpu)
{
	uint32_t zero = 0;

	vlapic_mmio(vm->vcpu[cpu], 0xb0, true, &zero, false);
}

/* Both chips as Linux programs them: vectors 0x30 and 0x38, everything open. */
static void pic_init(uint8_t icw4)
{
	fake_out(vm, 0x20, 1, 0x11);
	fake_out(vm, 0x21, 1, 0x30);
	fake_out(vm, 0x21, 1, 0x04);
	fake_out(vm, 0x21, 1, icw4);
	fake_out(vm, 0xa0, 1, 0x11);
	fake_out(vm, 0xa1, 1, 0x38);
	fake_out(vm, 0xa1, 1, 0x02);
	fake_out(vm, 0xa1, 1, icw4);
	fake_out(vm, 0x21, 1, 0);
	fake_out(vm, 0xa1, 1, 0);
}

static int setup(void **state)
{
	uint32_t svr = 0x1ff;

	(void)state;
	vm = fake_vm_create(2);
	for (unsigned int i = 0; i < 2; i++)
		vlapic_mmio(vm->vcpu[i], 0xf0, true, &svr, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_destroy(vm);
	return 0;
}

static void test_ioapic_registers(void **state)
{
	(void)state;
	assert_int_equal(io_read(1), 0x170020);
	io_write(0, 0xffffffff);
	assert_int_equal(io_read(0), 0x0f000000);
	assert_int_equal(io_read(2), 0x0f000000);
	assert_int_equal(fake_mmio_read(vm, IOREGSEL, 4), 2);
	for (unsigned int pin = 0; pin < 24; pin++)
		assert_int_equal(io_read(0x10 + 2 * pin), 0x10000);
	redir(5, 0xffffffff, 0xffffffff);
	assert_int_equal(io_read(0x10 + 10), 0x1afff); /* status bits are read-only */
	assert_int_equal(io_read(0x11 + 10), 0xff000000);
	assert_int_equal(io_read(0x40), 0);
	assert_int_equal(fake_mmio_read(vm, 0xfec00020, 4), 0);
}

static void test_edge(void **state)
{
	(void)state;
	redir(4, 1u << 24, 0x44);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(take(1), 0x44);
	eoi(1);
	virq_line_set(vm, 4, 1, true); /* another source: no new edge */
	assert_int_equal(take(1), -1);
	virq_line_set(vm, 4, 0, false);
	virq_line_set(vm, 4, 1, false);
	redir(4, 1u << 24, 0x10044);
	virq_line_set(vm, 4, 0, true); /* lost while masked */
	redir(4, 1u << 24, 0x44);
	assert_int_equal(take(1), -1);
	virq_line_set(vm, 4, 0, false);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(take(1), 0x44);
	virq_line_set(vm, 24, 0, true);
	virq_line_set(vm, 1000, 99, true);
}

static void test_level_shared(void **state)
{
	(void)state;
	redir(9, 0, 0x8049);
	virq_line_set(vm, 9, 0, true);
	virq_line_set(vm, 9, 5, true);
	assert_int_equal(take(0), 0x49);
	assert_int_equal(io_read(0x10 + 18), 0xc049);
	virq_line_set(vm, 9, 0, false);
	eoi(0);
	assert_int_equal(take(0), 0x49); /* the other still asks */
	virq_line_set(vm, 9, 5, false);
	eoi(0);
	assert_int_equal(take(0), -1);
	assert_int_equal(io_read(0x10 + 18), 0x8049);
	/* Masked while up, then opened. */
	redir(9, 0, 0x18049);
	virq_line_set(vm, 9, 0, true);
	assert_int_equal(take(0), -1);
	redir(9, 0, 0x8049);
	assert_int_equal(take(0), 0x49);
	/* Ended through the IOAPIC's own register, and by a switch to edge. */
	virq_line_set(vm, 9, 0, false);
	fake_mmio_write(vm, IOEOI, 4, 0x49);
	assert_int_equal(io_read(0x10 + 18), 0x8049);
	eoi(0);
	virq_line_set(vm, 9, 0, true);
	redir(9, 0, 0x10049);
	redir(9, 0, 0x18049);
	assert_int_equal(io_read(0x10 + 18), 0x18049);
}

static void test_level_nobody_accepts(void **state)
{
	(void)state;
	redir(9, 77u << 24, 0x8049);
	virq_line_set(vm, 9, 0, true);
	assert_int_equal(io_read(0x10 + 18), 0x8049);
	redir(9, 0, 0x8049);
	assert_int_equal(take(0), 0x49);
}

static void test_timer_line(void **state)
{
	(void)state;
	redir(0, 0, 0x50);
	redir(2, 0, 0x52);
	pic_init(1);
	virq_line_set(vm, 0, 0, true);
	assert_int_equal(take(0), 0x30); /* BSP: virtual wire */
	assert_int_equal(take(0), 0x52);
	eoi(0);
	assert_int_equal(take(0), -1);
	virq_line_set(vm, 2, 0, true);
	assert_int_equal(take(0), -1);
}

static void test_pic_nesting_and_cascade(void **state)
{
	(void)state;
	pic_init(1);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(take(0), 0x34);
	virq_line_set(vm, 7, 0, true); /* lower: waits */
	assert_int_equal(take(0), -1);
	virq_line_set(vm, 8, 0, true); /* through IR2: higher */
	virq_line_set(vm, 12, 0, true);
	assert_int_equal(take(0), 0x38);
	assert_int_equal(take(0), -1);
	fake_out(vm, 0xa0, 1, 0x20);
	fake_out(vm, 0x20, 1, 0x20);
	assert_int_equal(take(0), 0x3c);
	fake_out(vm, 0x20, 1, 0x0b); /* ISR */
	fake_out(vm, 0xa0, 1, 0x0b);
	assert_int_equal(fake_in(vm, 0x20, 1), 0x14);
	assert_int_equal(fake_in(vm, 0xa0, 1), 0x10);
	fake_out(vm, 0xa0, 1, 0x64); /* specific */
	fake_out(vm, 0x20, 1, 0x62);
	fake_out(vm, 0x20, 1, 0x64);
	assert_int_equal(take(0), 0x37);
	fake_out(vm, 0x20, 1, 0x20);
	fake_out(vm, 0x20, 1, 0x0a);
	assert_int_equal(fake_in(vm, 0x20, 1), 0);
	assert_int_equal(take(0), -1);
}

static void test_pic_mask_spurious_and_reads(void **state)
{
	(void)state;
	pic_init(1);
	fake_out(vm, 0x21, 1, 0x10);
	assert_int_equal(fake_in(vm, 0x21, 1), 0x10);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(take(0), -1);
	assert_int_equal(fake_in(vm, 0x20, 1), 0x10);
	fake_out(vm, 0x21, 1, 0);
	assert_int_equal(vlapic_pending(vm->vcpu[0]), 256);
	fake_out(vm, 0x21, 1, 0x10); /* masked between INTR and INTA */
	assert_int_equal(vlapic_ack(vm->vcpu[0]), 0x37);
	fake_out(vm, 0x20, 1, 0x0b);
	assert_int_equal(fake_in(vm, 0x20, 1), 0); /* spurious sets no ISR bit */
}

static void test_pic_slave_spurious(void **state)
{
	(void)state;
	pic_init(1);
	virq_line_set(vm, 12, 0, true);
	assert_int_equal(vlapic_pending(vm->vcpu[0]), 256);
	fake_out(vm, 0xa1, 1, 0xff);
	assert_int_equal(vlapic_ack(vm->vcpu[0]), 0x37);
}

static void test_pic_auto_eoi_and_rotation(void **state)
{
	(void)state;
	pic_init(3);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(take(0), 0x34);
	virq_line_set(vm, 4, 0, false);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(take(0), 0x34); /* no EOI needed */
	fake_out(vm, 0x20, 1, 0x80); /* rotate on auto-EOI */
	virq_line_set(vm, 4, 0, false);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(take(0), 0x34);
	virq_line_set(vm, 4, 0, false);
	virq_line_set(vm, 3, 0, true);
	virq_line_set(vm, 4, 0, true);
	virq_line_set(vm, 5, 0, true);
	assert_int_equal(take(0), 0x35); /* 5 is now first */
	assert_int_equal(take(0), 0x33);
	assert_int_equal(take(0), 0x34);
	fake_out(vm, 0x20, 1, 0x00);
	fake_out(vm, 0x20, 1, 0xc3); /* set priority: 4 first */
	virq_line_set(vm, 3, 0, false);
	virq_line_set(vm, 4, 0, false);
	virq_line_set(vm, 3, 0, true);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(take(0), 0x34);
	assert_int_equal(take(0), 0x33);
}

static void test_pic_rotating_eoi(void **state)
{
	(void)state;
	pic_init(1);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(take(0), 0x34);
	fake_out(vm, 0x20, 1, 0xa0); /* rotate on non-specific EOI */
	virq_line_set(vm, 3, 0, true);
	virq_line_set(vm, 5, 0, true);
	assert_int_equal(take(0), 0x35);
	fake_out(vm, 0x20, 1, 0xe5); /* rotate on specific EOI */
	virq_line_set(vm, 6, 0, true);
	assert_int_equal(take(0), 0x36);
}

static void test_pic_special_mask(void **state)
{
	(void)state;
	pic_init(1);
	virq_line_set(vm, 3, 0, true);
	assert_int_equal(take(0), 0x33);
	fake_out(vm, 0x21, 1, 0x08);
	virq_line_set(vm, 6, 0, true);
	assert_int_equal(take(0), -1);
	fake_out(vm, 0x20, 1, 0x68); /* special mask mode: a masked ISR blocks nobody */
	assert_int_equal(take(0), 0x36);
	fake_out(vm, 0x20, 1, 0x20); /* ends 6, not the masked 3 */
	fake_out(vm, 0x20, 1, 0x0b);
	assert_int_equal(fake_in(vm, 0x20, 1), 0x08);
	fake_out(vm, 0x20, 1, 0x48);
}

static void test_pic_special_fully_nested(void **state)
{
	(void)state;
	pic_init(0x11);
	virq_line_set(vm, 12, 0, true);
	assert_int_equal(take(0), 0x3c);
	virq_line_set(vm, 8, 0, true); /* higher on the same slave: lets through */
	assert_int_equal(take(0), 0x38);
}

static void test_pic_level(void **state)
{
	(void)state;
	pic_init(1);
	fake_out(vm, 0x4d0, 2, 0xffff);
	assert_int_equal(fake_in(vm, 0x4d0, 2), 0xdef8);
	assert_int_equal(fake_in(vm, 0x4d1, 1), 0xde);
	fake_out(vm, 0x4d0, 1, 0x20);
	virq_line_set(vm, 5, 0, true);
	assert_int_equal(take(0), 0x35);
	fake_out(vm, 0x20, 1, 0x20);
	assert_int_equal(take(0), 0x35); /* still up */
	virq_line_set(vm, 5, 0, false);
	fake_out(vm, 0x20, 1, 0x20);
	assert_int_equal(take(0), -1);
}

static void test_pic_poll(void **state)
{
	(void)state;
	pic_init(1);
	fake_out(vm, 0x20, 1, 0x0c);
	assert_int_equal(fake_in(vm, 0x20, 1), 0);
	virq_line_set(vm, 4, 0, true);
	fake_out(vm, 0x20, 1, 0x0c);
	assert_int_equal(fake_in(vm, 0x20, 1), 0x84);
	assert_int_equal(take(0), -1);
}

static void test_save_destroy_restore_continue(void **state)
{
	static const char *const names[] = {"i8259", "ioapic"};
	uint8_t one[2][1024], two[1024];
	size_t len[2];

	(void)state;
	pic_init(1);
	redir(9, 0, 0x8049);
	redir(4, 1u << 24, 0x44);
	virq_line_set(vm, 9, 3, true);
	virq_line_set(vm, 1, 0, true);
	assert_int_equal(take(0), 0x31);
	for (unsigned int i = 0; i < 2; i++)
		len[i] = fake_save(fake_vdev(vm, names[i]), one[i], sizeof(one[i]));
	for (unsigned int i = 0; i < 2; i++)
		fake_vdev(vm, names[i])->ops->destroy(fake_vdev(vm, names[i]));
	assert_int_equal(virq_create(vm), 0);
	assert_int_equal(fake_load(fake_vdev(vm, "ioapic"), one[1], len[1]), 0);
	assert_int_equal(fake_load(fake_vdev(vm, "i8259"), one[0], len[0]), 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(fake_save(fake_vdev(vm, names[i]), two, sizeof(two)), len[i]);
		assert_memory_equal(one[i], two, len[i]);
		for (size_t cut = 0; cut < len[i]; cut++)
			assert_int_equal(fake_load(fake_vdev(vm, names[i]), one[i], cut),
					 -RAY_EINVAL);
	}
	fake_out(vm, 0x20, 1, 0x20);
	assert_int_equal(take(0), 0x39); /* 8259: IRQ9 waited */
	assert_int_equal(take(0), 0x49); /* and in the local APIC */
	virq_line_set(vm, 9, 3, false);
	eoi(0);
	assert_int_equal(take(0), -1);
	assert_int_equal(io_read(0x10 + 18), 0x8049);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(take(1), 0x44);
}

static void test_create_fails_at_every_step(void **state)
{
	struct vdev *d;
	int err = -1, n;

	(void)state;
	while ((d = fake_vdev(vm, "i8259")) != NULL || (d = fake_vdev(vm, "ioapic")) != NULL)
		d->ops->destroy(d);
	for (n = 0; err; n++) {
		int live = fake_allocs_live;

		fake_allocs_left = n;
		err = virq_create(vm);
		if (err)
			assert_int_equal(fake_allocs_live, live);
	}
	assert_int_equal(n, 7);
	fake_allocs_left = -1;
}

static void test_reset(void **state)
{
	(void)state;
	pic_init(1);
	redir(4, 0, 0x44);
	fake_vdev(vm, "i8259")->ops->reset(fake_vdev(vm, "i8259"));
	fake_vdev(vm, "ioapic")->ops->reset(fake_vdev(vm, "ioapic"));
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(take(0), -1);
	assert_int_equal(fake_in(vm, 0x21, 1), 0xff);
	assert_int_equal(io_read(0x18), 0x10000);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_ioapic_registers),
		T(test_edge),
		T(test_level_shared),
		T(test_level_nobody_accepts),
		T(test_timer_line),
		T(test_pic_nesting_and_cascade),
		T(test_pic_mask_spurious_and_reads),
		T(test_pic_slave_spurious),
		T(test_pic_auto_eoi_and_rotation),
		T(test_pic_rotating_eoi),
		T(test_pic_special_mask),
		T(test_pic_special_fully_nested),
		T(test_pic_level),
		T(test_pic_poll),
		T(test_save_destroy_restore_continue),
		T(test_create_fails_at_every_step),
		T(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
