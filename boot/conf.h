/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loader itself wants from rayos.conf: section [boot].
 *
 * Owns: the keys `module` (repeated) and `kaslr` (on, off). Everything else in the file is
 * the kernel's and passes unread. Must not know: EFI, files. Builds on the host.
 * Context: any; no allocation.
 */
#ifndef RAYOS_BOOT_CONF_H
#define RAYOS_BOOT_CONF_H

#include "boot/boot_info.h"
#include "kernel/lib/types.h"

#define CONF_MODULES_MAX 128u
#define CONF_NAME_MAX    128u /* a path below /rayos */

struct ini;

struct conf {
	bool kaslr;
	uint32_t module_count;
	char module[CONF_MODULES_MAX][CONF_NAME_MAX];
};

/** The settings without a rayos.conf. */
void conf_defaults(struct conf *c);

/**
 * Read the settings out of rayos.conf.
 * @ini         scratch, large
 * @text, @len  contents, not terminated
 * @problem     called with a line number and a text for each damaged line, and each of
 *              [boot] with a wrong value; reading goes on behind it
 * Context:     any
 * Trust:       the text is the user's
 */
void conf_read(struct conf *c, struct ini *ini, const char *text, uint64_t len,
	       void (*problem)(uint32_t line, const char *what));

#endif
