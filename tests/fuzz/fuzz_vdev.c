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
 * devices/virt/rtc_date.c devices/virt/pm.c devices/virt/pci.c devices/virt/pci_dev.c
 * devices/virt/ports.c devices/virt/testdev.c hv/irqchip/vioapic.c hv/irqchip/vpic.c
 * hv/irqchip/vlapic.c hv/irqchip/vlapic_reg.c hv/irqchip/vlapic_ipi.c hv/irqchip/virq.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * A guest that does anything at all to every device: the input is a list of operations. Must
 * hold: no crash, no leak, and at the end every record a device saves it also loads.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virt/pci.h"
#include "devices/virt/platform.h"
#include "devices/virt/uart.h"
#include "devices/virt/virt.h"
#include "hv/platform.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_virt.h"
#include "tests/host/fuzz_input.h"

#define OPS_MAX 400

#define MMIO_BAR_SIZE 0x4000u
#define IO_BAR_SIZE   0x20u

static struct vm *vm;
static struct vpci_dev card; /* in slot 1: a memory BAR 0 of 64 bits, an I/O BAR 2 */

static const uint16_t ports[] = {
	0x20,  0x21,  0xa0,  0xa1,  0x4d0, 0x4d1, 0x40,	 0x41,	0x42,  0x43,  0x60,
	0x61,  0x64,  0x70,  0x71,  0x80,  0x92,  0xf4,	 0x3f8, 0x3f9, 0x3fa, 0x3fb,
	0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x520, 0x530, 0x600, 0x601, 0x602, 0x604, 0x605,
	0x608, 0x60a, 0xcf8, 0xcf9, 0xcfb, 0xcfc, 0xcfd, 0xcfe, 0xcff,
};

static void port_op(struct input *in, bool write)
{
	uint16_t port = ports[byte(in) % (sizeof(ports) / sizeof(ports[0]))];
	unsigned int size = 1u << byte(in) % 3;

	if (write)
		fake_out(vm, port, size, word(in));
	else
		fake_in(vm, port, size);
}

static void lapic_op(struct input *in)
{
	struct vcpu *v = vm->vcpu[byte(in) % vm->vcpu_count];
	uint8_t kind = byte(in);
	uint32_t reg = byte(in);
	uint64_t value = word(in);

	switch (kind % 6) {
	case 0: {
		uint32_t x = (uint32_t)value;

		if (!vlapic_mmio(v, reg << 4 & 0xfff, kind & 0x80, &x, true))
			vlapic_mmio(v, reg << 4 & 0xfff, kind & 0x80, &x, false);
		break;
	}
	case 1:
		value |= (uint64_t)word(in) << 32;
		if (vlapic_msr_write(v, 0x800 + reg, value, true) == -RAY_EAGAIN)
			vlapic_msr_write(v, 0x800 + reg, value, false);
		break;
	case 2:
		vlapic_msr_read(v, 0x800 + reg, &value, true);
		break;
	case 3:
		vlapic_msr_write(v, kind & 0x80 ? 0x1b : 0x6e0,
				 kind & 0x80 ? 0xfee00000 | (value & 0xfff) : value << 4, true);
		break;
	case 4:
		vlapic_pv_eoi_set(v, value);
		break;
	default:
		vlapic_cr8_set(v, value);
		break;
	}
}

static void run_op(struct input *in)
{
	struct vcpu *v = vm->vcpu[byte(in) % vm->vcpu_count];

	if (vlapic_pending(v) >= 0)
		vlapic_ack(v);
	if (vlapic_pending(v) >= 0 && !vlapic_maybe_pending(v))
		abort(); /* a yes is always hinted at */
}

static void mmio_op(struct input *in, bool write)
{
	static const uint64_t bases[] = {0xfec00000, 0xfec00010, 0xfec00040, 0xd0001000,
					 0xfec00ff0, 0xe0000000};
	uint64_t at = bases[byte(in) % 6];
	unsigned int size = 1u << byte(in) % 4;

	if (write)
		fake_mmio_write(vm, at, size, word(in));
	else
		fake_mmio_read(vm, at, size);
}

static void time_op(struct input *in)
{
	uint64_t ns = (uint64_t)byte(in) << byte(in) % 24;

	fake_time_advance(ns);
}

/* Registers behind an index port, in one step each. */
static void cmos_op(struct input *in, bool write)
{
	fake_out(vm, 0x70, 1, byte(in));
	if (write)
		fake_out(vm, 0x71, 1, byte(in));
	else
		fake_in(vm, 0x71, 1);
}

static void config_op(struct input *in, bool write)
{
	uint32_t off = byte(in), slot = byte(in) % 3;

	fake_out(vm, 0xcf8, 4, BIT(31) | slot << 11 | (off & 0xfc));
	if (write)
		fake_out(vm, (uint16_t)(0xcfc + (off & 3)), off & 3 ? 1 : 4, word(in));
	else
		fake_in(vm, (uint16_t)(0xcfc + (off & 3)), off & 3 ? 1 : 4);
}

static void window_op(struct input *in)
{
	uint32_t off = byte(in);

	fake_mmio_write(vm, VIRT_PCI_MMIO + off, 4, off);
	fake_mmio_read(vm, VIRT_PCI_MMIO + off * 0x100, 4);
	fake_in(vm, (uint16_t)(VIRT_PCI_IO + off), 1);
	vpci_intx_set(&card, off & 1);
}

static bool card_bar(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)vcpu;
	(void)fast;
	if (a->offset + a->size > (r->flags ? MMIO_BAR_SIZE : IO_BAR_SIZE))
		abort();
	return true;
}

static void card_config(struct vpci_dev *d, unsigned int off, unsigned int len)
{
	if (off + len > sizeof(d->cfg))
		abort();
}

static void card_plug(void)
{
	vpci_dev_init(&card, 0x1af4, 0x1041, 0x0200, true);
	vpci_bar_set(&card, 0, &(struct vpci_bar){ .range = { .fn = card_bar, .flags = GBUS_F_FAST },
						   .size = MMIO_BAR_SIZE, .wide = true });
	vpci_bar_set(&card, 2, &(struct vpci_bar){ .range = { .fn = card_bar },
						   .size = IO_BAR_SIZE, .io = true });
	card.config = card_config;
	if (vpci_cap_add(&card, 0x09, 16) < 0 || vpci_plug(vm, &card, -1) != 0)
		abort();
}

static void one(struct input *in)
{
	switch (byte(in) % 12) {
	case 0:
		port_op(in, false);
		break;
	case 1:
	case 2:
		port_op(in, true);
		break;
	case 3:
		lapic_op(in);
		break;
	case 4:
		run_op(in);
		break;
	case 5:
		mmio_op(in, byte(in) & 1);
		break;
	case 6:
		time_op(in);
		break;
	case 7:
		virq_line_set(vm, byte(in), byte(in), byte(in) & 1);
		break;
	case 8:
		cmos_op(in, byte(in) & 1);
		break;
	case 9:
		config_op(in, byte(in) & 1);
		break;
	case 10:
		window_op(in);
		break;
	default: {
		struct vterm *term = vuart_get(vm);
		uint64_t pos = word(in);
		char buf[64] = {0};

		virq_msi_send(vm, 0xfee00000 | (word(in) & 0xfffff), word(in));
		term->ops->type(term, buf, byte(in) % sizeof(buf));
		vterm_read(term, &pos, buf, sizeof(buf));
		vterm_put(term);
		hv_platform()->power_button(vm);
		break;
	}
	}
}

static void save_and_load_all(void)
{
	static uint8_t bytes[16384], again[16384];
	struct vdev *d;

	list_for_each_entry(d, &vm->vdevs, node) {
		size_t len;

		d->ops->quiesce(d);
		len = fake_save(d, bytes, sizeof(bytes));
		if (fake_load(d, bytes, len) != 0 || fake_save(d, again, sizeof(again)) != len ||
		    memcmp(bytes, again, len) != 0)
			abort();
		d->ops->resume(d);
	}
	for (unsigned int i = 0; i < vm->vcpu_count; i++) {
		struct state_buf b = {.data = bytes, .cap = sizeof(bytes)};

		vlapic_quiesce(vm->vcpu[i]);
		vlapic_save(vm->vcpu[i], &b);
		if (b.bad || vlapic_load(vm->vcpu[i], &b, VLAPIC_STATE_VERSION) != 0)
			abort();
		vlapic_resume(vm->vcpu[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct vdev *d, *tmp;

	if (!hv_platform())
		virt_init();
	vm = fake_vm_create(2);
	vm->def.testdev = true;
	if (hv_platform()->create(vm) != 0)
		abort();
	card_plug();
	for (unsigned int n = 0; n < OPS_MAX && in.left; n++)
		one(&in);
	save_and_load_all();
	vpci_dev_reset(&card);
	vpci_unplug(&card);
	list_for_each_entry_safe(d, tmp, &vm->vdevs, node) {
		d->ops->reset(d);
		if (strcmp(d->ops->name, "ioapic") != 0 && strcmp(d->ops->name, "i8259") != 0)
			d->ops->destroy(d);
	}
	hv_platform()->destroy(vm);
	fake_vm_destroy(vm);
	return 0;
}
