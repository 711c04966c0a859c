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
/* Devices that come and go, as a guest's ACPI sees it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "devices/virt/attach.h"
#include "devices/virt/hotplug.h"
#include "devices/virt/platform.h"
#include "hv/platform.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_virt.h"
#include "tests/host/fake_virtio.h"

#define GPE_STS 0x60c
#define GPE_EN  0x60e
#define CHANGED 0x610
#define WANTED  0x614
#define EJECT   0x618
#define HOTPLUG 2u /* general-purpose event 1 */

static struct vm *vm;
static char why[192];

static int setup(void **state)
{
	(void)state;
	vm = fake_vm_create(1);
	fake_markers[0] = '\0';
	assert_int_equal(hv_platform()->open(vm, why, sizeof(why)), 0);
	assert_int_equal(hv_platform()->create(vm), 0);
	vm->state = VM_RUNNING;
	return 0;
}

static void devices_end(void)
{
	while (!list_empty(&vm->vdevs)) {
		struct vdev *d = list_last_entry(&vm->vdevs, struct vdev, node);

		if (strcmp(d->ops->name, "ioapic") == 0 || strcmp(d->ops->name, "i8259") == 0)
			break;
		list_del(&d->node);
		d->ops->destroy(d);
	}
	hv_platform()->destroy(vm);
}

static int teardown(void **state)
{
	(void)state;
	devices_end();
	hv_platform()->close(vm);
	fake_vm_destroy(vm);
	return 0;
}

static struct vattach *attach(void)
{
	struct vattach *a = NULL;

	assert_int_equal(vattach_add(vm, "echo", "", &a, why, sizeof(why)), 0);
	return a;
}

static unsigned int attached(void)
{
	struct vattach *a;
	unsigned int n = 0;

	list_for_each_entry(a, &vm->attached, node)
		n++;
	return n;
}

static void test_the_guest_is_told_of_a_card(void **state)
{
	(void)state;
	assert_int_equal(fake_in(vm, GPE_STS, 2), 0);
	assert_int_equal(attach()->slot, 1);
	assert_int_equal(attach()->slot, 2);
	assert_int_equal(fake_in(vm, GPE_STS, 2), HOTPLUG);
	assert_int_equal(fake_in(vm, CHANGED, 4), BIT(1) | BIT(2));
	fake_out(vm, CHANGED, 4, BIT(1));
	assert_int_equal(fake_in(vm, CHANGED, 4), BIT(2));
	fake_out(vm, GPE_STS, 1, HOTPLUG);
	assert_int_equal(fake_in(vm, GPE_STS, 2), 0);
	/* Another comes while the first is looked after. */
	attach();
	assert_int_equal(fake_in(vm, GPE_STS, 2), HOTPLUG);
	assert_int_equal(fake_in(vm, CHANGED, 4), BIT(2) | BIT(3));
}

static void test_events_have_an_enable_register(void **state)
{
	(void)state;
	fake_out(vm, GPE_EN, 2, 0xffff);
	assert_int_equal(fake_in(vm, GPE_EN, 2), HOTPLUG);
	assert_int_equal(fake_in(vm, GPE_EN, 1), HOTPLUG);
	assert_int_equal(fake_in(vm, GPE_EN + 1, 1), 0);
	attach();
	assert_int_equal(fake_in(vm, GPE_STS, 4), HOTPLUG << 16 | HOTPLUG);
	fake_out(vm, GPE_STS, 4, HOTPLUG); /* both halves at once: acknowledged and off */
	assert_int_equal(fake_in(vm, GPE_STS, 4), 0);
}

static void test_who_does_not_listen_is_not_asked(void **state)
{
	struct vattach *a = attach();

	(void)state;
	assert_int_equal(vattach_ask(a, why, sizeof(why)), -RAY_ENOSYS);
	assert_non_null(strstr(why, "ACPI"));
	fake_out(vm, GPE_EN, 2, HOTPLUG);
	vm->state = VM_PAUSED;
	assert_int_equal(vattach_ask(a, why, sizeof(why)), -RAY_EINVAL);
	assert_non_null(strstr(why, "paused"));
	assert_false(a->leaving);
	assert_int_equal(fake_in(vm, WANTED, 4), 0);
}

static void test_the_guest_lets_go(void **state)
{
	struct vattach *a;

	(void)state;
	fake_out(vm, GPE_EN, 1, HOTPLUG);
	attach();
	a = attach();
	assert_int_equal(vattach_ask(a, why, sizeof(why)), 0);
	assert_true(a->leaving);
	assert_int_equal(fake_in(vm, WANTED, 4), BIT(2));
	fake_out(vm, WANTED, 4, BIT(2));
	assert_int_equal(fake_in(vm, WANTED, 4), 0);
	vhotplug_eject(vm);
	assert_int_equal(attached(), 2);
	fake_out(vm, EJECT, 4, BIT(2));
	assert_int_equal(fake_in(vm, EJECT, 4), 0);
	assert_int_equal(attached(), 2); /* not by the vCPU */
	vhotplug_eject(vm);
	assert_int_equal(attached(), 1);
	assert_null(vattach_find(vm, "echo1"));
	assert_non_null(strstr(fake_markers, "DETACHED vm=fake device=echo1\n"));
	vhotplug_eject(vm);
	assert_int_equal(attached(), 1);
}

static void test_what_a_guest_may_eject(void **state)
{
	(void)state;
	attach();
	fake_out(vm, EJECT, 4, ~(uint32_t)BIT(1)); /* the bridge and empty slots */
	vhotplug_eject(vm);
	assert_int_equal(attached(), 1);
	fake_out(vm, EJECT, 1, BIT(1));
	fake_out(vm, EJECT, 2, BIT(1));
	vhotplug_eject(vm);
	assert_int_equal(attached(), 1);
	assert_int_equal(fake_in(vm, CHANGED, 2), 0);
	assert_int_equal(fake_in(vm, CHANGED + 1, 1), 0);
	fake_out(vm, EJECT, 4, BIT(1)); /* nobody asked it to: it may */
	vhotplug_eject(vm);
	assert_int_equal(attached(), 0);
}

static void test_a_pulled_card_shows_on_the_bus(void **state)
{
	struct vattach *a = attach();

	(void)state;
	fake_out(vm, CHANGED, 4, UINT32_MAX);
	vattach_pull(a);
	assert_int_equal(attached(), 0);
	assert_int_equal(fake_in(vm, CHANGED, 4), BIT(0));
	assert_int_equal(fake_in(vm, GPE_STS, 2), HOTPLUG);
}

static void test_a_reset_keeps_what_is_attached_and_takes_what_leaves(void **state)
{
	uint64_t kept;

	(void)state;
	fake_out(vm, GPE_EN, 1, HOTPLUG);
	kept = attach()->serial;
	assert_int_equal(vattach_ask(attach(), why, sizeof(why)), 0);
	devices_end();
	vm->platform = NULL;
	assert_int_equal(hv_platform()->open(vm, why, sizeof(why)), 0);
	assert_int_equal(hv_platform()->create(vm), 0);
	assert_int_equal(attached(), 1);
	assert_int_equal(vattach_find(vm, "echo0")->serial, kept);
	assert_int_equal(vattach_find(vm, "echo0")->slot, 1);
	assert_int_equal(fake_in(vm, GPE_EN, 1), 0);
	/* Nor does one that is gone come back from the definition. */
	vattach_pull(vattach_find(vm, "echo0"));
	vm->def.dev_count = 1;
	strcpy(vm->def.dev[0].kind, "echo");
	devices_end();
	assert_int_equal(hv_platform()->open(vm, why, sizeof(why)), 0);
	assert_int_equal(hv_platform()->create(vm), 0);
	assert_int_equal(attached(), 0);
}

static void test_requests_outlive_a_rebuild(void **state)
{
	uint8_t record[64];
	size_t len;

	(void)state;
	fake_out(vm, GPE_EN, 1, HOTPLUG);
	assert_int_equal(vattach_ask(attach(), why, sizeof(why)), 0);
	fake_out(vm, EJECT, 4, BIT(1));
	len = fake_save(fake_vdev(vm, "pci-hotplug"), record, sizeof(record));
	devices_end();
	assert_int_equal(hv_platform()->create(vm), 0);
	assert_int_equal(attached(), 1);
	assert_int_equal(fake_load(fake_vdev(vm, "pci-hotplug"), record, len), 0);
	assert_int_equal(fake_in(vm, WANTED, 4), BIT(1));
	vhotplug_eject(vm);
	assert_int_equal(attached(), 0);
}

static void test_attaching_fails_at_every_allocation(void **state)
{
	struct vattach *a;
	int live = fake_allocs_live, n;

	(void)state;
	for (n = 0;; n++) {
		fake_allocs_left = n;
		if (vattach_add(vm, "echo", "", &a, why, sizeof(why)) == 0)
			break;
		fake_allocs_left = -1;
		assert_int_equal(fake_allocs_live, live);
		assert_int_equal(attached(), 0);
		assert_int_equal(fake_in(vm, CHANGED, 4), 0);
	}
	fake_allocs_left = -1;
	assert_true(n > 3);
	vattach_remove(a);
	assert_int_equal(fake_allocs_live, live);
}

/* Who looks late must not take a new card for the one that was pulled. */
static void test_a_slot_rests(void **state)
{
	(void)state;
	for (unsigned int slot = 1; slot < 32; slot++) {
		struct vattach *a = attach();

		assert_int_equal(a->slot, slot);
		vattach_pull(a);
	}
	assert_int_equal(attach()->slot, 1);
}

static void test_a_full_bus(void **state)
{
	struct vattach *a;
	unsigned int n = 0;
	int err;

	(void)state;
	while ((err = vattach_add(vm, "echo", "", &a, why, sizeof(why))) == 0)
		n++;
	assert_int_equal(err, -RAY_ENOSPC);
	assert_int_equal(n, 31);
	assert_int_equal(attached(), 31);
	vattach_pull(vattach_find(vm, "echo7"));
	assert_int_equal(attach()->slot, 8); /* the hole, and the name */
	assert_non_null(vattach_find(vm, "echo7"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_the_guest_is_told_of_a_card),
		T(test_events_have_an_enable_register),
		T(test_who_does_not_listen_is_not_asked),
		T(test_the_guest_lets_go),
		T(test_what_a_guest_may_eject),
		T(test_a_pulled_card_shows_on_the_bus),
		T(test_a_reset_keeps_what_is_attached_and_takes_what_leaves),
		T(test_requests_outlive_a_rebuild),
		T(test_attaching_fails_at_every_allocation),
		T(test_a_slot_rests),
		T(test_a_full_bus),
	};

	assert_int_equal(virt_init(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
