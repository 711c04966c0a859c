/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints marker lines (kernel/markers.h has the list). A marker reaches the serial console as
 * one uninterrupted line at column 0, whatever else is being printed, and the log ring.
 */
#ifndef RAYOS_KERNEL_MARKER_H
#define RAYOS_KERNEL_MARKER_H

#include "kernel/lib/types.h"
#include "kernel/markers.h"

#define RAYOS_MARKER_ENUM(sym, text, fields, meaning) MARKER_##sym,
enum marker { RAYOS_MARKERS(RAYOS_MARKER_ENUM) MARKER_COUNT };
#undef RAYOS_MARKER_ENUM

/**
 * Print one marker line.
 * @m    which
 * @fmt  the fields in the order of the list, "name=%s reason=%s"; "" for none. Values that
 *       come from outside must be free of spaces and control bytes (marker_value() cleans).
 * Context: any but NMI.
 */
void marker_print(enum marker m, const char *fmt, ...) __printf_fmt(2, 3);

#endif
