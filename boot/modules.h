/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rayos.conf and the modules it names.
 * Owns: nothing. Context: boot services, BSP. Missing files are warnings, never fatal.
 */
#ifndef RAYOS_BOOT_MODULES_H
#define RAYOS_BOOT_MODULES_H

#include "boot/boot_info.h"
#include "boot/conf.h"

/** Read rayos.conf; fills boot_info's conf. Without a file: the defaults and a warning. */
void modules_conf_read(struct boot_info *bi, struct conf *c);

/**
 * Load every module; fills boot_info's modules. One that cannot be loaded is listed with
 * its error in `status`.
 * Returns: 0, -RAY_ENOMEM (for the list itself)
 */
int __must_check modules_load(struct boot_info *bi, const struct conf *c);

#endif
