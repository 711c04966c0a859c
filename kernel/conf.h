/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The [rayos] section of rayos.conf: how the kernel itself behaves.
 *
 *	loglevel = error|warn|info|debug     what the log records
 *	console_loglevel = ...               what of it the console shows while the kernel boots
 *	panic = reset|halt                   what follows a panic
 *	mitigations = auto|on|off            against speculation attacks
 *	iommu = on|off                       devices reach only what is mapped for them
 *	prezero = SIZE                       free memory kept zeroed ahead of need
 *
 * Owns: these keys and their defaults. [boot] is the loader's, [vm NAME] the hypervisor's.
 */
#ifndef RAYOS_KERNEL_CONF_H
#define RAYOS_KERNEL_CONF_H

#include "kernel/arch/mitigate.h"
#include "kernel/lib/types.h"
#include "kernel/log.h"
#include "kernel/panic.h"

struct kernel_conf {
	enum log_level log_level, console_level;
	enum panic_action panic;
	enum mitigate_mode mitigations;
	bool iommu;
	uint64_t prezero; /* bytes */
};

/** Told of each line that is not understood, with its number and a text. */
typedef void (*conf_warn_fn)(void *arg, unsigned int line, const char *text);

/**
 * Read a configuration. Pure. What is wrong is reported and keeps its default.
 * @c  filled always
 * Trust: @text is the operator's: any bytes
 */
void conf_parse(const void *text, size_t len, struct kernel_conf *c, conf_warn_fn warn, void *arg);

/** Read what the loader found, apply it, log what is wrong with it. Context: init. */
int conf_init(void);

/** What holds. Context: any, after conf_init(). */
const struct kernel_conf *conf(void);

#endif
