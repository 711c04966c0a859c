/* UNIT: tests/host/fake_virt.c hv/vdev.c hv/platform.c hv/irqchip/vlapic.c
 * hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_state.c
 * hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c hv/irqchip/vpic.c hv/irqchip/virq.c
 * devices/virt/virt.c devices/virt/term.c devices/virt/uart.c devices/virt/pit.c
 * devices/virt/pit_channel.c devices/virt/rtc.c devices/virt/rtc_date.c devices/virt/pm.c
 * devices/virt/pci.c devices/virt/pci_dev.c devices/virt/hotplug.c devices/virt/ports.c
 * devices/virt/testdev.c devices/virt/platform.c devices/virt/firmware.c devices/virt/acpi.c
 * devices/virt/smbios.c tests/host/fake_virtio.c devices/virt/attach.c devices/virt/spec.c
 * devices/virt/handler.c devices/virt/virtio/device.c devices/virt/virtio/pci.c
 * devices/virt/virtio/msix.c devices/virt/virtio/virtq.c devices/virt/virtio/chain.c
 * devices/virt/virtio/state.c security/quota.c kernel/lib/bucket.c kernel/lib/parse.c
 * kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/err.c kernel/lib/muldiv.c hv/seed.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The machine as a whole: built, failing at every allocation, and each device's small ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/pci.h"
#include "devices/virt/platform.h"
#include "devices/virt/virt.h"
#include "hv/platform.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_virt.h"

static struct vm *vm;

static void platform_end(void)
{
	struct vdev *d, *tmp;

	list_for_each_entry_safe(d, tmp, &vm->vdevs, node) {
		if (strcmp(d->ops->name, "ioapic") != 0 && strcmp(d->ops->name, "i8259") != 0)
			d->ops->destroy(d);
	}
	hv_platform()->destroy(vm);
}

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(2);
	vm->def.testdev = true;
	assert_int_equal(hv_platform()->create(vm), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	platform_end();
	fake_vm_destroy(vm);
	return 0;
}

static void test_create_fails_at_every_allocation(void **state)
{
	int n, err = -1;

	(void)state;
	platform_end();
	for (n = 0; err; n++) {
		int live = fake_allocs_live;

		fake_allocs_left = n;
		err = hv_platform()->create(vm);
		fake_allocs_left = -1;
		if (err) {
			assert_int_equal(err, -RAY_ENOMEM);
			platform_end();
			assert_int_equal(fake_allocs_live, live);
		}
	}
	assert_true(n > 20);
}

static void test_every_device_saves_and_loads(void **state)
{
	static uint8_t one[8192], two[8192];
	struct vdev *d;
	unsigned int n = 0;

	(void)state;
	list_for_each_entry(d, &vm->vdevs, node) {
		size_t len, again;

		d->ops->quiesce(d);
		len = fake_save(d, one, sizeof(one));
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(fake_load(d, one, cut), -RAY_EINVAL);
		assert_int_equal(fake_load(d, one, len), 0);
		again = fake_save(d, two, sizeof(two));
		assert_int_equal(len, again);
		assert_memory_equal(one, two, len);
		d->ops->resume(d);
		n++;
	}
	assert_int_equal(n, 10);
}

static void test_small_ports(void **state)
{
	(void)state;
	fake_out(vm, 0x80, 1, 0x42);
	assert_int_equal(fake_in(vm, 0x80, 1), 0);
	assert_int_equal(fake_in(vm, 0x64, 1), 0);
	fake_out(vm, 0x64, 1, 0xd1);
	assert_int_equal(fake_in(vm, 0x92, 1), 2);
	fake_out(vm, 0x92, 1, 2);
	assert_int_equal(fake_end, VM_END_NONE);
	fake_out(vm, 0xf4, 4, 0x1234);
	assert_int_equal(fake_end, VM_END_EXIT);
	assert_string_equal(fake_end_text, "exit code 4660");
}

static void reset_by(uint16_t port, uint8_t value)
{
	fake_end = VM_END_NONE;
	fake_out(vm, port, 1, value);
	assert_int_equal(fake_end, VM_END_RESET);
}

static void test_resets(void **state)
{
	(void)state;
	reset_by(0x64, 0xfe);
	reset_by(0x92, 3);
	reset_by(0xcf9, 6);
	fake_end = VM_END_NONE;
	fake_out(vm, 0xcf9, 1, 2); /* kind of reset chosen, not done */
	assert_int_equal(fake_end, VM_END_NONE);
}

static void test_testdev(void **state)
{
	uint8_t bytes[64];
	size_t len;
	struct vdev *d = fake_vdev(vm, "testdev");
	uint32_t svr = 0x1ff;

	(void)state;
	vlapic_mmio(vm->vcpu[0], 0xf0, true, &svr, true);
	for (unsigned int i = 0; i < 3; i++)
		fake_out(vm, 0x520, 1, i);
	fake_mmio_write(vm, 0xd0001000, 4, 1);
	assert_int_equal(fake_in(vm, 0x520, 4), 3);
	assert_int_equal(fake_mmio_read(vm, 0xd0001000, 8), 1);
	fake_out(vm, 0x530, 1, 0);
	assert_int_equal(vlapic_pending(vm->vcpu[0]), 0x40);
	assert_int_equal(fake_in(vm, 0x530, 1), 0);
	len = fake_save(d, bytes, sizeof(bytes));
	d->ops->destroy(d);
	assert_int_equal(fake_in(vm, 0x520, 4), 0xffffffff);
	assert_int_equal(vtestdev_create(vm), 0);
	d = fake_vdev(vm, "testdev");
	assert_int_equal(fake_load(d, bytes, len), 0);
	fake_out(vm, 0x520, 1, 0);
	assert_int_equal(fake_in(vm, 0x520, 4), 4);
	d->ops->reset(d);
	assert_int_equal(fake_in(vm, 0x520, 4), 0);
}

static void test_testdev_is_opt_in(void **state)
{
	(void)state;
	platform_end();
	vm->def.testdev = false;
	assert_int_equal(hv_platform()->create(vm), 0);
	assert_null(fake_vdev(vm, "testdev"));
	assert_int_equal(fake_in(vm, 0x520, 1), 0xff);
}

static uint32_t sci_status(void)
{
	return fake_in(vm, 0x600, 2);
}

static void test_power_button(void **state)
{
	(void)state;
	fake_out(vm, 0x20, 1, 0x11);
	fake_out(vm, 0x21, 1, 0x30);
	fake_out(vm, 0x21, 1, 4);
	fake_out(vm, 0x21, 1, 1);
	fake_out(vm, 0x21, 1, 0);
	fake_out(vm, 0xa1, 1, 0);
	fake_out(vm, 0x4d1, 1, 2); /* IRQ 9 level */
	hv_platform()->power_button(vm);
	assert_int_equal(sci_status(), 0x100);
	assert_int_equal(vlapic_pending(vm->vcpu[0]), -1); /* not enabled */
	fake_out(vm, 0x602, 2, 0x100);
	assert_int_equal(fake_in(vm, 0x602, 2), 0x100);
	assert_int_equal(fake_in(vm, 0x600, 4), 0x1000100);
	assert_int_equal(vlapic_pending(vm->vcpu[0]), 256);
	fake_out(vm, 0x600, 2, 0x100); /* write one to clear */
	assert_int_equal(sci_status(), 0);
	assert_int_equal(vlapic_pending(vm->vcpu[0]), -1);
}

static void test_power_off(void **state)
{
	(void)state;
	assert_int_equal(fake_in(vm, 0x604, 2), 1); /* always ACPI mode */
	fake_out(vm, 0x604, 2, 1u << 10 | 0x2000); /* S1: nothing */
	assert_int_equal(fake_end, VM_END_NONE);
	fake_out(vm, 0x604, 2, 5u << 10); /* type without enable */
	assert_int_equal(fake_end, VM_END_NONE);
	assert_int_equal(fake_in(vm, 0x604, 2), 5u << 10 | 1);
	assert_int_equal(fake_in(vm, 0x605, 1), 5u << 2);
	fake_out(vm, 0x605, 1, 5u << 2 | 0x20);
	assert_int_equal(fake_end, VM_END_POWEROFF);
}

static void test_pm_timer(void **state)
{
	struct vdev *d = fake_vdev(vm, "acpi-pm");
	uint32_t a = fake_in(vm, 0x608, 4), b;
	uint8_t bytes[64];
	size_t len;

	(void)state;
	fake_time_advance(1000000000);
	b = fake_in(vm, 0x608, 4);
	assert_in_range(b - a, 3579544, 3579546);
	assert_int_equal(fake_in(vm, 0x609, 1), (b >> 8) & 0xff);
	fake_out(vm, 0x602, 2, 1); /* interrupt at the toggle of bit 31 */
	fake_time_advance(598000000000);
	assert_int_equal(sci_status(), 0);
	d->ops->quiesce(d);
	len = fake_save(d, bytes, sizeof(bytes));
	d->ops->destroy(d);
	fake_time_advance(77000000000); /* does not count */
	assert_int_equal(vpm_create(vm), 0);
	d = fake_vdev(vm, "acpi-pm");
	d->ops->quiesce(d);
	assert_int_equal(fake_load(d, bytes, len), 0);
	d->ops->resume(d);
	fake_time_advance(900000000);
	assert_int_equal(sci_status(), 0);
	fake_time_advance(100000000);
	assert_int_equal(sci_status(), 1);
	fake_out(vm, 0x600, 2, 1);
	assert_int_equal(sci_status(), 0);
	fake_out(vm, 0x602, 2, 0);
	fake_time_advance(600000000000);
	assert_int_equal(sci_status(), 1); /* also when polled */
}

/* --- PCI --- */

static uint32_t cfg_in(unsigned int slot, unsigned int off, unsigned int size)
{
	fake_out(vm, 0xcf8, 4, 0x80000000 | slot << 11 | (off & 0xfc));
	return fake_in(vm, (uint16_t)(0xcfc + (off & 3)), size);
}

static void cfg_out(unsigned int slot, unsigned int off, unsigned int size, uint32_t v)
{
	fake_out(vm, 0xcf8, 4, 0x80000000 | slot << 11 | (off & 0xfc));
	fake_out(vm, (uint16_t)(0xcfc + (off & 3)), size, v);
}

static void test_pci_bridge_and_empty_bus(void **state)
{
	(void)state;
	assert_int_equal(cfg_in(0, 0, 4), 0x12378086);
	assert_int_equal(cfg_in(0, 0x0a, 2), 0x0600);
	assert_int_equal(cfg_in(0, 0x2c, 4), 0x00015241);
	for (unsigned int slot = 1; slot < 32; slot++)
		assert_int_equal(cfg_in(slot, 0, 4), 0xffffffff);
	fake_out(vm, 0xcf8, 4, 0x80010000); /* bus 1 */
	assert_int_equal(fake_in(vm, 0xcfc, 4), 0xffffffff);
	fake_out(vm, 0xcf8, 4, 0x80000100); /* function 1 */
	assert_int_equal(fake_in(vm, 0xcfc, 4), 0xffffffff);
	fake_out(vm, 0xcf8, 4, 0); /* mechanism off */
	assert_int_equal(fake_in(vm, 0xcfc, 4), 0xffffffff);
	fake_out(vm, 0xcf8, 4, 0xffffffff);
	assert_int_equal(fake_in(vm, 0xcf8, 4), 0x80fffffc);
	assert_int_equal(fake_in(vm, 0xcf8, 2), 0xffff);
	fake_out(vm, 0xcf8, 2, 0); /* not the address register */
	assert_int_equal(fake_in(vm, 0xcf8, 4), 0x80fffffc);
	cfg_out(0, 0, 4, 0xffffffff); /* read-only */
	assert_int_equal(cfg_in(0, 0, 4), 0x12378086);
}

static unsigned int bar_hits, config_hits;

static bool bar_fn(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)r;
	(void)vcpu;
	(void)fast;
	bar_hits++;
	if (!a->write)
		a->data = 0x1122 + a->offset;
	return true;
}

static void config_fn(struct vpci_dev *d, unsigned int off, unsigned int len)
{
	(void)d;
	(void)off;
	(void)len;
	config_hits++;
}

static struct vpci_dev pdev;

static void pdev_init(void)
{
	bar_hits = config_hits = 0;
	vpci_dev_init(&pdev, 0x1af4, 0x1041, 0x0200, true);
	vpci_bar_set(&pdev, 0, &(struct vpci_bar){ .range = { .fn = bar_fn, .name = "test" },
						   .size = 0x4000, .wide = true });
	vpci_bar_set(&pdev, 2, &(struct vpci_bar){ .range = { .fn = bar_fn, .name = "test-io" },
						   .size = 0x20, .io = true });
	pdev.config = config_fn;
}

static void test_pci_device(void **state)
{
	struct vpci_dev other;

	(void)state;
	pdev_init();
	assert_int_equal(vpci_cap_add(&pdev, 0x11, 12), 0x40);
	assert_int_equal(vpci_cap_add(&pdev, 0x09, 14), 0x4c);
	assert_int_equal(vpci_cap_add(&pdev, 0x09, 0xff), -RAY_ENOSPC);
	assert_int_equal(vpci_plug(vm, &pdev, -1), 0);
	assert_int_equal(pdev.slot, 1);
	vpci_dev_init(&other, 1, 2, 3, false);
	assert_int_equal(vpci_plug(vm, &other, 1), -RAY_EBUSY);
	assert_int_equal(vpci_plug(vm, &other, 32), -RAY_ENOSPC);
	assert_int_equal(cfg_in(1, 0, 4), 0x10411af4);
	assert_int_equal(cfg_in(1, 0x34, 1), 0x4c);
	assert_int_equal(cfg_in(1, 0x4c, 2), 0x4009);
	assert_int_equal(cfg_in(1, 0x06, 2), 0x10);
	/* Sizing. */
	cfg_out(1, 0x10, 4, 0xffffffff);
	cfg_out(1, 0x14, 4, 0xffffffff);
	cfg_out(1, 0x18, 4, 0xffffffff);
	assert_int_equal(cfg_in(1, 0x10, 4), 0xffffc004);
	assert_int_equal(cfg_in(1, 0x14, 4), 0xffffffff);
	assert_int_equal(cfg_in(1, 0x18, 4), 0xffffffe1);
	cfg_out(1, 0x1c, 4, 0xffffffff);
	assert_int_equal(cfg_in(1, 0x1c, 4), 0);
	cfg_out(1, 0x14, 4, 0);
	cfg_out(1, 0x10, 4, 0xe0000000);
	cfg_out(1, 0x18, 4, 0xc000);
	assert_int_equal(fake_mmio_read(vm, 0xe0000010, 4), 0); /* decoding off */
	cfg_out(1, 0x04, 2, 3);
	assert_int_equal(fake_mmio_read(vm, 0xe0000010, 4), 0x1132);
	assert_int_equal(fake_in(vm, 0xc01f, 1), 0x41);
	cfg_out(1, 0x10, 4, 0xe0004000); /* moves */
	assert_int_equal(fake_mmio_read(vm, 0xe0000010, 4), 0);
	assert_int_equal(fake_mmio_read(vm, 0xe0004010, 4), 0x1132);
	cfg_out(1, 0x10, 4, 0xfec00000); /* outside the window: nothing breaks */
	assert_int_equal(fake_mmio_read(vm, 0xfec00000, 4), 0);
	cfg_out(1, 0x14, 4, 0xffffffff);
	cfg_out(1, 0x10, 4, 0xffffc000); /* up to the end of the address space */
	assert_int_equal(fake_mmio_read(vm, 0xffffffffffffc000, 4), 0xffffffff);
	cfg_out(1, 0x18, 4, 0x3f8); /* ports that are another's */
	assert_int_equal(fake_in(vm, 0xc01f, 1), 0xff);
	assert_int_equal(bar_hits, 3);
	assert_true(config_hits > 8);
	vpci_unplug(&pdev);
	assert_int_equal(cfg_in(1, 0, 4), 0xffffffff);
}

static void test_pci_intx(void **state)
{
	uint32_t svr = 0x1ff;

	(void)state;
	pdev_init();
	assert_int_equal(vpci_plug(vm, &pdev, 5), 0);
	vlapic_mmio(vm->vcpu[0], 0xf0, true, &svr, true);
	fake_mmio_write(vm, 0xfec00000, 4, 0x10 + 2 * (16 + 5));
	fake_mmio_write(vm, 0xfec00010, 4, 0x8055);
	vpci_intx_set(&pdev, true);
	assert_int_equal(cfg_in(5, 0x06, 2), 0x08);
	assert_int_equal(vlapic_pending(vm->vcpu[0]), 0x55);
	vlapic_ack(vm->vcpu[0]);
	cfg_out(5, 0x04, 2, 0x400); /* INTx disable lowers the line */
	vlapic_mmio(vm->vcpu[0], 0xb0, true, &svr, false);
	assert_int_equal(vlapic_pending(vm->vcpu[0]), -1);
	cfg_out(5, 0x04, 2, 0);
	assert_int_equal(vlapic_pending(vm->vcpu[0]), 0x55);
	vpci_intx_set(&pdev, false);
	vpci_unplug(&pdev);
}

static void test_pci_save_restore(void **state)
{
	uint8_t one[512], two[512], cfg[VPCI_CONFIG_SIZE];
	struct state_buf b = {.data = one, .cap = sizeof(one)};

	(void)state;
	pdev_init();
	assert_int_equal(vpci_plug(vm, &pdev, 3), 0);
	cfg_out(3, 0x10, 4, 0xe0000000);
	cfg_out(3, 0x04, 2, 2);
	vpci_dev_save(&pdev, &b);
	vpci_unplug(&pdev);
	pdev_init();
	assert_int_equal(vpci_plug(vm, &pdev, 3), 0);
	assert_int_equal(vpci_dev_decode(&pdev, &b, cfg), 0);
	vpci_dev_apply(&pdev, cfg);
	assert_int_equal(fake_mmio_read(vm, 0xe0000000, 4), 0x1122);
	vpci_dev_reset(&pdev);
	assert_int_equal(fake_mmio_read(vm, 0xe0000000, 4), 0);
	memcpy(two, one, sizeof(one));
	two[0]++; /* another vendor */
	b = (struct state_buf){.data = two, .cap = b.len, .len = b.len};
	assert_int_equal(vpci_dev_decode(&pdev, &b, cfg), -RAY_EINVAL);
	vpci_unplug(&pdev);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_create_fails_at_every_allocation),
		T(test_every_device_saves_and_loads),
		T(test_small_ports),
		T(test_resets),
		T(test_testdev),
		T(test_testdev_is_opt_in),
		T(test_power_button),
		T(test_power_off),
		T(test_pm_timer),
		T(test_pci_bridge_and_empty_bus),
		T(test_pci_device),
		T(test_pci_intx),
		T(test_pci_save_restore),
	};

	virt_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
