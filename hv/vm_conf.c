/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VM definitions as text: the keys of a [vm NAME] section and of `vm define`.
 */
#include <string.h>

#include "hv/hv.h"
#include "hv/platform.h"
#include "hv/vm_priv.h"
#include "kernel/bootinfo.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/ini.h"
#include "kernel/lib/nearest.h"
#include "kernel/lib/parse.h"
#define LOG_TAG "conf"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"

#define DEFAULT_MEMORY MIB(256)
#define DEFAULT_NET_RATE 100000000ull /* bits a second */

static int set_text(char *field, size_t size, const char *key, const char *value, char *why,
		    size_t why_len)
{
	if (strlen(value) >= size) {
		ray_snprintf(why, why_len, "%s: longer than %lu bytes", key, (unsigned long)size - 1);
		return -RAY_ERANGE;
	}
	memcpy(field, value, strlen(value) + 1);
	return 0;
}

static int set_bool(bool *field, const char *key, const char *value, char *why, size_t why_len)
{
	int err = parse_bool(value, field);

	if (err != 0)
		ray_snprintf(why, why_len, "%s: '%.32s' is neither on nor off", key, value);
	return err;
}

static int set_vcpus(struct vm_def *def, const char *value, char *why, size_t why_len)
{
	uint64_t n;
	int err = parse_u64_range(value, 1, VM_VCPU_MAX, &n);

	if (err != 0)
		ray_snprintf(why, why_len, "vcpus: '%.32s' is not a number from 1 to %u", value,
			     VM_VCPU_MAX);
	else
		def->vcpus = (uint32_t)n;
	return err;
}

static int set_memory(struct vm_def *def, const char *value, char *why, size_t why_len)
{
	int err = parse_size(value, &def->memory);

	if (err != 0)
		ray_snprintf(why, why_len, "memory: '%.32s' is not a size such as 256M", value);
	return err;
}

static int set_net_rate(struct vm_def *def, const char *value, char *why, size_t why_len)
{
	int err = parse_rate(value, &def->net_rate);

	if (err != 0)
		ray_snprintf(why, why_len, "net-rate: '%.32s' is not like 100M, 10G or unlimited", value);
	return err;
}

static const char *const keys[] = { "kernel", "initrd",    "cmdline", "memory",
				    "vcpus",  "autostart", "testdev", "net-rate" };

/* Checked by whoever makes it, kept as text. */
int vm_def_device_add(struct vm_def *def, const char *key, const char *value, char *why,
		      size_t why_len)
{
	const struct vplatform_ops *p = hv_platform();
	int err = p != NULL ? p->device_check(key, value, why, why_len) : -RAY_ENOENT;
	struct vm_dev_def *d;

	if (err != 0)
		return err;
	if (def->dev_count == VM_DEV_MAX) {
		ray_snprintf(why, why_len, "%s: there are %u devices, the most there can be", key,
			     VM_DEV_MAX);
		return -RAY_ENOSPC;
	}
	d = &def->dev[def->dev_count];
	err = set_text(d->kind, sizeof(d->kind), "kind", key, why, why_len);
	if (err == 0)
		err = set_text(d->spec, sizeof(d->spec), key, value, why, why_len);
	if (err == 0)
		def->dev_count++;
	return err;
}

static int unknown_key(const char *key, char *why, size_t why_len)
{
	const struct vplatform_ops *p = hv_platform();
	struct nearest n;
	const char *kind;

	nearest_init(&n, key);
	for (unsigned int i = 0; i < ARRAY_SIZE(keys); i++)
		nearest_offer(&n, keys[i]);
	for (unsigned int i = 0; vm_seed_key(i) != NULL; i++)
		nearest_offer(&n, vm_seed_key(i));
	for (unsigned int i = 0; p != NULL && (kind = p->device_kind(i)) != NULL; i++)
		nearest_offer(&n, kind);
	if (nearest_result(&n) != NULL)
		ray_snprintf(why, why_len, "unknown key '%.32s'; did you mean '%s'?", key,
			     nearest_result(&n));
	else
		ray_snprintf(why, why_len,
			     "unknown key '%.32s'; known: kernel initrd cmdline memory vcpus "
			     "autostart testdev net-rate hostname user ssh-key password and the kinds of `device handlers`", key);
	return -RAY_ENOENT;
}

int vm_def_set(struct vm_def *def, const char *key, const char *value, char *why, size_t why_len)
{
	int err;

	if (strcmp(key, "kernel") == 0)
		return set_text(def->kernel, sizeof(def->kernel), key, value, why, why_len);
	if (strcmp(key, "initrd") == 0)
		return set_text(def->initrd, sizeof(def->initrd), key, value, why, why_len);
	if (strcmp(key, "cmdline") == 0)
		return set_text(def->cmdline, sizeof(def->cmdline), key, value, why, why_len);
	if (strcmp(key, "memory") == 0)
		return set_memory(def, value, why, why_len);
	if (strcmp(key, "vcpus") == 0)
		return set_vcpus(def, value, why, why_len);
	if (strcmp(key, "autostart") == 0)
		return set_bool(&def->autostart, key, value, why, why_len);
	if (strcmp(key, "testdev") == 0)
		return set_bool(&def->testdev, key, value, why, why_len);
	if (strcmp(key, "net-rate") == 0)
		return set_net_rate(def, value, why, why_len);
	err = vm_seed_set(&def->seed, key, value, why, why_len);
	if (err == -RAY_ENOENT)
		err = vm_def_device_add(def, key, value, why, why_len);
	return err == -RAY_ENOENT ? unknown_key(key, why, why_len) : err;
}

void vm_def_init(struct vm_def *def)
{
	memset(def, 0, sizeof(*def));
	def->memory = DEFAULT_MEMORY;
	def->vcpus = 1;
	def->net_rate = DEFAULT_NET_RATE;
}

/* One section being read. A bad line spoils its VM, not its neighbours. */
struct section {
	const char *file; /* where it stands, for people */
	struct vm_def def;
	bool open, bad;
	unsigned int line;
};

static void section_close(struct section *s)
{
	char why[160];

	if (!s->open)
		return;
	s->open = false;
	if (s->bad)
		log_err("%s:%u: VM '%s' is not defined because of the errors above", s->file,
			s->line, s->def.name);
	else if (vm_define(&s->def, why, sizeof(why)) != 0)
		log_err("%s:%u: VM '%s': %s", s->file, s->line, s->def.name, why);
}

static void section_open(struct section *s, const struct ini *ini)
{
	char why[96];

	section_close(s);
	if (strncmp(ini->section, "vm ", 3) != 0)
		return;
	vm_def_init(&s->def);
	s->open = true;
	s->line = ini->line;
	s->bad = set_text(s->def.name, sizeof(s->def.name), "name", ini->section + 3, why,
			  sizeof(why)) != 0;
	if (s->bad) {
		memcpy(s->def.name, ini->section + 3, sizeof(s->def.name) - 1);
		log_err("%s:%u: %s", s->file, ini->line, why);
	}
}

static void pair(struct section *s, const struct ini *ini)
{
	char why[160];

	if (!s->open)
		return;
	if (vm_def_set(&s->def, ini->key, ini->value, why, sizeof(why)) != 0) {
		log_err("%s:%u: %s", s->file, ini->line, why);
		s->bad = true;
	}
}

static int autostart(struct vm *vm, void *ctx)
{
	struct vm **next = ctx;

	if (!vm->def.autostart || vm->state != VM_DEFINED)
		return 0;
	__atomic_add_fetch(&vm->refs, 1, __ATOMIC_RELAXED);
	*next = vm;
	return 1;
}

void vm_conf_autostart(void)
{
	struct vm *vm;
	char why[160];

	/* Not inside vm_for_each(): starting takes its time, and the registry's lock. */
	while (vm_for_each(autostart, &vm) != 0) {
		if (vm_start(vm, why, sizeof(why)) != 0) {
			log_err("autostart failed name=%s why=\"%s\"", vm->def.name, why);
			vm->def.autostart = false;
		}
		vm_put(vm);
	}
}

int vm_conf_take(const char *file, const void *text, size_t len)
{
	struct section *s = kzalloc(sizeof(*s), MEM_VM);
	struct ini *ini = kzalloc(sizeof(*ini), MEM_VM);
	enum ini_event ev;

	if (s == NULL || ini == NULL) {
		kfree(s);
		kfree(ini);
		return -RAY_ENOMEM;
	}
	s->file = file;
	ini_init(ini, text, len);
	while ((ev = ini_next(ini)) != INI_END) {
		if (ev == INI_SECTION)
			section_open(s, ini);
		else if (ev == INI_PAIR)
			pair(s, ini);
		/* INI_ERROR: kernel/conf.c has reported the line already. */
	}
	section_close(s);
	kfree(ini);
	kfree(s);
	return 0;
}

int vm_conf_init(void)
{
	const struct boot_info *bi = bootinfo();
	int err;

	if ((bi->features & BOOT_FEAT_CONF) == 0)
		return 0;
	err = vm_conf_take("rayos.conf", hpa_to_va(HPA(bi->conf.addr)), bi->conf.size);
	if (err == 0)
		vm_conf_autostart();
	return err;
}
