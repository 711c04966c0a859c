/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/virt/rtc_date.h"

#define DAY_SECONDS 86400ull
#define ERA_DAYS    146097u /* 400 years */
#define EPOCH_DAYS  719468u /* 1970-01-01, counted from 0000-03-01 */
#define LAST_DAY    2932896ull /* 9999-12-31, counted from 1970 */

/* Years that begin in March put the leap day last, so that months fall by one formula. */
void rtc_date_from(uint64_t seconds, struct rtc_date *out)
{
	uint64_t days = MIN(seconds / DAY_SECONDS, LAST_DAY);
	uint32_t of_day = (uint32_t)(seconds % DAY_SECONDS);
	uint32_t z = (uint32_t)days + EPOCH_DAYS, era = z / ERA_DAYS, doe = z % ERA_DAYS;
	uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint32_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint32_t mp = (5 * doy + 2) / 153;

	out->sec = of_day % 60;
	out->min = of_day / 60 % 60;
	out->hour = of_day / 3600;
	out->wday = (uint32_t)((days + 4) % 7) + 1;
	out->day = doy - (153 * mp + 2) / 5 + 1;
	out->month = mp < 10 ? mp + 3 : mp - 9;
	out->year = yoe + era * 400 + (out->month <= 2 ? 1 : 0);
}

uint64_t rtc_date_to(const struct rtc_date *d)
{
	uint32_t months = d->year * 12 + (d->month ? d->month - 1 : 0);
	uint32_t month = months % 12 + 1, y = months / 12 - (month <= 2 ? 1 : 0);
	uint32_t era = y / 400, yoe = y % 400;
	uint32_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
	uint64_t days = (uint64_t)era * ERA_DAYS + yoe * 365 + yoe / 4 - yoe / 100 + doy +
			(d->day ? d->day - 1 : 0);

	if (d->year < 1970 || days < EPOCH_DAYS)
		return 0;
	return (days - EPOCH_DAYS) * DAY_SECONDS + d->hour * 3600ull + d->min * 60ull + d->sec;
}
