/* SPDX-License-Identifier: Apache-2.0 */
/* Suspending, resuming and binding: one at a time, children before parents and the other way. */
#include "kernel/device/device_priv.h"
#include "kernel/lib/err.h"
#define LOG_TAG "device"
#include "kernel/log.h"

static struct mutex change = MUTEX_INIT(change, LOCK_ORDER_NONE);

void device_change_begin(void)
{
	mutex_lock(&change);
}

void device_change_end(void)
{
	mutex_unlock(&change);
}

static bool suspends(const struct device *d)
{
	return d->bus && d->bus->suspends && d->bus->suspends(d);
}

/* The last of those below a device, or itself, that is in a state and of a bus that cares. */
static struct device *below(struct device *top, enum device_state state, bool last)
{
	struct device *found = NULL;

	mutex_lock(&device_lock);
	for (struct device *d = top; d; d = device_walk(d)) {
		const struct device *up = d;

		while (up && up != top)
			up = up->parent;
		if (!up)
			break;
		if (d->state == state && suspends(d)) {
			found = d;
			if (!last)
				break;
		}
	}
	mutex_unlock(&device_lock);
	return found;
}

/* Parents first. */
static int resume_below(struct device *top)
{
	struct device *d;
	int err = 0;

	while ((d = below(top, DEVICE_SUSPENDED, false)) != NULL) {
		int e = d->bus->resume(d);

		device_state_set(d, e ? DEVICE_FAILED : DEVICE_ACTIVE);
		if (e)
			log_err("device does not come back: %s device=%s", ray_strerror(e), d->name);
		err = err ? err : e;
	}
	return err;
}

static int suspend_below(struct device *top)
{
	struct device *d;

	while ((d = below(top, DEVICE_ACTIVE, true)) != NULL) {
		int err = d->bus->suspend(d);

		if (err)
			return err;
		device_state_set(d, DEVICE_SUSPENDED);
	}
	return 0;
}

static int suspend_locked(struct device *d)
{
	int err;

	if (!suspends(d))
		return -RAY_ENOSYS;
	if (d->state != DEVICE_ACTIVE)
		return -RAY_EBUSY;
	err = suspend_below(d);
	if (err)
		(void)resume_below(d);
	return err;
}

int device_suspend(struct device *d)
{
	int err;

	device_change_begin();
	err = suspend_locked(d);
	device_change_end();
	return err;
}

int device_resume(struct device *d)
{
	int err = -RAY_EBUSY;

	device_change_begin();
	if (d->state == DEVICE_SUSPENDED)
		err = resume_below(d);
	device_change_end();
	return err;
}

static int bound(struct device *d, bool want)
{
	if (!d->bus || !d->bus->bind)
		return -RAY_ENOSYS;
	if ((d->driver != NULL) == want || d->state == DEVICE_SUSPENDED)
		return -RAY_EBUSY;
	return want ? d->bus->bind(d) : d->bus->unbind(d);
}

int device_unbind(struct device *d)
{
	int err;

	device_change_begin();
	err = bound(d, false);
	device_change_end();
	return err;
}

int device_bind(struct device *d)
{
	int err;

	device_change_begin();
	err = bound(d, true);
	device_change_end();
	return err;
}
