/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one ring of records, several sinks (serial console, framebuffer; later disk, net).
 * Owns: levels, per-tag filter, the ring. Must not know: who reads it.
 * A file defines LOG_TAG before including this header: #define LOG_TAG "vmx"
 * Context: any, including IRQs off and NMI (an NMI record that finds the ring busy is counted
 * and dropped). Never allocates. Messages have no trailing newline and end in key=value pairs.
 */
#ifndef RAYOS_KERNEL_LOG_H
#define RAYOS_KERNEL_LOG_H

#include "kernel/lib/types.h"

enum log_level { LOG_ERR = 0, LOG_WARN = 1, LOG_INFO = 2, LOG_DEBUG = 3 };

void log_write(enum log_level level, const char *tag, const char *fmt, ...) __printf_fmt(3, 4);

#ifndef LOG_TAG
#define LOG_TAG "kernel"
#endif
#define log_err(...)  log_write(LOG_ERR, LOG_TAG, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, LOG_TAG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, LOG_TAG, __VA_ARGS__)
#define log_dbg(...)  log_write(LOG_DEBUG, LOG_TAG, __VA_ARGS__)

#endif
