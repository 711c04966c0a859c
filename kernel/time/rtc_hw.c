/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/time/rtc.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

#define RTC_SECOND   0x00
#define RTC_MINUTE   0x02
#define RTC_HOUR     0x04
#define RTC_DAY      0x07
#define RTC_MONTH    0x08
#define RTC_YEAR     0x09
#define RTC_STATUS_A 0x0a
#define RTC_STATUS_B 0x0b
#define RTC_CENTURY  0x32 /* where the FADT of PCs puts it */

#define STATUS_A_UPDATING 0x80

#define READS_MAX  100000 /* an update takes up to 2 ms */
#define ROUNDS_MAX 4

static uint8_t cmos_read(uint8_t reg)
{
	out8(CMOS_INDEX, reg);
	return in8(CMOS_DATA);
}

static bool read_regs(struct rtc_regs *r)
{
	for (int i = 0; cmos_read(RTC_STATUS_A) & STATUS_A_UPDATING; i++)
		if (i == READS_MAX)
			return false;
	r->second = cmos_read(RTC_SECOND);
	r->minute = cmos_read(RTC_MINUTE);
	r->hour = cmos_read(RTC_HOUR);
	r->day = cmos_read(RTC_DAY);
	r->month = cmos_read(RTC_MONTH);
	r->year = cmos_read(RTC_YEAR);
	r->century = cmos_read(RTC_CENTURY);
	r->status_b = cmos_read(RTC_STATUS_B);
	return true;
}

bool rtc_read(uint64_t *seconds)
{
	struct rtc_regs a, b;

	/* An update can begin between two registers: only two equal readings count. */
	for (int round = 0; round < ROUNDS_MAX; round++) {
		if (!read_regs(&a) || !read_regs(&b))
			return false;
		if (memcmp(&a, &b, sizeof(a)) == 0)
			return rtc_decode(&a, seconds);
	}
	return false;
}
