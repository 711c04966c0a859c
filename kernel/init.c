/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which the kernel comes up. It is security-relevant (check before use, measure
 * before parse), so it is one table here, and this file alone may include everybody.
 */
#include "kernel/arch/cpu.h"
#include "kernel/arch/start.h"
#include "kernel/bootinfo.h"
#include "kernel/console.h"
#include "kernel/marker.h"
#include "kernel/panic.h"
#include "kernel/symbols.h"
#include "version.h"

void kernel_main(const struct boot_info *bi)
{
	console_early_init();
	marker_print(MARKER_BOOT_KERNEL_LOADED, "version=%s", RAYOS_VERSION);
	panic_init();
	bootinfo_init(bi);
	bi = bootinfo();
	if ((bi->features & BOOT_FEAT_KERNEL_ELF) &&
	    symbols_init((const void *)(uintptr_t)(bi->phys_map_base + bi->kernel_elf.addr),
			 bi->kernel_elf.size, bi->kernel_slide) != 0)
		panic("the kernel's own file has no symbols");
	panic("nothing more is built yet");
}
