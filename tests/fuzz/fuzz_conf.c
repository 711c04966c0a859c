/* UNIT: kernel/conf.c hv/vm_conf.c hv/seed.c kernel/lib/ini.c kernel/lib/nearest.c
 * kernel/lib/parse.c kernel/lib/fmt.c kernel/lib/sink.c kernel/lib/utf8.c
 */
/* PARSER: kernel/conf.c hv/vm_conf.c kernel/lib/ini.c kernel/lib/nearest.c kernel/lib/parse.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * rayos.conf from a hostile volume, through both readers of it: the kernel's own keys and the
 * definitions of virtual machines. What comes out keeps its limits; every complaint names a
 * line of the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hv/hv.h"
#include "hv/platform.h"
#include "hv/vm_priv.h"
#include "kernel/bootinfo.h"
#include "kernel/conf.h"
#include "kernel/lib/err.h"
#include "kernel/lib/utf8.h"
#include "kernel/mm/page.h"
#include "tests/host/fake_heap.h"
#include "tests/host/fake_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

uint64_t mm_direct_base;
static struct boot_info boot;

/* One kind of device, fussy about its options. */
static int device_check(const char *kind, const char *spec, char *why, size_t why_len)
{
	if (strcmp(kind, "disk") != 0)
		return -RAY_ENOENT;
	strlcpy(why, "disk: no", why_len);
	return strchr(spec, '?') ? -RAY_EINVAL : 0;
}

static const char *device_kind(unsigned int n)
{
	return n == 0 ? "disk" : NULL;
}

static const struct vplatform_ops platform = {
	.device_check = device_check, .device_kind = device_kind};

const struct vplatform_ops *hv_platform(void)
{
	return &platform;
}

const struct boot_info *bootinfo(void)
{
	return &boot;
}

void panic_action_set(enum panic_action a)
{
	if (a != PANIC_HALT && a != PANIC_RESET)
		abort();
}

int log_level_set(const char *tag, enum log_level level)
{
	if (tag || level > LOG_DEBUG)
		abort();
	return 0;
}

void log_console_level_set(enum log_level level)
{
	if (level > LOG_DEBUG)
		abort();
}

int log_level_parse(const char *s, enum log_level *out)
{
	*out = LOG_DEBUG;
	return strcmp(s, "debug") == 0 ? 0 : -RAY_EINVAL;
}

void page_prezero_target_set(uint64_t bytes)
{
	(void)bytes;
}

static void text(const char *s, size_t size)
{
	if (strnlen(s, size) == size || !utf8_valid(s, strlen(s)))
		abort();
}

int vm_define(const struct vm_def *def, char *why, size_t why_len)
{
	text(def->kernel, sizeof(def->kernel));
	text(def->initrd, sizeof(def->initrd));
	text(def->cmdline, sizeof(def->cmdline));
	if (strnlen(def->name, sizeof(def->name)) == sizeof(def->name) || def->vcpus < 1 ||
	    def->vcpus > VM_VCPU_MAX || def->dev_count > VM_DEV_MAX)
		abort();
	for (uint32_t i = 0; i < def->dev_count; i++) {
		text(def->dev[i].kind, sizeof(def->dev[i].kind));
		text(def->dev[i].spec, sizeof(def->dev[i].spec));
	}
	strlcpy(why, "no room", why_len);
	return def->vcpus == 3 ? -RAY_ENOSPC : 0;
}

int vm_for_each(int (*fn)(struct vm *vm, void *ctx), void *ctx)
{
	(void)fn;
	(void)ctx;
	return 0;
}

int vm_start(struct vm *vm, char *why, size_t why_len)
{
	(void)vm;
	(void)why;
	(void)why_len;
	return 0;
}

void vm_put(struct vm *vm)
{
	(void)vm;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	if (!exact)
		abort();
	if (size > 0)
		memcpy(exact, data, size);
	boot.features = BOOT_FEAT_CONF;
	boot.conf.addr = (uint64_t)(uintptr_t)exact; /* the direct map begins at 0 here */
	boot.conf.size = size;
	if (conf_init() != 0 || vm_conf_init() != 0)
		abort();
	free(exact);
	return 0;
}
