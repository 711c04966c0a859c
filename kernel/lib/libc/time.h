/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <time.h> of the freestanding kernel: the types only, for third-party headers that name
 * them. Time itself is kernel/time.
 */
#ifndef RAYOS_LIBC_TIME_H
#define RAYOS_LIBC_TIME_H

#include <stddef.h>
#include <stdint.h>

typedef int64_t time_t;

struct tm {
	int tm_sec;  /* 0..60 */
	int tm_min;
	int tm_hour;
	int tm_mday; /* 1..31 */
	int tm_mon;  /* 0..11 */
	int tm_year; /* since 1900 */
	int tm_wday; /* 0 = Sunday */
	int tm_yday;
	int tm_isdst;
};

#endif
