/* SPDX-License-Identifier: Apache-2.0 */
/* The shell's view of the switch. */
#include <string.h>

#include "kernel/cmd.h"
#include "kernel/lib/table.h"
#include "net/switch.h"

static struct net_switch *switch_of(struct cmd_ctx *ctx)
{
	const char *name = cmd_option(ctx, "--switch");

	return net_switch_find(name ? name : NET_SWITCH_DEFAULT);
}

static uint64_t dropped(const struct net_counts *n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < NET_DROP_COUNT; i++)
		sum += n->drop[i];
	return sum;
}

/* Before the drops, each by its name. */
static const struct table_col port_cols[] = {
	{"port", 0},
	{"mac", 0},
	{"link", 0},
	{"tx_frames", TABLE_RIGHT},
	{"tx_bytes", TABLE_RIGHT},
	{"rx_frames", TABLE_RIGHT},
	{"rx_bytes", TABLE_RIGHT},
	{"drops", TABLE_RIGHT},
};

static void port_row(struct table *t, const struct net_port_info *p)
{
	char mac[NET_MAC_TEXT];

	net_mac_format(mac, p->mac);
	table_str(t, p->name);
	table_str(t, mac);
	table_str(t, p->link ? "up" : "down");
	table_u64(t, p->counts.tx_frames);
	table_u64(t, p->counts.tx_bytes);
	table_u64(t, p->counts.rx_frames);
	table_u64(t, p->counts.rx_bytes);
	table_u64(t, dropped(&p->counts));
	for (size_t i = 0; i < NET_DROP_COUNT; i++)
		table_u64(t, p->counts.drop[i]);
}

static int net_ports_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct table_col cols[ARRAY_SIZE(port_cols) + NET_DROP_COUNT];
	struct net_switch *sw = switch_of(ctx);
	struct net_port_info p;
	struct table t;

	(void)argc;
	(void)argv;
	if (!sw)
		return cmd_fail(ctx, -RAY_ENOENT, "no such switch");
	memcpy(cols, port_cols, sizeof(port_cols));
	for (size_t i = 0; i < NET_DROP_COUNT; i++)
		cols[ARRAY_SIZE(port_cols) + i] =
			(struct table_col){net_drop_names[i], TABLE_RIGHT};
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t))
		for (unsigned int i = 0; i < NET_SWITCH_PORTS_MAX; i++)
			if (!net_port_info(sw, i, &p))
				port_row(&t, &p);
	return 0;
}

static int net_macs_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {
		{"mac", 0},
		{"port", 0},
		{"learned", 0},
		{"age_sec", TABLE_RIGHT},
	};
	struct net_switch *sw = switch_of(ctx);
	struct net_mac_info m;
	struct table t;
	char mac[NET_MAC_TEXT];
	int err;

	(void)argc;
	(void)argv;
	if (!sw)
		return cmd_fail(ctx, -RAY_ENOENT, "no such switch");
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		for (unsigned int i = 0; (err = net_mac_info(sw, i, &m)) != -RAY_ERANGE; i++) {
			if (err)
				continue;
			net_mac_format(mac, m.mac);
			table_str(&t, mac);
			table_str(&t, m.port);
			table_bool(&t, m.learned);
			table_u64(&t, m.age_sec);
		}
	}
	return 0;
}

static int net_link_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	struct net_switch *sw = switch_of(ctx);
	bool up = strcmp(argv[1], "up") == 0;

	(void)argc;
	if (!sw)
		return cmd_fail(ctx, -RAY_ENOENT, "no such switch");
	if (!up && strcmp(argv[1], "down") != 0)
		return cmd_fail(ctx, -RAY_EINVAL, "a link is up or down");
	if (net_link_set(sw, argv[0], up))
		return cmd_fail(ctx, -RAY_ENOENT, "no port %s at switch %s", argv[0],
				net_switch_name(sw));
	return 0;
}

static void net_link_complete(struct cmd_complete *c, int arg)
{
	struct net_switch *sw = net_switch_find(NET_SWITCH_DEFAULT);
	struct net_port_info p;

	if (arg == 1) {
		cmd_complete_add(c, "up");
		cmd_complete_add(c, "down");
		return;
	}
	for (unsigned int i = 0; sw && i < NET_SWITCH_PORTS_MAX; i++)
		if (!net_port_info(sw, i, &p))
			cmd_complete_add(c, p.name);
}

SHELL_CMD(net_ports, "net ports", "list the ports of the virtual switch",
	  .options = "--switch=", .flags = CMD_JSON,
	  .help = "Frames and bytes as the device behind the port sees them, and drops by reason.",
	  .example = "net ports", .run = net_ports_run);
SHELL_CMD(net_macs, "net macs", "list the addresses the virtual switch knows",
	  .options = "--switch=", .flags = CMD_JSON, .example = "net macs --json",
	  .run = net_macs_run);
SHELL_CMD(net_link, "net link", "set the link of a port up or down", .args = "PORT up|down",
	  .min_args = 2, .max_args = 2, .options = "--switch=",
	  .example = "net link demo/net0 down",
	  .help = "The guest sees it; frames from and to a port that is down are dropped.",
	  .complete = net_link_complete, .run = net_link_run);
