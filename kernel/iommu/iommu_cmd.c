/* SPDX-License-Identifier: Apache-2.0 */
/* The `iommu` command: which devices are confined, and what was refused. */
#include "kernel/cmd.h"
#include "kernel/iommu/iommu.h"
#include "kernel/lib/table.h"

static void unit_row(struct table *t, const struct iommu_unit *u)
{
	uint64_t faults = __atomic_load_n(&u->faults, __ATOMIC_RELAXED);
	const struct iommu_fault *f = &u->last;

	table_u64(t, u->number);
	table_str(t, u->ops->name);
	table_u64(t, u->domains - 1);
	table_u64(t, faults);
	if (faults)
		table_fmt(t, PCI_BDF_FMT " %s 0x%lx", PCI_BDF_ARGS(f->requester),
			  f->write ? "write" : "read", f->addr);
	else
		table_str(t, "-");
}

static int units_print(struct cmd_ctx *ctx)
{
	static const struct table_col cols[] = {
		{"unit", TABLE_RIGHT}, {"kind", 0}, {"devices", TABLE_RIGHT},
		{"refused", TABLE_RIGHT}, {"last", 0}};
	const struct iommu_unit *u;
	struct table t;

	if (list_empty(&iommu_units) && !cmd_json(ctx)) {
		cmd_printf(ctx, "no IOMMU is in use: a device can reach all memory\n");
		return 0;
	}
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		list_for_each_entry (u, &iommu_units, node)
			unit_row(&t, u);
	}
	return 0;
}

static int devices_print(struct cmd_ctx *ctx)
{
	static const struct table_col cols[] = {
		{"device", 0}, {"driver", 0}, {"unit", TABLE_RIGHT}, {"maps", TABLE_RIGHT},
		{"flushes", TABLE_RIGHT}};
	const struct pci_dev *d;
	struct table t;

	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	pci_list_lock();
	while (table_pass(&t)) {
		pci_for_each (d) {
			const struct iommu_domain *dom = d->dma;

			if (!dom)
				continue;
			table_fmt(&t, PCI_BDF_FMT, PCI_BDF_ARGS(d->bdf));
			table_str(&t, d->driver ? d->driver->base.id : "-");
			table_u64(&t, dom->unit->number);
			table_u64(&t, dom->maps);
			table_u64(&t, dom->flushes);
		}
	}
	pci_list_unlock();
	return 0;
}

static int iommu_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return cmd_option(ctx, "--devices") ? devices_print(ctx) : units_print(ctx);
}

SHELL_CMD(iommu, "iommu", "show IOMMUs and what they refused", .options = "--devices",
	  .flags = CMD_JSON, .run = iommu_run,
	  .help = "With --devices: the devices that are confined, and how often memory was mapped\n"
		  "for each and forgotten again.\n",
	  .example = "iommu --devices");
