/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers: what there are, in the order of their priority, and those of devices no bus finds. */
#include "kernel/device/device.h"
#include "kernel/lib/err.h"
#define LOG_TAG "device"
#include "kernel/log.h"

extern const struct driver *const __start_rayos_drivers[];
extern const struct driver *const __stop_rayos_drivers[];
extern const struct platform_driver *const __start_rayos_platform_drivers[];
extern const struct platform_driver *const __stop_rayos_platform_drivers[];

/* Comes @a before @b? Those of one priority stand as they were linked. */
static bool before(const struct driver *const *a, const struct driver *const *b)
{
	return (*a)->priority != (*b)->priority ? (*a)->priority > (*b)->priority : a < b;
}

const struct driver *driver_next(const struct driver *last)
{
	const struct driver *const *from = NULL, *const *best = NULL;

	for (const struct driver *const *p = __start_rayos_drivers; p < __stop_rayos_drivers; p++) {
		if (last && *p == last)
			from = p;
	}
	for (const struct driver *const *p = __start_rayos_drivers; p < __stop_rayos_drivers; p++) {
		if ((!from || before(from, p)) && (!best || before(p, best)))
			best = p;
	}
	return best ? *best : NULL;
}

int drivers_init(void)
{
	for (const struct driver *d = driver_next(NULL); d; d = driver_next(d)) {
		int err = d->init ? d->init() : 0;

		if (err)
			log_warn("driver does not come up: %s driver=%s", ray_strerror(err), d->id);
	}
	return 0;
}

int platform_probe(void)
{
	for (const struct platform_driver *const *p = __start_rayos_platform_drivers;
	     p < __stop_rayos_platform_drivers; p++) {
		int err = (*p)->probe(&(*p)->base);

		if (err && err != -RAY_ENODEV)
			log_warn("%s refused its device: %s", (*p)->base.id, ray_strerror(err));
	}
	return 0;
}
