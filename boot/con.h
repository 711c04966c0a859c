/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader's console and its record of what it said.
 *
 * Owns: text output on the firmware's console, key input, the log handed to the kernel.
 * Context: boot services, BSP. Missing consoles are tolerated.
 */
#ifndef RAYOS_BOOT_CON_H
#define RAYOS_BOOT_CON_H

#include "kernel/lib/types.h"
#include "kernel/markers.h"

#define CON_MARKER_ENUM(sym, text, fields, meaning) MARKER_##sym,
enum con_marker { RAYOS_MARKERS(CON_MARKER_ENUM) MARKER_COUNT };
#undef CON_MARKER_ENUM

/** Print and record; "\n" ends a line. */
void con_print(const char *fmt, ...) __printf_fmt(1, 2);

/** As con_print(), with "warning: " in front. The kernel shows these lines again. */
void con_warn(const char *fmt, ...) __printf_fmt(1, 2);

/** Print without recording: progress, prompts. */
void con_show(const char *fmt, ...) __printf_fmt(1, 2);

/**
 * Print a marker line; @fmt has its fields in the order of the list. It is not recorded,
 * since a marker appears once.
 */
void con_marker(enum con_marker m, const char *fmt, ...) __printf_fmt(2, 3);

/** Wait for a key. Returns its ASCII value, 0 for a key without one, -1 without a keyboard. */
int con_key(void);

/** What was recorded so far; the text stays in the loader's image. */
const char *con_log(size_t *len);

#endif
