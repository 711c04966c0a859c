/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/time/rtc.h"

#define STATUS_B_BINARY 0x04u
#define STATUS_B_24H    0x02u
#define HOUR_PM         0x80u
#define YEAR_MIN        2000u
#define YEAR_MAX        2199u

static bool decode_byte(uint8_t raw, bool binary, unsigned int min, unsigned int max,
			unsigned int *out)
{
	if (!binary && ((raw & 0x0f) > 9 || raw >> 4 > 9))
		return false;
	*out = binary ? raw : (unsigned int)((raw >> 4) * 10 + (raw & 0x0f));
	return *out >= min && *out <= max;
}

static bool decode_hour(const struct rtc_regs *r, bool binary, unsigned int *out)
{
	if (r->status_b & STATUS_B_24H)
		return decode_byte(r->hour, binary, 0, 23, out);
	if (!decode_byte(r->hour & (uint8_t)~HOUR_PM, binary, 1, 12, out))
		return false;
	*out = *out % 12 + (r->hour & HOUR_PM ? 12 : 0);
	return true;
}

static bool leap(unsigned int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned int month_days(unsigned int year, unsigned int month)
{
	static const uint8_t days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && leap(year) ? 1u : 0u);
}

bool rtc_decode(const struct rtc_regs *r, uint64_t *seconds)
{
	bool binary = r->status_b & STATUS_B_BINARY;
	unsigned int second, minute, hour, day, month, year, century;
	uint64_t days = 0;

	/* A leap second is possible in theory. */
	if (!decode_byte(r->second, binary, 0, 60, &second) ||
	    !decode_byte(r->minute, binary, 0, 59, &minute) || !decode_hour(r, binary, &hour) ||
	    !decode_byte(r->day, binary, 1, 31, &day) ||
	    !decode_byte(r->month, binary, 1, 12, &month) ||
	    !decode_byte(r->year, binary, 0, 99, &year))
		return false;
	/* Where the century is, if anywhere, is not standardised: only a sane one counts. */
	if (!decode_byte(r->century, binary, YEAR_MIN / 100, YEAR_MAX / 100, &century))
		century = YEAR_MIN / 100;
	year += century * 100;
	if (day > month_days(year, month))
		return false;
	for (unsigned int y = 1970; y < year; y++)
		days += leap(y) ? 366 : 365;
	for (unsigned int m = 1; m < month; m++)
		days += month_days(year, m);
	days += day - 1;
	*seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
	return true;
}
