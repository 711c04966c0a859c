/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wall clock of the MC146818 and its descendants.
 */
#ifndef RAYOS_KERNEL_TIME_RTC_H
#define RAYOS_KERNEL_TIME_RTC_H

#include "kernel/lib/types.h"

/* Registers as read. */
struct rtc_regs {
	uint8_t second, minute, hour, day, month, year, century, status_b;
};

/**
 * Turn registers into seconds since 1970 (UTC). Pure.
 * Returns: false when they hold no date. Trust: any bytes.
 */
bool rtc_decode(const struct rtc_regs *r, uint64_t *seconds);

/** Read the clock. Returns: false when it gives no sane date. Context: init. */
bool rtc_read(uint64_t *seconds);

#endif
