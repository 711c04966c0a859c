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
/* PARSER: devices/virt/uart.c devices/virt/pit.c devices/virt/pit_channel.c devices/virt/rtc.c
 * devices/virt/pm.c devices/virt/pci.c devices/virt/pci_dev.c hv/irqchip/vioapic.c
 * hv/irqchip/vpic.c hv/irqchip/vlapic_state.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * Hostile state records: the first byte chooses the device, the rest is its record. Either it
 * is refused and nothing changed, or the device takes it and works on, and saves the same
 * record again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virt/platform.h"
#include "devices/virt/uart.h"
#include "hv/platform.h"
#include "tests/host/fake_virt.h"

static struct vm *vm;
static uint8_t before[16384], after[16384];

static size_t lapic_save(uint8_t *out, size_t cap)
{
	struct state_buf b = {.data = out, .cap = cap};

	vlapic_save(vm->vcpu[0], &b);
	if (b.bad)
		abort();
	return b.len;
}

static void try_lapic(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	struct state_buf b = {.data = copy, .cap = size, .len = size};
	size_t len;

	memcpy(copy, data, size);
	vlapic_quiesce(vm->vcpu[0]);
	len = lapic_save(before, sizeof(before));
	if (vlapic_load(vm->vcpu[0], &b, VLAPIC_STATE_VERSION) != 0 &&
	    (lapic_save(after, sizeof(after)) != len || memcmp(before, after, len) != 0))
		abort();
	vlapic_resume(vm->vcpu[0]);
	free(copy);
}

static void try_device(struct vdev *d, const uint8_t *data, size_t size)
{
	size_t len, now;
	int err;

	d->ops->quiesce(d);
	len = fake_save(d, before, sizeof(before));
	err = fake_load(d, data, size);
	now = fake_save(d, after, sizeof(after));
	if (err && (now != len || memcmp(before, after, len) != 0))
		abort();
	if (!err) {
		if (fake_load(d, after, now) != 0 || fake_save(d, before, sizeof(before)) != now ||
		    memcmp(before, after, now) != 0)
			abort();
	}
	d->ops->resume(d);
}

/* Every register once: read, ones, read, zeros. */
static void ports_touch(void)
{
	static const struct {
		uint16_t first, last, step;
	} ports[] = {
		{ 0x20, 0x21, 1 },   { 0xa0, 0xa1, 1 },	  { 0x4d0, 0x4d1, 1 }, { 0x40, 0x43, 1 },
		{ 0x61, 0x61, 1 },   { 0x3f8, 0x3ff, 1 }, { 0x600, 0x604, 2 }, { 0x608, 0x608, 1 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++) {
		for (unsigned int port = ports[i].first; port <= ports[i].last; port += ports[i].step) {
			fake_in(vm, (uint16_t)port, ports[i].step);
			fake_out(vm, (uint16_t)port, ports[i].step, 0xff);
			fake_in(vm, (uint16_t)port, ports[i].step);
			fake_out(vm, (uint16_t)port, ports[i].step, 0);
		}
	}
}

static void indexed_touch(void)
{
	for (uint32_t i = 0; i < 0x80; i++) {
		fake_out(vm, 0x70, 1, i);
		fake_out(vm, 0x71, 1, fake_in(vm, 0x71, 1) ^ 1);
	}
	for (uint32_t reg = 0; reg < 0x40; reg += 4) {
		fake_out(vm, 0xcf8, 4, BIT(31) | reg);
		fake_out(vm, 0xcfc, 4, (uint32_t)~fake_in(vm, 0xcfc, 4));
	}
	for (uint32_t reg = 0; reg < 0x40; reg++) {
		fake_mmio_write(vm, 0xfec00000, 4, reg);
		fake_mmio_write(vm, 0xfec00010, 4, fake_mmio_read(vm, 0xfec00010, 4) ^ BIT(16));
	}
}

static void interrupts_take(void)
{
	for (unsigned int gsi = 0; gsi < 24; gsi++)
		virq_line_set(vm, gsi, 0, true);
	for (unsigned int n = 0; n < 40 && vlapic_pending(vm->vcpu[0]) >= 0; n++) {
		uint32_t zero = 0;

		fake_mmio_write(vm, 0xfec00040, 4, (uint32_t)vlapic_pending(vm->vcpu[0]));
		vlapic_ack(vm->vcpu[0]);
		vlapic_mmio(vm->vcpu[0], 0xb0, true, &zero, false);
	}
	for (unsigned int gsi = 0; gsi < 24; gsi++)
		virq_line_set(vm, gsi, 0, false);
}

/* What was loaded is now a device's state: it must stand any use. */
static void work_on(void)
{
	struct vterm *term = vuart_get(vm);
	uint64_t pos = 0;
	char text[32] = { 0 };

	fake_time_advance(10000000);
	interrupts_take();
	term->ops->type(term, text, sizeof(text));
	vterm_read(term, &pos, text, sizeof(text));
	vterm_put(term);
	ports_touch();
	indexed_touch();
	fake_time_advance(2000000000);
	interrupts_take();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vdev *d, *tmp;
	unsigned int n;

	if (!hv_platform())
		virt_init();
	if (size == 0)
		return 0;
	vm = fake_vm_create(1);
	vm->def.testdev = true;
	if (hv_platform()->create(vm) != 0)
		abort();
	n = data[0] % 10;
	if (n == 9)
		try_lapic(data + 1, size - 1);
	list_for_each_entry(d, &vm->vdevs, node) {
		if (n-- == 0)
			try_device(d, data + 1, size - 1);
	}
	work_on();
	list_for_each_entry_safe(d, tmp, &vm->vdevs, node) {
		if (strcmp(d->ops->name, "ioapic") != 0 && strcmp(d->ops->name, "i8259") != 0)
			d->ops->destroy(d);
	}
	hv_platform()->destroy(vm);
	fake_vm_destroy(vm);
	return 0;
}
