/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Definitions that outlast the machine: each made by `vm define` is a file of the store, "vm/NAME",
 * in the words of rayos.conf. What rayos.conf itself defines comes first and is not kept here.
 */
#include <string.h>

#include "hv/hv.h"
#include "hv/vm_priv.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/sink.h"
#define LOG_TAG "vm"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/store/store_file.h"

#define TEXT_MAX KIB(16)
#define PREFIX   "vm/"

static void file_name(const char *vm, char out[64])
{
	ray_snprintf(out, 64, PREFIX "%s", vm);
}

static void text_of(const struct vm_def *def, struct sink *out)
{
	sink_printf(out, "[vm %s]\nkernel = \"%s\"\n", def->name, def->kernel);
	if (def->initrd[0] != '\0')
		sink_printf(out, "initrd = \"%s\"\n", def->initrd);
	sink_printf(out, "cmdline = \"%s\"\nmemory = %lu\nvcpus = %u\nautostart = %s\ntestdev = %s\n",
		    def->cmdline, (unsigned long)def->memory, def->vcpus,
		    def->autostart ? "on" : "off", def->testdev ? "on" : "off");
	if (def->net_rate != 0)
		sink_printf(out, "net-rate = %lu\n", (unsigned long)def->net_rate);
	else
		sink_printf(out, "net-rate = unlimited\n");
	vm_seed_print(&def->seed, out);
	for (uint32_t i = 0; i < def->dev_count; i++)
		sink_printf(out, "%s = \"%s\"\n", def->dev[i].kind, def->dev[i].spec);
}

int vm_store_keep(const struct vm_def *def)
{
	char *text = kmalloc(TEXT_MAX, MEM_VM), name[64];
	struct buf_sink b;
	int err = -RAY_ENOMEM;

	if (text != NULL) {
		buf_sink_init(&b, text, TEXT_MAX);
		text_of(def, &b.sink);
		file_name(def->name, name);
		err = store_file_write(name, text, strlen(text));
	}
	kfree(text);
	return err;
}

int vm_store_forget(const char *vm)
{
	char name[64];

	file_name(vm, name);
	return store_file_delete(name);
}

int vm_store_init(void)
{
	char *text = kmalloc(STORE_FILE_MAX, MEM_VM), name[64] = "";
	int err = text != NULL ? 0 : -RAY_ENOMEM;
	size_t len;

	while (err == 0) {
		err = store_file_next(PREFIX, name[0] != '\0' ? name : NULL, name);
		if (err == 0 && store_file_read(name, text, &len) != 0)
			log_err("definition not read, its file is damaged file=%s", name);
		else if (err == 0)
			err = vm_conf_take(name, text, len);
	}
	kfree(text);
	vm_conf_autostart();
	return err == -RAY_ENOENT || err == -RAY_ENODEV ? 0 : err;
}
