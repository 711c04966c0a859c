// SPDX-License-Identifier: Apache-2.0
/* The `pci` command: what is there, and one device in detail. */
#include "kernel/cmd.h"
#include "kernel/lib/table.h"
#include "kernel/pci/pci_priv.h"

#define BDF_TEXT_MAX 8u

static const char *irq_text(const struct pci_dev *d)
{
	static const char *const names[] = {"-", "pin", "msi", "msi-x"};

	return names[d->irq_mode];
}

static void list_print(struct cmd_ctx *ctx)
{
	static const struct table_col cols[] = {{"address", 0}, {"id", 0},     {"class", 0}, {"driver", 0},
						{"irq", 0},     {"vendor", 0}, {"kind", 0}};
	const struct pci_dev *d;
	struct table t;

	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	pci_list_lock();
	while (table_pass(&t)) {
		pci_for_each (d) {
			table_fmt(&t, PCI_BDF_FMT, PCI_BDF_ARGS(d->bdf));
			table_fmt(&t, "%04x:%04x", d->vendor, d->device);
			table_fmt(&t, "%06x", d->class_code);
			table_str(&t, d->driver ? d->driver->base.id : "-");
			table_str(&t, irq_text(d));
			table_str(&t, pci_vendor_name(d->vendor));
			table_str(&t, pci_class_name(d->class_code));
		}
	}
	pci_list_unlock();
}

static void bar_print(struct cmd_ctx *ctx, const char *name, const struct pci_bar *b)
{
	if (b->size == 0)
		return;
	cmd_printf(ctx, "  %-5s %s 0x%llx size 0x%llx%s%s%s\n", name,
		   b->flags & PCI_BAR_F_IO ? "ports" : "memory", (unsigned long long)b->base,
		   (unsigned long long)b->size, b->flags & PCI_BAR_F_64 ? " 64-bit" : "",
		   b->flags & PCI_BAR_F_PREFETCH ? " prefetchable" : "",
		   b->base == 0 ? " (not assigned)" : "");
}

static void hex_print(struct cmd_ctx *ctx, const struct pci_dev *d)
{
	for (unsigned int off = 0; off < PCI_CFG_SIZE_PCI; off += 16) {
		cmd_printf(ctx, "%02x:", off);
		for (unsigned int i = 0; i < 16; i++)
			cmd_printf(ctx, " %02x", pci_read8(d, off + i));
		cmd_printf(ctx, "\n");
	}
}

static void pin_print(struct cmd_ctx *ctx, const struct pci_dev *d)
{
	struct pci_intx r;

	if (d->int_pin == 0)
		return;
	if (pci_intx_route(d, &r) == 0)
		cmd_printf(ctx, "  pin INT%c, routed to GSI %u\n", 'A' + d->int_pin - 1, r.gsi);
	else
		cmd_printf(ctx, "  pin INT%c, route unknown\n", 'A' + d->int_pin - 1);
}

static void detail_print(struct cmd_ctx *ctx, const struct pci_dev *d)
{
	static const char *const bars[PCI_BARS_MAX] = {"bar0", "bar1", "bar2",
						       "bar3", "bar4", "bar5"};
	uint16_t cmd = pci_read16(d, PCI_COMMAND);

	cmd_printf(ctx, PCI_BDF_FMT " %s: %s [%04x:%04x] revision %02x\n", PCI_BDF_ARGS(d->bdf),
		   pci_vendor_name(d->vendor),
		   pci_class_name(d->class_code), d->vendor, d->device, d->revision);
	cmd_printf(ctx, "  subsystem %04x:%04x, driver %s, interrupts %s\n", d->sub_vendor,
		   d->sub_device, d->driver ? d->driver->base.id : "none", irq_text(d));
	cmd_printf(ctx, "  command %04x: ports %s, memory %s, bus mastering %s\n", cmd,
		   cmd & PCI_COMMAND_IO ? "on" : "off", cmd & PCI_COMMAND_MEM ? "on" : "off",
		   cmd & PCI_COMMAND_MASTER ? "on" : "off");
	if (d->header == PCI_HEADER_BRIDGE)
		cmd_printf(ctx, "  bridge to buses %02x..%02x\n", d->secondary, d->subordinate);
	pin_print(ctx, d);
	for (unsigned int i = 0; i < PCI_BARS_MAX; i++)
		bar_print(ctx, bars[i], &d->bar[i]);
	bar_print(ctx, "rom", &d->rom);
	for (unsigned int i = 0; i < d->cap_count; i++)
		cmd_printf(ctx, "  capability %03x: %s%s [%02x]\n", d->caps[i].off,
			   d->caps[i].ext ? "extended " : "", pci_cap_name(&d->caps[i]),
			   d->caps[i].id);
	hex_print(ctx, d);
}

static void detail_json(struct cmd_ctx *ctx, const struct pci_dev *d)
{
	char text[BDF_TEXT_MAX];
	struct buf_sink b;
	struct json j;

	buf_sink_init(&b, text, sizeof(text));
	sink_printf(&b.sink, PCI_BDF_FMT, PCI_BDF_ARGS(d->bdf));
	json_init(&j, cmd_sink(ctx));
	json_object(&j, NULL);
	json_str(&j, "address", text);
	json_hex(&j, "vendor", d->vendor);
	json_hex(&j, "device", d->device);
	json_hex(&j, "class", d->class_code);
	json_str(&j, "driver", d->driver ? d->driver->base.id : NULL);
	json_bool(&j, "bus_master", (pci_read16(d, PCI_COMMAND) & PCI_COMMAND_MASTER) != 0);
	json_array(&j, "bars");
	for (unsigned int i = 0; i < PCI_BARS_MAX; i++) {
		if (d->bar[i].size == 0)
			continue;
		json_object(&j, NULL);
		json_u64(&j, "index", i);
		json_bool(&j, "ports", (d->bar[i].flags & PCI_BAR_F_IO) != 0);
		json_hex(&j, "base", d->bar[i].base);
		json_u64(&j, "size", d->bar[i].size);
		json_end(&j);
	}
	json_end(&j);
	json_array(&j, "capabilities");
	for (unsigned int i = 0; i < d->cap_count; i++) {
		json_object(&j, NULL);
		json_str(&j, "name", pci_cap_name(&d->caps[i]));
		json_u64(&j, "id", d->caps[i].id);
		json_bool(&j, "extended", d->caps[i].ext);
		json_hex(&j, "offset", d->caps[i].off);
		json_end(&j);
	}
	json_finish(&j);
}

static int pci_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	const struct pci_dev *d;
	pci_bdf_t bdf;
	int err = 0;

	if (argc == 0) {
		list_print(ctx);
		return 0;
	}
	if (pci_bdf_parse(argv[0], &bdf))
		return cmd_fail(ctx, -RAY_EINVAL, "'%s' is no address like 00:1f.2", argv[0]);
	pci_list_lock();
	d = pci_find(bdf);
	if (!d)
		err = cmd_fail(ctx, -RAY_ENOENT, "no device at %s; `pci` lists them", argv[0]);
	else if (cmd_json(ctx))
		detail_json(ctx, d);
	else
		detail_print(ctx, d);
	pci_list_unlock();
	return err;
}

static void pci_complete(struct cmd_complete *c, int arg)
{
	const struct pci_dev *d;

	if (arg != 0)
		return;
	pci_list_lock();
	pci_for_each (d) {
		char text[BDF_TEXT_MAX];
		struct buf_sink b;

		buf_sink_init(&b, text, sizeof(text));
		sink_printf(&b.sink, PCI_BDF_FMT, PCI_BDF_ARGS(d->bdf));
		cmd_complete_add(c, text);
	}
	pci_list_unlock();
}

SHELL_CMD(pci, "pci", "list PCI devices, or show one", .args = "[ADDRESS]", .max_args = 1,
	  .flags = CMD_JSON, .example = "pci 00:1f.2", .run = pci_run, .complete = pci_complete);
