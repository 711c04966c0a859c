/* SPDX-License-Identifier: Apache-2.0 */
/* Seconds since 1970 UTC and the civil calendar (proleptic Gregorian). Pure. */
#ifndef RAYOS_DEVICES_VIRT_RTC_DATE_H
#define RAYOS_DEVICES_VIRT_RTC_DATE_H

#include "kernel/lib/types.h"

struct rtc_date {
	unsigned int sec, min, hour;
	unsigned int wday; /* 1 = Sunday */
	unsigned int day, month; /* from 1 */
	unsigned int year;
};

/** Dates behind the year 9999 wrap into it. */
void rtc_date_from(uint64_t seconds, struct rtc_date *out);
/**
 * The inverse. Fields outside their range carry over (day 32 is the next month's first);
 * before 1970 gives 0. Trust: all fields are guest-controlled.
 */
uint64_t rtc_date_to(const struct rtc_date *d);

#endif
