/* SPDX-License-Identifier: Apache-2.0 */
/* `device tree`, and devices as files: `dev ls`, `dev cat`, and what can be done with them. */
#include <string.h>

#include "kernel/cmd.h"
#include "kernel/device/device_priv.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/json.h"
#include "kernel/lib/table.h"

#define PATH_MAX 200u

/* --- device tree --- */

static unsigned int depth_of(const struct device *d)
{
	unsigned int n = 0;

	for (; d->parent != &device_root; d = d->parent)
		n++;
	return n;
}

static void tree_row(struct table *t, const struct device *d, bool json)
{
	const struct driver *driver = device_driver(d);
	char text[PATH_MAX];

	if (json)
		(void)device_path_of(d, text, sizeof(text));
	else
		ray_snprintf(text, sizeof(text), "%*s%s", (int)(2 * depth_of(d)), "", d->name);
	table_str(t, text);
	table_str(t, device_class_name(d->cls));
	table_str(t, device_state_name(d->state));
	table_str(t, driver ? driver->id : "-");
}

static int tree_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {{"device", 0}, {"class", 0}, {"state", 0}, {"driver", 0}};
	struct device *d;
	struct table t;

	(void)argc;
	(void)argv;
	mutex_lock(&device_lock);
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		for (d = device_walk(NULL); d; d = device_walk(d))
			tree_row(&t, d, cmd_json(ctx));
	}
	mutex_unlock(&device_lock);
	return 0;
}
SHELL_CMD(device_tree, "device tree", "show the host's devices and what drives them",
	  .flags = CMD_JSON, .run = tree_run, .example = "device tree");

/* --- dev ls --- */

static void name_print(void *ctx, const char *name, const char *value)
{
	struct table *t = ctx;

	(void)value;
	table_str(t, name);
	table_str(t, "value");
}

static void device_list(struct table *t, const struct device *d)
{
	const struct device *c;

	list_for_each_entry (c, &d->children, node) {
		table_fmt(t, "%s/", c->name);
		table_str(t, device_class_name(c->cls));
	}
	if (d != &device_root)
		device_attrs_visit(d, name_print, t);
}

static void folder_row(struct table *t, const char *name)
{
	table_fmt(t, "%s/", name);
	table_str(t, "folder");
}

static void path_list(struct table *t, const struct device_path *p)
{
	const struct device *d;

	switch (p->kind) {
	case PATH_FOLDER:
		if (p->device) {
			folder_row(t, "devices");
		} else {
			folder_row(t, "dev");
			folder_row(t, "sys");
		}
		break;
	case PATH_CLASSES:
		for (unsigned int c = 0; c < DEVICE_CLASS_COUNT; c++)
			folder_row(t, device_class_name((enum device_class)c));
		break;
	case PATH_CLASS:
		for (d = device_walk(NULL); d; d = device_walk(d)) {
			if (d->cls == p->cls) {
				table_fmt(t, "%s/", d->name);
				table_str(t, device_class_name(d->cls));
			}
		}
		break;
	case PATH_DEVICE:
		device_list(t, p->device);
		break;
	default:
		break;
	}
}

static int nothing_there(struct cmd_ctx *ctx, const char *path)
{
	return cmd_fail(ctx, -RAY_ENOENT, "nothing is at '%s'; `dev ls /` is where paths begin", path);
}

static int ls_locked(struct cmd_ctx *ctx, const char *path)
{
	static const struct table_col cols[] = {{"name", 0}, {"kind", 0}};
	struct device_path p = device_path_find(path);
	struct table t;

	if (p.kind == PATH_NONE)
		return nothing_there(ctx, path);
	if (p.kind == PATH_ATTR)
		return cmd_fail(ctx, -RAY_EINVAL, "'%s' is a value; `dev cat` prints it", path);
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t))
		path_list(&t, &p);
	return 0;
}

static int ls_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	int err;

	mutex_lock(&device_lock);
	err = ls_locked(ctx, argc ? argv[0] : "/dev");
	mutex_unlock(&device_lock);
	return err;
}

/* --- dev cat --- */

struct cat {
	struct cmd_ctx *ctx;
	struct json *json;
	const char *only; /* NULL: all */
};

static void value_print(void *ctx, const char *name, const char *value)
{
	const struct cat *c = ctx;

	if (c->only && strcmp(c->only, name) != 0)
		return;
	if (c->json)
		json_str(c->json, name, value);
	else if (c->only)
		cmd_printf(c->ctx, "%s\n", value);
	else
		cmd_printf(c->ctx, "%s: %s\n", name, value);
}

static void device_print(struct cmd_ctx *ctx, const struct device_path *p)
{
	struct cat c = {.ctx = ctx, .only = p->kind == PATH_ATTR ? p->attr : NULL};
	char text[PATH_MAX];
	struct json j;

	if (!cmd_json(ctx)) {
		device_attrs_visit(p->device, value_print, &c);
		return;
	}
	(void)device_path_of(p->device, text, sizeof(text));
	json_init(&j, cmd_sink(ctx));
	json_object(&j, NULL);
	json_str(&j, "path", text);
	c.json = &j;
	device_attrs_visit(p->device, value_print, &c);
	json_finish(&j);
}

static int cat_locked(struct cmd_ctx *ctx, const char *path)
{
	struct device_path p = device_path_find(path);

	if (p.kind == PATH_NONE)
		return nothing_there(ctx, path);
	if ((p.kind != PATH_DEVICE && p.kind != PATH_ATTR) || p.device == &device_root)
		return cmd_fail(ctx, -RAY_EINVAL, "'%s' is a folder; `dev ls` lists it", path);
	device_print(ctx, &p);
	return 0;
}

static int cat_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	int err;

	(void)argc;
	mutex_lock(&device_lock);
	err = cat_locked(ctx, argv[0]);
	mutex_unlock(&device_lock);
	return err;
}

/* --- drivers --- */

static unsigned int driven_by(const struct driver *drv)
{
	unsigned int n = 0;

	for (struct device *d = device_walk(NULL); d; d = device_walk(d))
		n += d->driver == drv;
	return n;
}

static int drivers_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	static const struct table_col cols[] = {{"driver", 0}, {"bus", 0}, {"class", 0},
						{"priority", TABLE_RIGHT}, {"devices", TABLE_RIGHT}};
	struct table t;

	(void)argc;
	(void)argv;
	mutex_lock(&device_lock);
	table_init(&t, cmd_sink(ctx), cmd_json(ctx), cols, ARRAY_SIZE(cols));
	while (table_pass(&t)) {
		for (const struct driver *d = driver_next(NULL); d; d = driver_next(d)) {
			table_str(&t, d->id);
			table_str(&t, d->bus);
			table_str(&t, device_class_name(d->cls));
			table_u64(&t, d->priority);
			table_u64(&t, driven_by(d));
		}
	}
	mutex_unlock(&device_lock);
	return 0;
}

/* --- what can be done --- */

/* A device of a bus's: those are there for good. */
static struct device *bus_device(struct cmd_ctx *ctx, const char *path, int *err)
{
	struct device_path p;

	mutex_lock(&device_lock);
	p = device_path_find(path);
	mutex_unlock(&device_lock);
	*err = 0;
	if (p.kind == PATH_NONE)
		*err = nothing_there(ctx, path);
	else if (p.kind != PATH_DEVICE || !p.device->bus || !p.device->bus->bind)
		*err = cmd_fail(ctx, -RAY_EINVAL,
				"'%s' is no controller; name one, as in /sys/devices/pci0/00:03.0",
				path);
	return *err ? NULL : p.device;
}

static int act(struct cmd_ctx *ctx, const char *path, int (*fn)(struct device *d))
{
	int err;
	struct device *d = bus_device(ctx, path, &err);

	if (!d)
		return err;
	err = fn(d);
	if (err == -RAY_ENOSYS)
		return cmd_fail(ctx, err, "the driver of '%s' cannot do that", path);
	if (err == -RAY_EBUSY)
		return cmd_fail(ctx, err, "'%s' is %s and has %s", path, device_state_name(d->state),
				d->driver ? "a driver" : "no driver");
	if (err == -RAY_ENODEV)
		return cmd_fail(ctx, err, "no driver takes '%s'; see `dev drivers`", path);
	return err;
}

static int suspend_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)argc;
	return act(ctx, argv[0], device_suspend);
}

static int resume_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)argc;
	return act(ctx, argv[0], device_resume);
}

static int unbind_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)argc;
	return act(ctx, argv[0], device_unbind);
}

static int bind_run(struct cmd_ctx *ctx, int argc, char **argv)
{
	(void)argc;
	return act(ctx, argv[0], device_bind);
}

static void path_complete(struct cmd_complete *c, int arg)
{
	char text[PATH_MAX];

	if (arg != 0)
		return;
	mutex_lock(&device_lock);
	for (struct device *d = device_walk(NULL); d; d = device_walk(d)) {
		(void)device_path_of(d, text, sizeof(text));
		cmd_complete_add(c, text);
		ray_snprintf(text, sizeof(text), "/dev/%s/%s", device_class_name(d->cls), d->name);
		cmd_complete_add(c, text);
	}
	mutex_unlock(&device_lock);
}

SHELL_CMD(dev_ls, "dev ls", "list devices by path, and what is known of one", .args = "[PATH]",
	  .max_args = 1, .flags = CMD_JSON, .run = ls_run, .complete = path_complete,
	  .help = "/sys/devices is the tree, /dev/CLASS/NAME leads to a device wherever it hangs.\n",
	  .example = "dev ls /sys/devices");
SHELL_CMD(dev_cat, "dev cat", "print what is known of a device, or one value of it",
	  .args = "PATH", .min_args = 1, .max_args = 1, .flags = CMD_JSON, .run = cat_run,
	  .complete = path_complete, .example = "dev cat /sys/devices/pci0/state");
SHELL_CMD(dev_drivers, "dev drivers", "list drivers and how many devices each has",
	  .flags = CMD_JSON, .run = drivers_run, .example = "dev drivers");
SHELL_CMD(dev_suspend, "dev suspend", "make a controller stand still; what is asked of it waits",
	  .args = "PATH", .min_args = 1, .max_args = 1, .run = suspend_run,
	  .complete = path_complete, .example = "dev suspend /sys/devices/pci0/00:1f.2");
SHELL_CMD(dev_resume, "dev resume", "let a controller go on that stands still", .args = "PATH",
	  .min_args = 1, .max_args = 1, .run = resume_run, .complete = path_complete,
	  .example = "dev resume /sys/devices/pci0/00:1f.2");
SHELL_CMD(dev_unbind, "dev unbind", "take a controller away from its driver", .args = "PATH",
	  .min_args = 1, .max_args = 1, .flags = CMD_CONFIRM, .run = unbind_run,
	  .complete = path_complete, .example = "dev unbind /sys/devices/pci0/00:1f.2 --yes");
SHELL_CMD(dev_bind, "dev bind", "give a controller to the driver that matches", .args = "PATH",
	  .min_args = 1, .max_args = 1, .run = bind_run, .complete = path_complete,
	  .example = "dev bind /sys/devices/pci0/00:1f.2");
