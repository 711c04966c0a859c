/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/log.h on the host: counts records, prints nothing. */
#ifndef RAYOS_TESTS_HOST_FAKE_LOG_H
#define RAYOS_TESTS_HOST_FAKE_LOG_H

#include "kernel/log.h"

static __unused unsigned int fake_log_records;

void log_write(enum log_level level, const char *tag, const char *fmt, ...)
{
	(void)level;
	(void)tag;
	(void)fmt;
	fake_log_records++;
}

#endif
