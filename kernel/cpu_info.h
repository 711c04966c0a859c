/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `cpu` shows beyond the basics: layers above add their lines.
 */
#ifndef RAYOS_KERNEL_CPU_INFO_H
#define RAYOS_KERNEL_CPU_INFO_H

struct record;

/** @fn adds lines with record_*(). There is room for four. Context: init. */
void cpu_info_add(void (*fn)(struct record *r));

#endif
