/* UNIT: tests/host/fake_virt.c hv/vdev.c hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c
 * hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c hv/irqchip/vlapic_timer.c
 * hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The local APIC as a guest sees it, against SDM vol. 3, chapter 10. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/err.h"
#include "tests/host/fake_virt.h"

#define CPUS 4u
#define X2(reg) (0x800u + (reg))

static struct vm *vm;

static struct vcpu *cpu(unsigned int i)
{
	return vm->vcpu[i];
}

static uint32_t rd(unsigned int c, uint32_t off)
{
	uint32_t v = 0xdeadbeef;

	assert_true(vlapic_mmio(cpu(c), off, false, &v, true));
	return v;
}

static void wr(unsigned int c, uint32_t off, uint32_t v)
{
	if (!vlapic_mmio(cpu(c), off, true, &v, true))
		assert_true(vlapic_mmio(cpu(c), off, true, &v, false));
}

static int wrmsr_try(unsigned int c, uint32_t msr, uint64_t v)
{
	int err = vlapic_msr_write(cpu(c), msr, v, true);

	return err == -RAY_EAGAIN ? vlapic_msr_write(cpu(c), msr, v, false) : err;
}

static void x2apic_on(unsigned int c)
{
	uint64_t base;

	assert_int_equal(vlapic_msr_read(cpu(c), 0x1b, &base, true), 0);
	assert_int_equal(wrmsr_try(c, 0x1b, base | 0xc00), 0);
	assert_int_equal(wrmsr_try(c, X2(0x0f), 0x1ff), 0);
}

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(CPUS);
	for (unsigned int i = 0; i < CPUS; i++) {
		wr(i, 0xf0, 0x1ff);
		cpu(i)->mode = VCPU_IN_GUEST;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_vm_destroy(vm);
	return 0;
}

static void test_reset_values(void **state)
{
	uint64_t v;

	(void)state;
	vlapic_reset(cpu(0));
	vlapic_reset(cpu(2));
	assert_int_equal(vlapic_msr_read(cpu(0), 0x1b, &v, true), 0);
	assert_int_equal(v, 0xfee00900);
	assert_int_equal(vlapic_msr_read(cpu(2), 0x1b, &v, true), 0);
	assert_int_equal(v, 0xfee00800);
	assert_int_equal(vlapic_base(cpu(2)), 0xfee00800);
	assert_int_equal(rd(2, 0x20), 2u << 24);
	assert_int_equal(rd(2, 0x30), 0x50014);
	assert_int_equal(rd(2, 0xe0), 0xffffffff);
	assert_int_equal(rd(2, 0xf0), 0xff);
	for (uint32_t off = 0x320; off <= 0x370; off += 0x10)
		assert_int_equal(rd(2, off), 0x10000);
	assert_int_equal(rd(0, 0x350), 0x700);
	assert_int_equal(vlapic_pending(cpu(0)), -1);
}

static void test_priority_order(void **state)
{
	(void)state;
	vlapic_set_irq(cpu(0), 0x31, false);
	vlapic_set_irq(cpu(0), 0x52, false);
	vlapic_set_irq(cpu(0), 0x5f, false);
	assert_true(fake_kicks[0] > 0);
	assert_true(vlapic_maybe_pending(cpu(0)));
	assert_int_equal(vlapic_pending(cpu(0)), 0x5f);
	assert_int_equal(vlapic_pending(cpu(0)), 0x5f); /* changes nothing */
	assert_int_equal(vlapic_ack(cpu(0)), 0x5f);
	assert_int_equal(rd(0, 0xa0), 0x50);
	assert_int_equal(rd(0, 0x120), 0x80000000); /* ISR word of 0x5f */
	assert_int_equal(vlapic_pending(cpu(0)), -1); /* same class waits */
	assert_false(vlapic_maybe_pending(cpu(0)));
	vlapic_set_irq(cpu(0), 0x60, false); /* a higher class does not */
	assert_int_equal(vlapic_pending(cpu(0)), 0x60);
	assert_int_equal(vlapic_ack(cpu(0)), 0x60);
	wr(0, 0xb0, 0);
	assert_int_equal(rd(0, 0xa0), 0x50);
	wr(0, 0xb0, 0);
	assert_true(vlapic_maybe_pending(cpu(0)));
	assert_int_equal(vlapic_pending(cpu(0)), 0x52);
	assert_int_equal(vlapic_ack(cpu(0)), 0x52);
	wr(0, 0xb0, 0);
	assert_int_equal(vlapic_pending(cpu(0)), 0x31);
	assert_int_equal(vlapic_ack(cpu(0)), 0x31);
	wr(0, 0xb0, 0);
	wr(0, 0xb0, 0); /* one too many is harmless */
	assert_int_equal(vlapic_pending(cpu(0)), -1);
}

static void test_higher_one_during_ack(void **state)
{
	(void)state;
	vlapic_set_irq(cpu(0), 0x31, false);
	assert_int_equal(vlapic_pending(cpu(0)), 0x31);
	vlapic_set_irq(cpu(0), 0x81, false);
	assert_int_equal(vlapic_ack(cpu(0)), 0x31);
	assert_true(vlapic_maybe_pending(cpu(0)));
	assert_int_equal(vlapic_pending(cpu(0)), 0x81);
}

static void test_tpr(void **state)
{
	(void)state;
	vlapic_cr8_set(cpu(0), 5);
	assert_int_equal(rd(0, 0x80), 0x50);
	vlapic_set_irq(cpu(0), 0x51, false);
	assert_int_equal(vlapic_pending(cpu(0)), -1);
	assert_int_equal(vlapic_tpr_blocked(cpu(0)), 0x51);
	vlapic_cr8_set(cpu(0), 4);
	assert_true(vlapic_maybe_pending(cpu(0)));
	assert_int_equal(vlapic_tpr_blocked(cpu(0)), -1);
	assert_int_equal(vlapic_pending(cpu(0)), 0x51);
	wr(0, 0x80, 0x6f);
	assert_int_equal(vlapic_cr8_get(cpu(0)), 6);
	assert_int_equal(rd(0, 0xa0), 0x6f);
	assert_int_equal(vlapic_pending(cpu(0)), -1);
}

static void test_coalesced_sets_kick_once(void **state)
{
	(void)state;
	fake_kicks[1] = 0;
	vlapic_set_irq(cpu(1), 0x40, false);
	vlapic_set_irq(cpu(1), 0x40, false);
	assert_int_equal(fake_kicks[1], 1);
	/* Outside it looks before it enters. */
	cpu(1)->mode = VCPU_OUTSIDE;
	vlapic_set_irq(cpu(1), 0x41, false);
	assert_int_equal(fake_kicks[1], 1);
	assert_true(vlapic_maybe_pending(cpu(1)));
}

static void test_software_disabled_accepts_nothing(void **state)
{
	(void)state;
	wr(1, 0xf0, 0xff);
	assert_int_equal(virq_msi_send(vm, 0xfee01000, 0x41), 0);
	assert_int_equal(vlapic_pending(cpu(1)), -1);
	assert_int_equal(rd(1, 0x320), 0x10000);
	wr(1, 0x320, 0x30); /* stays masked while disabled */
	assert_int_equal(rd(1, 0x320), 0x10030);
	assert_int_equal(virq_msi_send(vm, 0xfee01000, 0x441), 1); /* NMI comes through */
	assert_int_equal(fake_requests[1], VCPU_REQ_NMI);
}

static void test_illegal_vectors(void **state)
{
	(void)state;
	wr(0, 0x370, 0xfe); /* error LVT */
	vlapic_set_irq(cpu(0), 15, false);
	wr(0, 0x280, 0);
	assert_int_equal(rd(0, 0x280), 0x40);
	assert_int_equal(vlapic_pending(cpu(0)), 0xfe);
	vlapic_ack(cpu(0));
	wr(0, 0xb0, 0);
	wr(0, 0x310, 1u << 24);
	wr(0, 0x300, 0x0f); /* send */
	wr(0, 0x280, 0);
	assert_int_equal(rd(0, 0x280), 0x20);
	assert_int_equal(vlapic_pending(cpu(1)), -1);
	wr(0, 0x3f0, 0); /* no such register in xAPIC mode */
	wr(0, 0x280, 0);
	assert_int_equal(rd(0, 0x280), 0x80);
	wr(0, 0x280, 0);
	assert_int_equal(rd(0, 0x280), 0);
	wr(0, 0x370, 0x05); /* an error vector that is itself illegal ends the chain */
	vlapic_set_irq(cpu(0), 1, false);
}

static void test_xapic_page_edges(void **state)
{
	uint32_t v = 0;

	(void)state;
	assert_int_equal(rd(0, 0x24), 0); /* between registers */
	assert_int_equal(rd(0, 0xff0), 0);
	assert_int_equal(rd(0, 0x40), 0);
	x2apic_on(0);
	assert_true(vlapic_mmio(cpu(0), 0x20, false, &v, true));
	assert_int_equal(v, 0xffffffff); /* the page is gone in x2APIC mode */
}

static void test_icr_physical_and_shorthands(void **state)
{
	(void)state;
	wr(0, 0x310, 2u << 24);
	wr(0, 0x300, 0x4041);
	assert_int_equal(vlapic_pending(cpu(2)), 0x41);
	wr(0, 0x300, 0x44042); /* self */
	assert_int_equal(vlapic_pending(cpu(0)), 0x42);
	wr(0, 0x300, 0xc4043); /* others */
	assert_int_equal(vlapic_pending(cpu(0)), 0x42);
	for (unsigned int i = 1; i < CPUS; i++)
		assert_int_equal(vlapic_pending(cpu(i)), 0x43);
	wr(1, 0x300, 0x84050); /* all */
	for (unsigned int i = 0; i < CPUS; i++)
		assert_int_equal(vlapic_pending(cpu(i)), 0x50);
	wr(1, 0x310, 0xff000000); /* physical broadcast */
	wr(1, 0x300, 0x4060);
	for (unsigned int i = 0; i < CPUS; i++)
		assert_int_equal(vlapic_pending(cpu(i)), 0x60);
	wr(1, 0x310, 99u << 24); /* nobody */
	wr(1, 0x300, 0x4070);
	for (unsigned int i = 0; i < CPUS; i++)
		assert_int_equal(vlapic_pending(cpu(i)), 0x60);
	assert_int_equal(rd(1, 0x300), 0x4070);
	assert_int_equal(rd(1, 0x310), 99u << 24);
}

static void test_icr_init_sipi_nmi(void **state)
{
	(void)state;
	wr(0, 0x310, 3u << 24);
	wr(0, 0x300, 0xc500); /* INIT, level assert */
	assert_int_equal(fake_requests[3], VCPU_REQ_INIT);
	fake_requests[3] = 0;
	wr(0, 0x300, 0x8500); /* de-assert: nothing */
	assert_int_equal(fake_requests[3], 0);
	wr(0, 0x300, 0x469a);
	assert_int_equal(fake_requests[3], VCPU_REQ_SIPI);
	assert_int_equal(cpu(3)->sipi_vector, 0x9a);
	fake_requests[3] = 0;
	wr(0, 0x300, 0x4400);
	assert_int_equal(fake_requests[3], VCPU_REQ_NMI);
	wr(0, 0x300, 0x4200); /* SMI: nobody cares */
	wr(0, 0x300, 0x4300); /* reserved */
	assert_int_equal(fake_requests[3], VCPU_REQ_NMI);
}

static void test_logical_flat_and_cluster(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < CPUS; i++)
		wr(i, 0xd0, 1u << (24 + i));
	wr(0, 0x310, 0x0a000000);
	wr(0, 0x300, 0x4841);
	assert_int_equal(vlapic_pending(cpu(0)), -1);
	assert_int_equal(vlapic_pending(cpu(1)), 0x41);
	assert_int_equal(vlapic_pending(cpu(2)), -1);
	assert_int_equal(vlapic_pending(cpu(3)), 0x41);
	for (unsigned int i = 0; i < CPUS; i++) {
		wr(i, 0xe0, 0x0fffffff);
		wr(i, 0xd0, (i / 2) << 28 | 1u << (24 + i % 2));
	}
	wr(0, 0x310, 0x12000000); /* cluster 1, second member */
	wr(0, 0x300, 0x4851);
	assert_int_equal(vlapic_pending(cpu(1)), 0x41);
	assert_int_equal(vlapic_pending(cpu(3)), 0x51);
	wr(0, 0x310, 0xf1000000); /* first member of every cluster */
	wr(0, 0x300, 0x4861);
	assert_int_equal(vlapic_pending(cpu(0)), 0x61);
	assert_int_equal(vlapic_pending(cpu(2)), 0x61);
	assert_int_equal(vlapic_pending(cpu(3)), 0x51);
}

static void test_lowest_priority_takes_turns(void **state)
{
	unsigned int got[CPUS] = {0};

	(void)state;
	for (unsigned int i = 0; i < CPUS; i++)
		wr(i, 0xd0, 1u << (24 + i));
	for (unsigned int n = 0; n < 4 * CPUS; n++) {
		assert_int_equal(virq_msi_send(vm, 0xfee0f00c, 0x141), 1);
		for (unsigned int i = 0; i < CPUS; i++) {
			if (vlapic_pending(cpu(i)) != 0x41)
				continue;
			got[i]++;
			vlapic_ack(cpu(i));
			wr(i, 0xb0, 0);
		}
	}
	for (unsigned int i = 0; i < CPUS; i++)
		assert_int_equal(got[i], 4);
	/* One that accepts nothing is passed over. */
	for (unsigned int i = 0; i < CPUS - 1; i++)
		wr(i, 0xf0, 0xff);
	for (unsigned int n = 0; n < 3; n++)
		assert_int_equal(virq_msi_send(vm, 0xfee0f00c, 0x142 + n), 1);
	assert_int_equal(vlapic_pending(cpu(CPUS - 1)), 0x44);
}

static void test_msi(void **state)
{
	(void)state;
	assert_int_equal(virq_msi_send(vm, 0xfee02000, 0x41), 1);
	assert_int_equal(vlapic_pending(cpu(2)), 0x41);
	assert_int_equal(virq_msi_send(vm, 0xfee09000, 0x41), 0);
	assert_int_equal(virq_msi_send(vm, 0xfed02000, 0x41), 0);
	assert_int_equal(virq_msi_send(vm, 0x1fee02000, 0x41), 0);
	assert_int_equal(virq_msi_send(vm, 0xfee02000, 0x641), 0); /* no SIPI by MSI */
	assert_int_equal(virq_msi_send(vm, 0xfeeff000, 0x51), CPUS);
}

static void test_base_transitions(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(wrmsr_try(1, 0x1b, 0xfee00400), -RAY_EFAULT); /* invalid */
	assert_int_equal(wrmsr_try(1, 0x1b, 0xfee00900), -RAY_EFAULT); /* BSP is read-only */
	assert_int_equal(wrmsr_try(1, 0x1b, 0xfee00801), -RAY_EFAULT); /* reserved */
	assert_int_equal(wrmsr_try(1, 0x1b, 0xfffee00000000800), -RAY_EFAULT);
	assert_int_equal(wrmsr_try(1, X2(0x0b), 0), -RAY_EFAULT); /* not in x2APIC mode */
	assert_int_equal(wrmsr_try(1, 0x1b, 0xfee00c00), 0);
	assert_int_equal(wrmsr_try(1, 0x1b, 0xfee00800), -RAY_EFAULT); /* x2APIC to xAPIC */
	assert_int_equal(wrmsr_try(1, 0x1b, 0xfee00000), 0);
	assert_int_equal(wrmsr_try(1, 0x1b, 0xfee00c00), -RAY_EFAULT); /* off to x2APIC */
	assert_int_equal(virq_msi_send(vm, 0xfee01000, 0x441), 0); /* off hears nothing */
	assert_int_equal(wrmsr_try(1, 0x1b, 0xfed00800), 0);
	assert_int_equal(vlapic_base(cpu(1)), 0xfed00800);
	assert_int_equal(vlapic_msr_read(cpu(1), 0x1b, &v, true), 0);
	assert_int_equal(v, 0xfed00800);
	assert_int_equal(rd(1, 0xf0), 0xff); /* power-up state after enabling */
}

static void test_x2apic_registers(void **state)
{
	/* Every register of SDM table 10-6: readable, writable value or -1. */
	static const struct {
		uint32_t reg;
		int64_t good;
		bool readable;
	} t[] = {
		{0x02, -1, true}, {0x03, -1, true}, {0x08, 0xff, true}, {0x0a, -1, true},
		{0x0b, 0, false}, {0x0d, -1, true}, {0x0e, -1, false}, {0x0f, 0x1ff, true},
		{0x10, -1, true}, {0x17, -1, true}, {0x18, -1, true}, {0x20, -1, true},
		{0x27, -1, true}, {0x28, 0, true}, {0x2f, -1, false}, {0x30, 0x4441, true},
		{0x31, -1, false}, {0x32, 0x10030, true}, {0x33, 0x10030, true},
		{0x34, 0x10030, true}, {0x35, 0x10030, true}, {0x36, 0x10030, true},
		{0x37, 0x10030, true}, {0x38, 5, true}, {0x39, -1, true}, {0x3e, 0xb, true},
		{0x3f, 0x30, false}, {0x40, -1, false}, {0xff, -1, false}, {0x00, -1, false},
		{0x09, -1, false}, {0x0c, -1, false},
	};
	uint64_t v;

	(void)state;
	x2apic_on(3);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_int_equal(vlapic_msr_read(cpu(3), X2(t[i].reg), &v, true),
				 t[i].readable ? 0 : -RAY_EFAULT);
		assert_int_equal(wrmsr_try(3, X2(t[i].reg), t[i].good < 0 ? 0 : (uint64_t)t[i].good),
				 t[i].good < 0 ? -RAY_EFAULT : 0);
		if (t[i].reg != 0x30)
			assert_int_equal(wrmsr_try(3, X2(t[i].reg), 1ull << 32), -RAY_EFAULT);
	}
	assert_int_equal(vlapic_msr_read(cpu(3), X2(0x02), &v, true), 0);
	assert_int_equal(v, 3);
	assert_int_equal(vlapic_msr_read(cpu(3), X2(0x0d), &v, true), 0);
	assert_int_equal(v, 8);
	assert_int_equal(wrmsr_try(3, X2(0x0b), 1), -RAY_EFAULT);
	assert_int_equal(wrmsr_try(3, X2(0x08), 0x100), -RAY_EFAULT);
	assert_int_equal(wrmsr_try(3, X2(0x0f), 0x11ff), -RAY_EFAULT);
	assert_int_equal(wrmsr_try(3, X2(0x28), 1), -RAY_EFAULT);
	assert_int_equal(wrmsr_try(3, X2(0x32), 0x80000), -RAY_EFAULT);
	assert_int_equal(wrmsr_try(3, X2(0x30), 0x1000), -RAY_EFAULT);
	assert_int_equal(wrmsr_try(3, X2(0x3e), 4), -RAY_EFAULT);
}

static void test_x2apic_ipis(void **state)
{
	uint64_t v;

	(void)state;
	for (unsigned int i = 0; i < CPUS; i++)
		x2apic_on(i);
	assert_int_equal(wrmsr_try(0, X2(0x30), 2ull << 32 | 0x41), 0);
	assert_int_equal(vlapic_pending(cpu(2)), 0x41);
	assert_int_equal(vlapic_msr_read(cpu(0), X2(0x30), &v, true), 0);
	assert_int_equal(v, 2ull << 32 | 0x41);
	assert_int_equal(wrmsr_try(0, X2(0x30), 0x5ull << 32 | 0x851), 0); /* logical 0 and 2 */
	assert_int_equal(vlapic_pending(cpu(0)), 0x51);
	assert_int_equal(vlapic_pending(cpu(1)), -1);
	assert_int_equal(vlapic_pending(cpu(2)), 0x51);
	assert_int_equal(wrmsr_try(0, X2(0x30), 0x10001ull << 32 | 0x871), 0); /* cluster 1 */
	assert_int_equal(vlapic_pending(cpu(0)), 0x51);
	assert_int_equal(wrmsr_try(0, X2(0x30), 0xffffffffull << 32 | 0x61), 0);
	for (unsigned int i = 0; i < CPUS; i++)
		assert_int_equal(vlapic_pending(cpu(i)), 0x61);
	assert_int_equal(wrmsr_try(0, X2(0x30), 0xffull << 32 | 0x81), 0); /* no broadcast here */
	assert_int_equal(vlapic_pending(cpu(1)), 0x61);
	assert_int_equal(wrmsr_try(1, X2(0x3f), 0x90), 0);
	assert_int_equal(vlapic_pending(cpu(1)), 0x90);
	vlapic_ack(cpu(1));
	assert_int_equal(wrmsr_try(1, X2(0x0b), 0), 0);
	assert_int_equal(vlapic_pending(cpu(1)), 0x61);
}

static void test_level_eoi_reaches_ioapic_from_the_thread(void **state)
{
	(void)state;
	x2apic_on(0);
	fake_mmio_write(vm, 0xfec00000, 4, 0x10 + 2 * 9);
	fake_mmio_write(vm, 0xfec00010, 4, 0x8039);
	virq_line_set(vm, 9, 0, true);
	assert_int_equal(vlapic_pending(cpu(0)), 0x39);
	assert_int_equal(vlapic_ack(cpu(0)), 0x39);
	assert_int_equal(fake_mmio_read(vm, 0xfec00010, 4), 0xc039);
	assert_int_equal(vlapic_msr_write(cpu(0), X2(0x0b), 0, true), -RAY_EAGAIN);
	assert_int_equal(vlapic_msr_write(cpu(0), X2(0x0b), 0, false), 0);
	assert_int_equal(vlapic_pending(cpu(0)), 0x39); /* still up: again */
	vlapic_ack(cpu(0));
	virq_line_set(vm, 9, 0, false);
	assert_int_equal(wrmsr_try(0, X2(0x0b), 0), 0);
	assert_int_equal(vlapic_pending(cpu(0)), -1);
	assert_int_equal(fake_mmio_read(vm, 0xfec00010, 4), 0x8039);
	/* The vector used for an edge afterwards needs no lock. */
	virq_msi_send(vm, 0xfee00000, 0x39);
	assert_int_equal(vlapic_pending(cpu(0)), 0x39);
	vlapic_ack(cpu(0));
	assert_int_equal(vlapic_msr_write(cpu(0), X2(0x0b), 0, true), 0);
}

static void test_pv_eoi(void **state)
{
	(void)state;
	x2apic_on(0);
	assert_int_equal(vlapic_pv_eoi_set(cpu(0), 0x1003), -RAY_EFAULT);
	assert_int_equal(vlapic_pv_eoi_set(cpu(0), FAKE_RAM_SIZE + 1), -RAY_EFAULT);
	assert_int_equal(vlapic_pv_eoi_set(cpu(0), 0x1001), 0);
	vlapic_set_irq(cpu(0), 0x41, false);
	vlapic_pending(cpu(0));
	vlapic_ack(cpu(0));
	assert_int_equal(fake_ram[0x1000], 1);
	fake_ram[0x1000] = 0; /* the guest ends it */
	vlapic_set_irq(cpu(0), 0x41, false);
	assert_int_equal(vlapic_pending(cpu(0)), 0x41); /* seen as ended */
	vlapic_ack(cpu(0));
	assert_int_equal(fake_ram[0x1000], 1);
	vlapic_set_irq(cpu(0), 0x31, false); /* one waits: the offer is taken back */
	assert_int_equal(vlapic_pending(cpu(0)), -1);
	assert_int_equal(fake_ram[0x1000], 0);
	assert_int_equal(wrmsr_try(0, X2(0x0b), 0), 0);
	assert_int_equal(vlapic_pending(cpu(0)), 0x31);
	vlapic_ack(cpu(0));
	assert_int_equal(vlapic_pv_eoi_set(cpu(0), 0), 0);
	assert_int_equal(fake_ram[0x1000], 0);
	assert_int_equal(wrmsr_try(0, X2(0x0b), 0), 0);
	vlapic_set_irq(cpu(0), 0x41, false);
	vlapic_pending(cpu(0));
	vlapic_ack(cpu(0));
	assert_int_equal(fake_ram[0x1000], 0);
}

static void test_pv_eoi_not_offered_for_levels(void **state)
{
	(void)state;
	assert_int_equal(vlapic_pv_eoi_set(cpu(0), 0x1001), 0);
	vlapic_set_irq(cpu(0), 0x41, true);
	vlapic_pending(cpu(0));
	vlapic_ack(cpu(0));
	assert_int_equal(fake_ram[0x1000], 0);
	wr(0, 0xb0, 0);
	vlapic_set_irq(cpu(0), 0x31, false); /* nor when another waits */
	vlapic_set_irq(cpu(0), 0x41, false);
	vlapic_pending(cpu(0));
	vlapic_ack(cpu(0));
	assert_int_equal(fake_ram[0x1000], 0);
}

static void test_extint(void **state)
{
	(void)state;
	/* 8259: vectors 0x20, only IR4 open. */
	fake_out(vm, 0x20, 1, 0x11);
	fake_out(vm, 0x21, 1, 0x20);
	fake_out(vm, 0x21, 1, 4);
	fake_out(vm, 0x21, 1, 1);
	fake_out(vm, 0x21, 1, 0xef);
	wr(0, 0x350, 0x700);
	while (vlapic_pending(cpu(0)) >= 0)
		vlapic_ack(cpu(0));
	virq_line_set(vm, 4, 0, true);
	assert_true(vlapic_maybe_pending(cpu(0)));
	assert_int_equal(vlapic_pending(cpu(1)), -1); /* LINT0 masked there */
	vlapic_cr8_set(cpu(0), 15); /* not subject to priority */
	assert_int_equal(vlapic_pending(cpu(0)), 256);
	assert_int_equal(vlapic_ack(cpu(0)), 0x24);
	assert_int_equal(vlapic_pending(cpu(0)), -1);
	virq_line_set(vm, 4, 0, false);
	fake_out(vm, 0x20, 1, 0x20);
	/* LINT0 masked: through an ExtINT message only. */
	wr(0, 0x350, 0x10700);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(vlapic_pending(cpu(0)), -1);
	virq_msi_send(vm, 0xfee00000, 0x700);
	assert_int_equal(vlapic_pending(cpu(0)), 256);
	assert_int_equal(vlapic_ack(cpu(0)), 0x24);
	fake_out(vm, 0x20, 1, 0x20);
	virq_line_set(vm, 4, 0, false);
	/* As a fixed vector, and as an NMI. */
	vlapic_cr8_set(cpu(0), 0);
	wr(0, 0x350, 0x33);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(vlapic_pending(cpu(0)), 0x33);
	virq_line_set(vm, 4, 0, false);
	fake_out(vm, 0x20, 1, 0x0c); /* poll takes it */
	assert_int_equal(fake_in(vm, 0x20, 1), 0x84);
	fake_out(vm, 0x20, 1, 0x20);
	wr(0, 0x350, 0x400);
	virq_line_set(vm, 4, 0, true);
	assert_int_equal(fake_requests[0], VCPU_REQ_NMI);
}

static void test_disabled_apic_lets_the_8259_through(void **state)
{
	(void)state;
	assert_int_equal(wrmsr_try(0, 0x1b, 0xfee00100), 0);
	fake_out(vm, 0x21, 1, 0xfe);
	virq_line_set(vm, 0, 0, true);
	assert_int_equal(vlapic_pending(cpu(0)), 256);
	assert_int_equal(vlapic_ack(cpu(0)), 0x08);
}

static void test_init_keeps_mode(void **state)
{
	uint64_t v;

	(void)state;
	x2apic_on(1);
	vlapic_set_irq(cpu(1), 0x41, false);
	vlapic_cr8_set(cpu(1), 3);
	vlapic_init_signal(cpu(1));
	assert_int_equal(vlapic_msr_read(cpu(1), 0x1b, &v, true), 0);
	assert_int_equal(v, 0xfee00c00);
	assert_int_equal(vlapic_msr_read(cpu(1), X2(0x0d), &v, true), 0);
	assert_int_equal(v, 2);
	assert_int_equal(vlapic_cr8_get(cpu(1)), 0);
	assert_int_equal(vlapic_pending(cpu(1)), -1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_reset_values),
		T(test_priority_order),
		T(test_higher_one_during_ack),
		T(test_tpr),
		T(test_coalesced_sets_kick_once),
		T(test_software_disabled_accepts_nothing),
		T(test_illegal_vectors),
		T(test_xapic_page_edges),
		T(test_icr_physical_and_shorthands),
		T(test_icr_init_sipi_nmi),
		T(test_logical_flat_and_cluster),
		T(test_lowest_priority_takes_turns),
		T(test_msi),
		T(test_base_transitions),
		T(test_x2apic_registers),
		T(test_x2apic_ipis),
		T(test_level_eoi_reaches_ioapic_from_the_thread),
		T(test_pv_eoi),
		T(test_pv_eoi_not_offered_for_levels),
		T(test_extint),
		T(test_disabled_apic_lets_the_8259_through),
		T(test_init_keeps_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
