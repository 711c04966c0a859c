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

#define LOG_TEXT_MAX 256u /* a longer message is cut */

struct log_entry {
	uint64_t seq; /* rises by one */
	uint64_t tsc;
	const char *tag;
	enum log_level level;
	unsigned int cpu;
	char text[LOG_TEXT_MAX];
};

/**
 * Copy the oldest entry numbered *seq or later and set *seq to the number after it.
 * Context: any but NMI. Returns: whether there was one.
 */
bool log_read(uint64_t *seq, struct log_entry *out);
/** One line for people, without newline. Returns its length. */
size_t log_line_format(char *buf, size_t size, enum log_level level, const char *tag,
		       uint64_t tsc, const char *text);
/** Forget all entries. */
void log_clear(void);

/**
 * What is recorded: messages up to @level of @tag; NULL: of all tags without a level of
 * their own.
 * @tag  kept, not copied
 * Context: thread or init. Returns: 0, -RAY_ENOSPC (too many tags have their own).
 */
int log_level_set(const char *tag, enum log_level level);
enum log_level log_level_get(const char *tag);
/** What of that is also written to the console. */
void log_console_level_set(enum log_level level);
/** "error", "warn", "info", "debug". */
const char *log_level_name(enum log_level level);
int __must_check log_level_parse(const char *s, enum log_level *out);
/** Records lost because an NMI found the ring busy. */
uint64_t log_nmi_dropped(void);

#ifndef LOG_TAG
#define LOG_TAG "kernel"
#endif
#define log_err(...)  log_write(LOG_ERR, LOG_TAG, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, LOG_TAG, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, LOG_TAG, __VA_ARGS__)
#define log_dbg(...)  log_write(LOG_DEBUG, LOG_TAG, __VA_ARGS__)

#endif
