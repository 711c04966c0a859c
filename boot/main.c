/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RayOS's loader, a UEFI application: from the firmware to the kernel's entry point.
 *
 * Owns: the order of things. Each attempt starts from nothing, so that after the prompt
 * everything is tried again. Context: boot services, BSP, until the jump.
 */
#include <string.h>

#include "boot/boot_info.h"
#include "boot/con.h"
#include "boot/conf.h"
#include "boot/cpu.h"
#include "boot/efi.h"
#include "boot/exit.h"
#include "boot/file.h"
#include "boot/hw.h"
#include "boot/kimage.h"
#include "boot/mem.h"
#include "boot/menu.h"
#include "boot/modules.h"
#include "boot/space.h"
#include "kernel/lib/err.h"
#include "version.h"

#define CPUID_EXT_FEATURES 0x80000001u
#define CPUID_EXT_EDX_NX   (1u << 20)

/* What an attempt has made; large parts are static because the firmware's stack is small. */
static struct boot_info *info;
static struct conf conf;
static struct kimage kernel;
static struct space space;
static uint64_t tsc_start;

static const char *cpu_check(void)
{
	if ((cpuid(CPUID_EXT_FEATURES, 0).edx & CPUID_EXT_EDX_NX) == 0) {
		con_print("error: no no-execute pages; switch them on in the firmware's set-up\n");
		return "cpu_no_nx";
	}
	return NULL;
}

static int info_create(void)
{
	uint64_t addr;
	int err = mem_alloc_zeroed(sizeof(*info), &addr);

	if (err)
		return err;
	info = mem_ptr(addr);
	info->magic = BOOT_INFO_MAGIC;
	info->size = sizeof(*info);
	info->version = BOOT_INFO_VERSION;
	info->tsc_start = tsc_start;
	return 0;
}

static void trampoline_reserve(void)
{
	uint64_t addr;
	int err = mem_alloc(BOOT_MEM_RESERVED, PAGE_SIZE, PAGE_SIZE, MEM_BELOW_1M, &addr);

	if (err || addr == 0)
		con_warn("no free page below 1 MiB: further CPUs cannot be started\n");
	else
		info->ap_trampoline = (uint32_t)addr;
}

static int log_store(void)
{
	size_t len;
	const char *text = con_log(&len);
	uint64_t addr;
	int err = mem_alloc_zeroed(len, &addr);

	if (err)
		return err;
	memcpy(mem_ptr(addr), text, len);
	info->log = (struct boot_blob){addr, len};
	return 0;
}

/* Everything that needs memory. */
static int prepare(void)
{
	const struct boot_mem *map;
	uint32_t count;
	int err = modules_load(info, &conf);

	if (err)
		return err;
	err = exit_prepare();
	if (err)
		return err;
	err = exit_map_get(&map, &count);
	if (err)
		return err;
	acpi_collect(info);
	err = cpus_collect(info);
	if (err)
		return err;
	gop_collect(info);
	rng_collect(info);
	trampoline_reserve();
	err = kimage_place(info, &kernel, conf.kaslr);
	if (err)
		return err;
	err = space_build(info, &kernel, map, count, &space);
	if (err)
		return err;
	tcg_collect(info);
	return log_store();
}

/* Returns only on failure, with the word for the prompt. */
static const char *boot(EFI_HANDLE image)
{
	const char *reason = cpu_check();
	int err;

	if (reason != NULL)
		return reason;
	err = info_create();
	if (err) {
		con_print("error: %s\n", ray_strerror(err));
		return "no_memory";
	}
	if (file_volume_open(image) != 0) {
		con_print("error: the volume this loader came from has no file system\n");
		return "no_volume";
	}
	modules_conf_read(info, &conf);
	reason = kimage_read(info, &kernel);
	if (reason != NULL)
		return reason;
	err = prepare();
	if (err) {
		con_print("error: preparing the kernel's memory: %s\n", ray_strerror(err));
		return err == -RAY_ENOMEM ? "no_memory" : "prepare_failed";
	}
	if (exit_boot_services(image, info) != 0) {
		con_print("error: the firmware refuses to end its boot services\n");
		return "exit_refused";
	}
	tcg_finish(info);
	space_enter(&space, info, kernel.entry);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

/* Called by gnu-efi's start code, in the SysV convention. */
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	tsc_start = cpu_tsc();
	efi_st = st;
	efi_bs = st->BootServices;
	/* The firmware's watchdog would reset the machine while the prompt waits. */
	(void)efi_bs->SetWatchdogTimer(0, 0, 0, NULL);
	con_show("\n");
	con_marker(MARKER_LOADER_STARTED, "version=%s", RAYOS_VERSION);
	for (;;) {
		menu_prompt(boot(image));
		mem_free_all();
	}
}
