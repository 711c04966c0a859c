/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which the kernel comes up. It is security-relevant (check before use, measure
 * before parse), so it is one table here, and this file alone may include everybody.
 */
#define LOG_TAG "init"
#include "kernel/acpi/tables.h"
#include "devices/virt/platform.h"
#include "hv/hv.h"
#include "hv/vm_power.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/arch/image.h"
#include "kernel/arch/mitigate.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/start.h"
#include "kernel/block/block.h"
#include "kernel/bootinfo.h"
#include "kernel/conf.h"
#include "kernel/console.h"
#include "kernel/device/device.h"
#include "kernel/fb/fb.h"
#include "kernel/iommu/iommu.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/err.h"
#include "kernel/log.h"
#include "kernel/marker.h"
#include "kernel/mce.h"
#include "kernel/mm/mm.h"
#include "kernel/mm/page.h"
#include "kernel/panic.h"
#include "kernel/pci/pci.h"
#include "kernel/power/power.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/smp.h"
#include "kernel/sched/thread.h"
#include "kernel/smbios/smbios.h"
#include "kernel/store/volume.h"
#include "kernel/symbols.h"
#include "kernel/time/time.h"
#include "net/switch.h"
#include "security/drbg.h"
#include "shell/session.h"
#include "version.h"

struct init_step {
	const char *name;
	int (*fn)(void);
	bool fatal; /* without it nothing else can work: panic */
};

static int init_cpu(void)
{
	const char *lacks = cpu_init();

	if (lacks)
		panic("%s", lacks);
	return 0;
}

static int init_memory(void)
{
	mm_init();
	return 0;
}

static int take_symbols(const void *elf)
{
	const struct boot_info *bi = bootinfo();

	return symbols_init(elf, bi->kernel_elf.size, bi->kernel_slide,
			    (uint64_t)(__text_end - __kernel_start));
}

/* Through the loader's direct map, so that a panic in what follows has names. */
static int init_symbols(void)
{
	const struct boot_info *bi = bootinfo();

	if (!(bi->features & BOOT_FEAT_KERNEL_ELF))
		return -RAY_ENOENT;
	return take_symbols((const void *)(uintptr_t)(bi->phys_map_base + bi->kernel_elf.addr));
}

static int init_reclaim(void)
{
	struct page_stats st;
	int err = 0;

	if (bootinfo()->features & BOOT_FEAT_KERNEL_ELF)
		err = take_symbols(hpa_to_va(HPA(bootinfo()->kernel_elf.addr)));
	if (!err)
		err = symbols_keep();
	bootinfo_keep();
	mm_reclaim_loader();
	page_stats_get(&st);
	marker_print(MARKER_BOOT_MEMORY_READY, "total_mib=%lu free_mib=%lu", st.total >> 20,
		     st.free >> 20);
	return err;
}

static int init_screen(void)
{
	fb_init(bootinfo());
	return 0;
}

/* Firmware's own description of the machine; having none is normal. */
static int init_firmware(void)
{
	int err = acpi_tables_init(bootinfo());

	smbios_init(bootinfo());
	return err == -RAY_ENODEV ? 0 : err;
}

static int init_interrupts(void)
{
	irq_init();
	return 0;
}

static int init_time(void)
{
	time_init();
	return 0;
}

/* From here on interrupts are on and this code is a thread. */
static int init_threads(void)
{
	sched_init();
	irq_enable();
	console_irq_init();
	fb_start();
	return 0;
}

static int init_mitigations(void)
{
	mitigations_init(cpu_features(), conf()->mitigations);
	return 0;
}

static int init_mce(void)
{
	mce_init();
	return 0;
}

static int init_power(void)
{
	power_init();
	return 0;
}

static int init_cpus(void)
{
	smp_init(bootinfo());
	return 0;
}

static int init_done(void)
{
	marker_print(MARKER_BOOT_SUBSYSTEMS_READY, "cpus=%u", cpu_count());
	return 0;
}

/* From now on the console belongs to the operator: only what is wrong breaks in. */
static int init_console_quiet(void)
{
	log_console_level_set(MIN(conf()->console_level, LOG_WARN));
	return 0;
}

static const struct init_step steps[] = {
	{ "symbols", init_symbols, false },
	{ "cpu", init_cpu, true },
	{ "memory", init_memory, true },
	{ "screen", init_screen, false },
	{ "firmware", init_firmware, false },
	{ "reclaim", init_reclaim, false },
	{ "conf", conf_init, false },
	{ "mitigations", init_mitigations, false },
	{ "mce", init_mce, false },
	{ "interrupts", init_interrupts, true },
	{ "time", init_time, true },
	{ "threads", init_threads, true },
	{ "cpus", init_cpus, false },
	{ "disks", block_init, true },
	{ "pci", pci_init, false },
	{ "iommu", iommu_init, false },
	{ "drivers", drivers_init, false },
	{ "devices", pci_bind, false },
	{ "devices no bus finds", platform_probe, false },
	{ "power", init_power, false },
	{ "partitions", block_settle, false },
	{ "stores", store_init, false },
	{ "subsystems", init_done, false },
	{ "entropy", drbg_init, false },
	{ "network", net_init, false },
	{ "hypervisor", hv_init, false },
	{ "guest devices", virt_init, false },
	{ "machines", vm_conf_init, false },
	{ "stored machines", vm_store_init, false },
	{ "orderly end", vm_power_init, false },
	{ "console", init_console_quiet, false },
	{ "shell", shell_start, true },
};

void kernel_main(struct boot_info *bi)
{
	console_early_init();
	marker_print(MARKER_BOOT_KERNEL_LOADED, "version=%s", RAYOS_VERSION);
	panic_init();
	bootinfo_init(bi);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int err = steps[i].fn();

		if (err && steps[i].fatal)
			panic("%s does not come up: %s", steps[i].name, ray_strerror(err));
		if (err)
			log_warn("%s does not come up: %s", steps[i].name, ray_strerror(err));
		else
			log_dbg("%s is up", steps[i].name);
	}
	log_info("kernel is up tsc_ticks=%lu", rdtsc() - kernel_entry_tsc);
	thread_exit();
}
