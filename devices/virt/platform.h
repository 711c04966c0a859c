/* SPDX-License-Identifier: Apache-2.0 */
/* Registers the machine around the CPUs with hv/ (hv/platform.h). */
#ifndef RAYOS_DEVICES_VIRT_PLATFORM_H
#define RAYOS_DEVICES_VIRT_PLATFORM_H

/** Context: init, once, before any VM starts. Returns 0. */
int virt_init(void);

#endif
