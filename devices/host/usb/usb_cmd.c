/* SPDX-License-Identifier: Apache-2.0 */
/* The `usb` command: what hangs on the buses. */
#include "devices/host/usb/usb.h"
#include "kernel/cmd.h"
#include "kernel/lib/table.h"

static const char *speed_text(enum usb_speed s)
{
	static const char *const names[] = {"-", "full", "low", "high", "super", "super+"};

	return (unsigned int)s < ARRAY_SIZE(names) ? names[s] : "-";
}

/* The first that somebody has. */
static const char *driver_of(const struct usb_dev *d)
{
	for (unsigned int i = 0; i < d->config.iface_count; i++) {
		if (d->bound[i].driver)
			return d->bound[i].driver->base.id;
	}
	return "-";
}

static void row(const struct usb_dev *d, void *ctx)
{
	struct table *t = ctx;

	table_str(t, d->dev.name);
	table_fmt(t, "%04x:%04x", d->ident.vendor, d->ident.product);
	table_str(t, speed_text(d->speed));
	table_str(t, driver_of(d));
	table_str(t, d->maker[0] ? d->maker : "-");
	table_str(t, d->name[0] ? d->name : "-");
	table_str(t, d->serial[0] ? d->serial : "-");
}

static int usb_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {{"place", 0},  {"id", 0},   {"speed", 0},
						{"driver", 0}, {"maker", 0}, {"name", 0},
						{"serial", 0}};
	struct table t;

	(void)argc;
	(void)argv;
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t))
		usb_for_each(row, &t);
	return 0;
}

SHELL_CMD(usb, "usb", "list USB devices", .flags = CMD_JSON, .run = usb_run,
	  .help = "A device's place is its bus and the ports on the way to it: 1-2.4 hangs on\n"
		  "port 4 of a hub that hangs on port 2 of bus 1.\n",
	  .example = "usb");
