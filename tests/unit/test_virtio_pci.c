/* UNIT: tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/pci.c devices/virt/pci_dev.c devices/virt/attach.c
 * devices/virt/spec.c devices/virt/handler.c devices/virt/virtio/device.c
 * devices/virt/virtio/pci.c devices/virt/virtio/msix.c devices/virt/virtio/virtq.c
 * devices/virt/virtio/chain.c devices/virt/virtio/state.c security/quota.c kernel/lib/bucket.c
 * kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c kernel/lib/muldiv.c
 * hv/seed.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The transport of virtio devices: registers, negotiation, interrupts, state records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/err.h"
#include "tests/host/fake_ring.h"

#define COMMON_SIZE 56u
#define AREA_ISR    0x1000u
#define AREA_CONFIG 0x2000u
#define AREA_TABLE  0x4000u
#define AREA_PBA    0x5000u
#define MSIX_ON     0x8000u
#define MSIX_MASK   0x4000u
#define NO_VECTOR   0xffffu
#define S_DRIVER    (VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER)
#define PCI_DISABLE_INTX 0x400u

static struct vm *vm;
static struct virtio_dev *d;
static struct fake_ring ring[2];
static uint64_t buffer;

static int setup(void **state)
{
	(void)state;
	vm = fake_virtio_vm(1);
	d = fake_attach(vm, "echo", "")->dev;
	buffer = fake_guest_alloc(4096, 4096);
	fake_pci_setup(d);
	fake_markers[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_virtio_vm_destroy(vm);
	return 0;
}

/* --- access --- */

static uint32_t reg(enum fake_common r, unsigned int size)
{
	return fake_common_read(d, r, size);
}

static void set(enum fake_common r, unsigned int size, uint32_t value)
{
	fake_common_write(d, r, size, value);
}

static uint64_t bar_read(uint32_t off, unsigned int size)
{
	return fake_mmio_read(vm, d->pci.bar[1].at + off, size);
}

static void bar_write(uint32_t off, unsigned int size, uint64_t value)
{
	fake_mmio_write(vm, d->pci.bar[1].at + off, size, value);
}

static void msix_control(uint32_t bits)
{
	fake_pci_write(d, (unsigned int)d->msix.cap + 2, 2, bits);
}

static void start(void)
{
	assert_true(fake_driver_start(d, 0, ring, 2, 8));
}

static void echo(void)
{
	const struct fake_buf b[] = {{buffer, 16, false}, {buffer + 2048, 16, true}};
	uint32_t head, len;

	fake_ring_add(&ring[0], b, 2);
	fake_ring_kick(&ring[0]);
	assert_true(fake_ring_used(&ring[0], &head, &len));
	assert_int_equal(len, 16);
}

/* Status after FEATURES_OK was written behind @features. */
static uint32_t status_with(uint64_t features)
{
	set(FAKE_STATUS, 1, 0);
	set(FAKE_STATUS, 1, S_DRIVER);
	for (uint32_t i = 0; i < 2; i++) {
		set(FAKE_GFSELECT, 4, i);
		set(FAKE_GF, 4, (uint32_t)(features >> (32 * i)));
	}
	set(FAKE_STATUS, 1, S_DRIVER | VIRTIO_S_FEATURES_OK);
	return reg(FAKE_STATUS, 1);
}

/* --- what the bus shows --- */

static void test_identity_and_capabilities(void **state)
{
	uint32_t cap = fake_pci_read(d, 0x34, 1), seen = 0, first_notify_bar = 99;

	(void)state;
	assert_int_equal(fake_pci_read(d, 0, 4), (0x1040u + 42) << 16 | 0x1af4);
	assert_int_equal(fake_pci_read(d, 8, 1), 1);
	assert_true(fake_pci_read(d, 6, 2) & 0x10);
	for (unsigned int n = 0; cap; n++, cap = fake_pci_read(d, cap + 1, 1)) {
		uint32_t id = fake_pci_read(d, cap, 1), type = fake_pci_read(d, cap + 3, 1);

		assert_true(n < 16);
		if (id == 0x11)
			assert_int_equal(fake_pci_read(d, cap + 2, 2) & 0x7ff, 2); /* 3 entries */
		if (id != 0x09)
			continue;
		if (type == 2 && first_notify_bar == 99)
			first_notify_bar = fake_pci_read(d, cap + 4, 1);
		seen |= 1u << type;
	}
	assert_int_equal(seen & 0x1e, 0x1e); /* common, notify, ISR, device */
	assert_int_equal(first_notify_bar, 0);
}

static void test_reads_of_every_width(void **state)
{
	uint8_t image[COMMON_SIZE + 8] = {0};

	(void)state;
	start();
	set(FAKE_Q_SELECT, 2, 1);
	for (uint32_t off = 0; off < COMMON_SIZE; off++)
		image[off] = (uint8_t)bar_read(off, 1);
	assert_int_equal(image[FAKE_NUMQ], 2);
	assert_int_equal(image[FAKE_Q_NOFF], 1);
	for (uint32_t off = 0; off < COMMON_SIZE; off++) {
		for (unsigned int size = 2; size <= 8; size *= 2) {
			uint64_t want = 0;

			memcpy(&want, image + off, size);
			assert_int_equal(bar_read(off, size), want);
		}
	}
	assert_int_equal(bar_read(COMMON_SIZE, 4), 0);
	assert_int_equal(bar_read(0xffc, 8) & 0xffffffff, 0);
}

static void test_writes_take_their_own_width(void **state)
{
	static const struct {
		enum fake_common reg;
		unsigned int size;
		uint32_t value;
	} regs[] = {
		{FAKE_DFSELECT, 4, 1}, {FAKE_GFSELECT, 4, 1}, {FAKE_MSIX, 2, 1},
		{FAKE_Q_SELECT, 2, 1}, {FAKE_Q_SIZE, 2, 4}, {FAKE_Q_MSIX, 2, 1},
		{FAKE_Q_DESC, 4, 0x1000}, {FAKE_Q_AVAIL, 4, 0x2000}, {FAKE_Q_USED, 4, 0x3000},
		{FAKE_Q_ENABLE, 2, 1},
	};

	(void)state;
	set(FAKE_STATUS, 1, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++) {
		uint32_t before = reg(regs[i].reg, regs[i].size);

		for (unsigned int size = 1; size <= 4; size *= 2) {
			if (size == regs[i].size)
				continue;
			bar_write(regs[i].reg, size, regs[i].value);
			assert_int_equal(reg(regs[i].reg, regs[i].size), before);
		}
		set(regs[i].reg, regs[i].size, regs[i].value);
		assert_int_equal(reg(regs[i].reg, regs[i].size), regs[i].value);
	}
	/* What is only to be read. */
	set(FAKE_NUMQ, 2, 7);
	set(FAKE_GENERATION, 1, 7);
	set(FAKE_DF, 4, 0);
	set(FAKE_Q_NOFF, 2, 7);
	assert_int_equal(reg(FAKE_NUMQ, 2), 2);
	assert_int_equal(reg(FAKE_GENERATION, 1), 0);
	assert_int_equal(reg(FAKE_Q_NOFF, 2), 1);
}

static void test_sixty_four_bits_at_once(void **state)
{
	(void)state;
	set(FAKE_Q_SELECT, 2, 0);
	bar_write(FAKE_Q_DESC, 8, 0x123456789abcd000);
	assert_int_equal(bar_read(FAKE_Q_DESC, 8), 0x123456789abcd000);
	bar_write(FAKE_Q_DESC + 4, 4, 0);
	assert_int_equal(bar_read(FAKE_Q_DESC, 8), 0x9abcd000);
}

/* Where pci_cfg_data is, and where it leads from now on. */
static unsigned int window(uint32_t bar, uint32_t off, uint32_t len)
{
	unsigned int cap = fake_pci_read(d, 0x34, 1);

	while (fake_pci_read(d, cap, 1) != 0x09 || fake_pci_read(d, cap + 3, 1) != 5)
		cap = fake_pci_read(d, cap + 1, 1);
	fake_pci_write(d, cap + 4, 1, bar);
	fake_pci_write(d, cap + 8, 4, off);
	fake_pci_write(d, cap + 12, 4, len);
	return cap + 16;
}

static void test_registers_by_configuration_space(void **state)
{
	static const uint32_t bad[][3] = {
		{2, 0, 4}, {255, 0, 4}, {1, 0x8000, 4}, {1, 0x7ffe, 4}, {1, 0xffffffff, 1},
		{1, 2, 4}, {1, 0, 0}, {1, 0, 3}, {1, 0, 8}, {1, 0, 0xffffffff}, {0, 16, 2},
	};

	(void)state;
	assert_int_equal(fake_pci_read(d, window(1, FAKE_NUMQ, 2), 2), 2);
	assert_int_equal(fake_pci_read(d, window(1, FAKE_NUMQ, 2), 4), 2);
	fake_pci_write(d, window(1, FAKE_Q_SELECT, 2), 2, 1);
	assert_int_equal(reg(FAKE_Q_SELECT, 2), 1);
	fake_pci_write(d, window(1, FAKE_DFSELECT, 4), 2, 1); /* too short for it */
	assert_int_equal(reg(FAKE_DFSELECT, 4), 0);
	/* Status takes a mutex that configuration space could not be held for. */
	fake_pci_write(d, window(1, FAKE_STATUS, 1), 1, S_DRIVER);
	assert_int_equal(reg(FAKE_STATUS, 1), S_DRIVER);
	start();
	fake_pci_write(d, window(0, 0, 2), 2, 0);
	assert_int_equal(d->queue[0].notified, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		unsigned int at = window(bad[i][0], bad[i][1], bad[i][2]);

		fake_pci_write(d, at, 4, 0xffffffff);
		assert_int_equal(fake_pci_read(d, at, 4), 0);
	}
	assert_int_equal(fake_pci_read(d, window(1, FAKE_NUMQ, 2) + 2, 2), 0);
}

/* --- negotiation --- */

static void test_features(void **state)
{
	uint64_t all = d->offered;

	(void)state;
	set(FAKE_DFSELECT, 4, 2);
	assert_int_equal(reg(FAKE_DF, 4), 0);
	set(FAKE_DFSELECT, 4, 1);
	assert_int_equal(reg(FAKE_DF, 4), 1);
	assert_true(status_with(all) & VIRTIO_S_FEATURES_OK);
	assert_true(status_with(VIRTIO_F_VERSION_1) & VIRTIO_S_FEATURES_OK);
	assert_int_equal(d->features, VIRTIO_F_VERSION_1);
	assert_false(status_with(all & ~VIRTIO_F_VERSION_1) & VIRTIO_S_FEATURES_OK);
	assert_false(status_with(0) & VIRTIO_S_FEATURES_OK);
	for (unsigned int i = 0; i < 64; i++) {
		if (all & BIT(i))
			continue;
		assert_false(status_with(VIRTIO_F_VERSION_1 | BIT(i)) & VIRTIO_S_FEATURES_OK);
		assert_int_equal(d->features, 0);
	}
	/* Agreed is agreed. */
	status_with(all);
	set(FAKE_GFSELECT, 4, 0);
	set(FAKE_GF, 4, 0);
	assert_int_equal(reg(FAKE_GF, 4), (uint32_t)all);
	assert_int_equal(d->features, all);
}

static void test_status(void **state)
{
	(void)state;
	set(FAKE_STATUS, 1, 0);
	set(FAKE_STATUS, 1, S_DRIVER | VIRTIO_S_DRIVER_OK);
	assert_int_equal(reg(FAKE_STATUS, 1), S_DRIVER); /* no features agreed */
	set(FAKE_STATUS, 1, VIRTIO_S_NEEDS_RESET | 0x30);
	assert_int_equal(reg(FAKE_STATUS, 1), S_DRIVER); /* not the driver's to set */
	set(FAKE_STATUS, 1, VIRTIO_S_FAILED);
	assert_int_equal(reg(FAKE_STATUS, 1), S_DRIVER | VIRTIO_S_FAILED);
	start();
	set(FAKE_STATUS, 1, VIRTIO_S_ACKNOWLEDGE); /* bits are not taken back (2.1.1) */
	assert_true(reg(FAKE_STATUS, 1) & VIRTIO_S_DRIVER_OK);
	fake_io_run(vm);
	assert_non_null(strstr(fake_markers, "READY vm=fake device=echo0\n"));
	set(FAKE_STATUS, 1, 0);
	assert_int_equal(reg(FAKE_STATUS, 1), 0);
	assert_int_equal(d->features, 0);
	assert_false(d->queue[0].enabled);
	assert_int_equal(reg(FAKE_Q_ENABLE, 2), 0);
	assert_int_equal(reg(FAKE_Q_SIZE, 2), 256);
	assert_int_equal(reg(FAKE_Q_MSIX, 2), NO_VECTOR);
	assert_int_equal(bar_read(FAKE_Q_DESC, 8), 0);
}

static void test_queue_registers(void **state)
{
	static const uint32_t bad[] = {0, 3, 257, 512, 0x8000, 0xffff};

	(void)state;
	set(FAKE_STATUS, 1, 0);
	set(FAKE_Q_SELECT, 2, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		set(FAKE_Q_SIZE, 2, bad[i]);
		assert_int_equal(reg(FAKE_Q_SIZE, 2), 256);
	}
	for (uint32_t size = 1; size <= 256; size *= 2) {
		set(FAKE_Q_SIZE, 2, size);
		assert_int_equal(reg(FAKE_Q_SIZE, 2), size);
	}
	set(FAKE_Q_ENABLE, 2, 0xffff);
	assert_int_equal(reg(FAKE_Q_ENABLE, 2), 0);
	set(FAKE_Q_ENABLE, 2, 1);
	/* Live: nothing moves, and it is not switched off (4.1.4.3.2). */
	set(FAKE_Q_SIZE, 2, 2);
	set(FAKE_Q_DESC, 4, 0x5000);
	set(FAKE_Q_ENABLE, 2, 0);
	assert_int_equal(reg(FAKE_Q_SIZE, 2), 256);
	assert_int_equal(reg(FAKE_Q_DESC, 4), 0);
	assert_int_equal(reg(FAKE_Q_ENABLE, 2), 1);
	set(FAKE_Q_SELECT, 2, 2);
	set(FAKE_Q_ENABLE, 2, 1);
	set(FAKE_Q_DESC, 4, 0x5000);
	for (uint32_t off = FAKE_Q_SIZE; off < COMMON_SIZE; off++)
		assert_int_equal(bar_read(off, 1), 0);
	set(FAKE_Q_SELECT, 2, 0xffff);
	assert_int_equal(reg(FAKE_Q_SIZE, 2), 0);
}

/* --- interrupts --- */

static bool intx(void)
{
	return fake_pci_read(d, 6, 2) & 8;
}

static void test_isr_and_line(void **state)
{
	(void)state;
	start();
	msix_control(0);
	assert_false(intx());
	echo();
	assert_true(intx());
	assert_int_equal(bar_read(AREA_ISR, 1), 1);
	assert_int_equal(bar_read(AREA_ISR, 1), 0);
	assert_false(intx());
	virtio_config_changed(d);
	assert_int_equal(reg(FAKE_GENERATION, 1), 1);
	assert_true(intx());
	echo();
	assert_int_equal(bar_read(AREA_ISR, 1), 3);
	/* A line that is switched off stays low; the status says so all the same. */
	fake_pci_write(d, 4, 2, 7 | PCI_DISABLE_INTX);
	echo();
	assert_true(intx());
	set(FAKE_STATUS, 1, 0);
	assert_false(intx());
	assert_int_equal(bar_read(AREA_ISR, 1), 0);
}

static void test_nobody_hears_of_config_before_the_driver_is_ready(void **state)
{
	(void)state;
	msix_control(0);
	virtio_config_changed(d);
	assert_int_equal(bar_read(AREA_ISR, 1), 0);
	assert_false(intx());
}

static uint32_t pending(void)
{
	return (uint32_t)bar_read(AREA_PBA, 4);
}

static void test_msix_masks(void **state)
{
	uint16_t entry;

	(void)state;
	start();
	entry = d->queue[0].vector;
	bar_write(AREA_TABLE + 16u * entry + 12, 4, 1);
	assert_int_equal(pending(), 0);
	echo();
	assert_int_equal(pending(), 1u << entry);
	assert_int_equal(bar_read(AREA_ISR, 1), 0); /* MSI-X is on */
	bar_write(AREA_TABLE + 16u * entry + 12, 4, 0);
	assert_int_equal(pending(), 0);
	/* The whole function. */
	msix_control(MSIX_ON | MSIX_MASK);
	echo();
	assert_int_equal(pending(), 1u << entry);
	bar_write(AREA_TABLE + 16u * entry + 12, 4, 1);
	msix_control(MSIX_ON);
	assert_int_equal(pending(), 1u << entry); /* still masked by itself */
	bar_write(AREA_TABLE + 16u * entry + 12, 4, 0);
	assert_int_equal(pending(), 0);
	bar_write(AREA_PBA, 4, 0xffffffff);
	assert_int_equal(pending(), 0);
}

static void test_msix_table(void **state)
{
	(void)state;
	for (uint32_t word = 0; word < 4; word++)
		bar_write(AREA_TABLE + 16 + 4 * word, 4, 0xffffffff);
	assert_int_equal(bar_read(AREA_TABLE + 16, 8), 0xfffffffffffffffc);
	assert_int_equal(bar_read(AREA_TABLE + 24, 4), 0xffffffff);
	assert_int_equal(bar_read(AREA_TABLE + 28, 4), 1);
	bar_write(AREA_TABLE + 16, 8, 0xfee00000);
	assert_int_equal(bar_read(AREA_TABLE + 16, 8), 0xfee00000);
	bar_write(AREA_TABLE + 17, 1, 0xff);
	bar_write(AREA_TABLE + 18, 2, 0xff);
	assert_int_equal(bar_read(AREA_TABLE + 16, 8), 0xfee00000);
	bar_write(AREA_TABLE + 16 * 3, 4, 0x1234); /* there are three */
	assert_int_equal(bar_read(AREA_TABLE + 16 * 3, 4), 0);
	for (uint32_t v = 0; v < 0x10000; v += 3) {
		set(FAKE_MSIX, 2, v);
		assert_int_equal(reg(FAKE_MSIX, 2), v < 3 ? v : NO_VECTOR);
		set(FAKE_Q_MSIX, 2, v);
		assert_int_equal(reg(FAKE_Q_MSIX, 2), v < 3 ? v : NO_VECTOR);
	}
}

/* --- device configuration --- */

static void test_device_configuration(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 12; i++)
		d->config[i] = (uint8_t)(0x10 + i);
	assert_int_equal(bar_read(AREA_CONFIG, 8), 0x1716151413121110);
	assert_int_equal(bar_read(AREA_CONFIG + 3, 2), 0x1413);
	assert_int_equal(bar_read(AREA_CONFIG + 8, 8), 0x1b1a1918); /* ends there */
	assert_int_equal(bar_read(AREA_CONFIG + 12, 4), 0);
	bar_write(AREA_CONFIG + 8, 8, 0x8877665544332211);
	assert_int_equal(bar_read(AREA_CONFIG + 8, 4), 0x44332211);
	assert_int_equal(d->config[12], 0);
	bar_write(AREA_CONFIG + 12, 4, 0xffffffff);
	bar_write(AREA_CONFIG + 0xff8, 8, ~0ull);
	assert_int_equal(d->config[12], 0);
}

/* --- breaking --- */

static void test_break_and_reset(void **state)
{
	(void)state;
	start();
	msix_control(0);
	virtio_dev_break(d, "a reason");
	virtio_dev_break(d, "another");
	fake_io_run(vm);
	assert_string_equal(d->broken_why, "a reason");
	assert_non_null(strstr(fake_markers, "NEEDS_RESET vm=fake device=echo0 reason=a reason\n"));
	assert_null(strstr(fake_markers, "another"));
	assert_int_equal(d->attach->handler.malformed, 1);
	assert_true(reg(FAKE_STATUS, 1) & VIRTIO_S_NEEDS_RESET);
	assert_int_equal(bar_read(AREA_ISR, 1), 2);
	fake_echo_served = 0;
	fake_ring_push(&ring[0], 0);
	fake_ring_kick(&ring[0]);
	fake_io_run(vm);
	assert_int_equal(fake_echo_served, 0);
	start();
	echo();
	assert_int_equal(reg(FAKE_STATUS, 1) & VIRTIO_S_NEEDS_RESET, 0);
}

static void test_markers_are_rationed(void **state)
{
	struct vattach *a = d->attach;
	unsigned int told = 0;

	(void)state;
	bucket_init(&a->told_ready, 1, VATTACH_TELL_BURST, FAKE_TSC_PER_NS * 1000000000ull);
	for (unsigned int i = 0; i < 100; i++) {
		fake_markers[0] = '\0';
		start();
		fake_io_run(vm);
		told += strstr(fake_markers, "READY") != NULL;
	}
	assert_int_equal(told, VATTACH_TELL_BURST);
	assert_int_equal(a->untold, 100 - VATTACH_TELL_BURST);
	virtio_dev_break(d, "a reason");
	fake_io_run(vm);
	assert_non_null(strstr(fake_markers, "NEEDS_RESET"));
	fake_virtio_advance(vm, 1000000000);
	fake_markers[0] = '\0';
	start();
	fake_io_run(vm);
	assert_non_null(strstr(fake_markers, "READY"));
}

/* --- records --- */

static void test_record_is_complete(void **state)
{
	static uint8_t one[8192], two[8192];
	size_t len, again;

	(void)state;
	start();
	echo();
	set(FAKE_Q_SELECT, 2, 1);
	set(FAKE_MSIX, 2, 2);
	d->dev.ops->quiesce(&d->dev);
	len = fake_save(&d->dev, one, sizeof(one));
	d->dev.ops->reset(&d->dev);
	again = fake_save(&d->dev, two, sizeof(two));
	assert_int_equal(len, again);
	assert_memory_not_equal(one, two, len);
	for (size_t cut = 0; cut < len; cut++) {
		static uint8_t now[8192];

		assert_int_equal(fake_load(&d->dev, one, cut), -RAY_EINVAL);
		if (cut % 64)
			continue;
		assert_int_equal(fake_save(&d->dev, now, sizeof(now)), len);
		assert_memory_equal(two, now, len); /* nothing of it was taken */
	}
	assert_int_equal(fake_load(&d->dev, one, len), 0);
	assert_int_equal(fake_save(&d->dev, two, sizeof(two)), len);
	assert_memory_equal(one, two, len);
	d->dev.ops->resume(&d->dev);
	fake_io_run(vm);
	echo(); /* goes on in the same rings */
}

/* Any byte of a record changed: it is refused, or what comes of it is within limits. */
static void test_records_with_a_wrong_byte(void **state)
{
	static uint8_t good[8192], bad[8192];
	unsigned int refused = 0;
	size_t len;

	(void)state;
	start();
	d->dev.ops->quiesce(&d->dev);
	len = fake_save(&d->dev, good, sizeof(good));
	for (size_t at = 0; at < len; at++) {
		memcpy(bad, good, len);
		bad[at] ^= 0xff;
		refused += fake_load(&d->dev, bad, len) != 0;
		for (unsigned int i = 0; i < d->queue_count; i++) {
			assert_in_range(d->queue[i].size, 1, d->queue[i].size_max);
			assert_int_equal(d->queue[i].size & (d->queue[i].size - 1), 0);
		}
		assert_int_equal(d->features & ~d->offered, 0);
	}
	assert_true(refused > 20);
	assert_int_equal(fake_load(&d->dev, good, len), 0);
}

/* --- quotas and the turns of queues --- */

static void test_limits_change_while_it_runs(void **state)
{
	const struct quota_limits limits = {.bytes_per_second = 1000, .ops_per_second = 5};

	(void)state;
	start();
	echo();
	vattach_limit(d->attach, &limits);
	assert_int_equal(d->attach->handler.quota.limits.bytes_per_second, 1000);
	assert_true(d->queue[0].enabled);
	fake_io_run(vm);
	echo();
	d->dev.ops->quiesce(&d->dev);
	vattach_limit(d->attach, &limits);
	assert_false(d->queue[0].enabled); /* stood still, and goes on to */
	d->dev.ops->resume(&d->dev);
	assert_true(d->queue[0].enabled);
}

static void test_slow_work_goes_to_the_thread(void **state)
{
	const struct fake_buf b[] = {{buffer, 16, false}, {buffer + 2048, 16, true}};
	uint32_t head, len;

	(void)state;
	start();
	fake_echo_slow = true;
	fake_ring_add(&ring[0], b, 2);
	fake_ring_kick(&ring[0]);
	assert_false(fake_ring_used(&ring[0], &head, &len));
	fake_io_run(vm);
	assert_true(fake_ring_used(&ring[0], &head, &len));
	fake_echo_slow = false;
}

static void test_a_kick_that_finds_the_queue_taken_is_served(void **state)
{
	const struct fake_buf b[] = {{buffer, 16, false}, {buffer + 2048, 16, true}};
	uint32_t head, len;

	(void)state;
	start();
	fake_ring_add(&ring[0], b, 2);
	assert_true(virtq_lock(&d->queue[0], false));
	fake_ring_kick(&ring[0]);
	assert_int_equal(fake_io_run(vm), 0);
	virtq_unlock(&d->queue[0]);
	fake_io_run(vm);
	assert_true(fake_ring_used(&ring[0], &head, &len));
}

static void test_a_device_goes_while_work_waits(void **state)
{
	struct vattach *a;

	(void)state;
	start();
	fake_echo_slow = true;
	fake_ring_push(&ring[0], 0);
	fake_ring_kick(&ring[0]);
	virtio_dev_break(d, "last words");
	virtq_wait_until(&d->queue[1], UINT64_MAX / 2);
	a = d->attach;
	vattach_remove(a);
	assert_int_equal(fake_io_run(vm), 0);
	assert_int_equal(fake_timer_next(), UINT64_MAX);
	fake_echo_slow = false;
	assert_null(vattach_find(vm, "echo0"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_identity_and_capabilities),
		T(test_reads_of_every_width),
		T(test_writes_take_their_own_width),
		T(test_sixty_four_bits_at_once),
		T(test_registers_by_configuration_space),
		T(test_features),
		T(test_status),
		T(test_queue_registers),
		T(test_isr_and_line),
		T(test_nobody_hears_of_config_before_the_driver_is_ready),
		T(test_msix_masks),
		T(test_msix_table),
		T(test_device_configuration),
		T(test_break_and_reset),
		T(test_markers_are_rationed),
		T(test_record_is_complete),
		T(test_records_with_a_wrong_byte),
		T(test_limits_change_while_it_runs),
		T(test_slow_work_goes_to_the_thread),
		T(test_a_kick_that_finds_the_queue_taken_is_served),
		T(test_a_device_goes_while_work_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
