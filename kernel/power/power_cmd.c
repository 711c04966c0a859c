// SPDX-License-Identifier: Apache-2.0
/* The `poweroff` and `reboot` commands. */
#include "kernel/cmd.h"
#include "kernel/power/power.h"

static int poweroff_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	int err;

	(void)argc;
	(void)argv;
	err = power_end(POWER_OFF);
	switch (err) {
	case -RAY_ENODEV:
	case -RAY_ENOSYS:
		return cmd_fail(ctx, err, "this machine cannot switch itself off (no ACPI soft-off)");
	case -RAY_EBUSY:
		return cmd_fail(ctx, err, "the system is already going down");
	default:
		return cmd_fail(ctx, err, "everything is stopped, but the power stayed on");
	}
}

static int reboot_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	int err;

	(void)argc;
	(void)argv;
	err = power_end(POWER_RESET);
	return cmd_fail(ctx, err, "the system is already going down");
}

SHELL_CMD(poweroff, "poweroff", "stop all VMs and switch the machine off", .example = "poweroff",
	  .run = poweroff_run);
SHELL_CMD(reboot, "reboot", "stop all VMs and restart the machine", .example = "reboot",
	  .run = reboot_run);
