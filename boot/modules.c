/* SPDX-License-Identifier: Apache-2.0 */
/* rayos.conf and modules, see modules.h. */
#include "boot/modules.h"

#include <stdio.h>
#include <string.h>

#include "boot/con.h"
#include "boot/file.h"
#include "boot/mem.h"
#include "kernel/lib/err.h"
#include "kernel/lib/ini.h"

#define FOLDER    "rayos/"
#define CONF_PATH FOLDER "rayos.conf"

static void conf_problem(uint32_t line, const char *what)
{
	con_warn("%s: line %u: %s\n", CONF_PATH, line, what);
}

void modules_conf_read(struct boot_info *bi, struct conf *c)
{
	static struct ini ini; /* too large for the firmware's stack */
	int err = file_load(CONF_PATH, BOOT_MEM_MODULE, &bi->conf);

	conf_defaults(c);
	if (err) {
		con_warn("%s: %s: no modules are loaded\n", CONF_PATH, ray_strerror(err));
		return;
	}
	bi->features |= BOOT_FEAT_CONF;
	conf_read(c, &ini, mem_ptr(bi->conf.addr), bi->conf.size, conf_problem);
}

static bool path_safe(const char *name)
{
	return name[0] != '/' && strstr(name, "..") == NULL && strchr(name, '\\') == NULL;
}

static int module_load(struct boot_module *m, const char *name)
{
	const char *slash = strrchr(name, '/');
	char path[FILE_PATH_MAX];
	struct boot_blob file;
	int err;

	if (strlcpy(m->name, slash != NULL ? slash + 1 : name, sizeof(m->name)) >=
		    sizeof(m->name) ||
	    !path_safe(name))
		return -RAY_EINVAL;
	(void)snprintf(path, sizeof(path), FOLDER "%s", name);
	con_print("module: %s\n", name);
	err = file_load(path, BOOT_MEM_MODULE, &file);
	if (err)
		return err;
	m->addr = file.addr;
	m->size = file.size;
	return 0;
}

int modules_load(struct boot_info *bi, const struct conf *c)
{
	struct boot_module *list;
	uint64_t addr;
	int err;

	if (c->module_count == 0)
		return 0;
	err = mem_alloc_zeroed(c->module_count * sizeof(*list), &addr);
	if (err)
		return err;
	list = mem_ptr(addr);
	for (uint32_t i = 0; i < c->module_count; i++) {
		list[i].status = module_load(&list[i], c->module[i]);
		if (list[i].status != 0)
			con_warn("module %s: %s\n", c->module[i], ray_strerror(list[i].status));
	}
	bi->module_count = c->module_count;
	bi->modules = (struct boot_blob){addr, c->module_count * sizeof(*list)};
	return 0;
}
