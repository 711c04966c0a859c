/* UNIT: kernel/device/device.c kernel/device/path.c kernel/device/change.c
 * kernel/device/driver.c kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c
 */
// SPDX-License-Identifier: Apache-2.0
/* The tree of devices: paths, attributes, standing still and going on, drivers in their order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/device/device_priv.h"
#include "kernel/lib/err.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_log.h"

void mutex_lock(struct mutex *m)
{
	assert_null(m->owner);
	m->owner = (struct thread *)m;
}

void mutex_unlock(struct mutex *m)
{
	assert_non_null(m->owner);
	m->owner = NULL;
}

/* --- drivers --- */

static char order[64];

static int init_a(void)
{
	strcat(order, "a");
	return 0;
}

static int init_b(void)
{
	strcat(order, "b");
	return -RAY_EIO;
}

static const struct driver low = {.id = "low", .bus = "x", .priority = 1, .init = init_a};
static const struct driver high = {.id = "high", .bus = "x", .priority = 9, .init = init_b};
static const struct driver same = {.id = "same", .bus = "x", .priority = 1};
DRIVER_REGISTER(low, low);
DRIVER_REGISTER(high, high);
DRIVER_REGISTER(same, same);

static int probe_none(const struct driver *self)
{
	assert_string_equal(self->id, "nowhere");
	strcat(order, "n");
	return -RAY_ENODEV;
}
PLATFORM_DRIVER(nowhere, .base = {.id = "nowhere", .bus = "platform", .priority = 5},
		.probe = probe_none);

static void test_drivers(void **state)
{
	const struct driver *d = driver_next(NULL);

	(void)state;
	assert_ptr_equal(d, &high);
	d = driver_next(d);
	assert_string_equal(d->id, "nowhere");
	d = driver_next(d);
	assert_int_equal(d->priority, 1);
	assert_int_equal(driver_next(d)->priority, 1);
	assert_ptr_not_equal(driver_next(d), d);
	assert_null(driver_next(driver_next(d)));
	order[0] = '\0';
	assert_int_equal(drivers_init(), 0);
	assert_string_equal(order, "ba");
	assert_int_equal(platform_probe(), 0);
	assert_string_equal(order, "ban");
}

/* --- the tree --- */

static char did[256];
static const char *fails;
static bool rigid;

static int note(const char *what, const struct device *d, int err)
{
	snprintf(did + strlen(did), sizeof(did) - strlen(did), "%s%s ", what, d->name);
	return fails && strcmp(fails, d->name) == 0 ? err : 0;
}

static bool suspends(const struct device *d)
{
	return !(rigid && d->driver);
}

static int suspend(struct device *d)
{
	return note("-", d, -RAY_ETIMEDOUT);
}

static int resume(struct device *d)
{
	return note("+", d, -RAY_EIO);
}

static int unbind(struct device *d)
{
	device_driver_set(d, NULL);
	return note("u", d, -RAY_EIO);
}

static int bind_(struct device *d)
{
	device_driver_set(d, &low);
	return note("b", d, -RAY_EIO);
}

static const struct device_bus bus = {.name = "x", .suspends = suspends, .suspend = suspend,
				      .resume = resume, .unbind = unbind, .bind = bind_};
static const struct device_bus leaf_bus = {.name = "y", .suspends = suspends, .suspend = suspend,
					   .resume = resume};

static void attrs(const struct device *d, struct device_attrs *a)
{
	device_attr_u64(a, "size", 42);
	device_attr_hex(a, "id", 0xbeef);
	device_attr_bool(a, "good", true);
	device_attr_str(a, "name", d->name);
}

static struct device host, ctl, disk, part, other;

static void add(struct device *d, const char *name, enum device_class cls, struct device *parent,
		const struct device_bus *b)
{
	*d = (struct device){.cls = cls, .bus = b, .attrs = attrs, .state = DEVICE_ACTIVE};
	strcpy(d->name, name);
	device_add(d, parent);
}

static int setup(void **state)
{
	(void)state;
	add(&host, "pci0", DEVICE_BUS, NULL, NULL);
	add(&ctl, "00:03.0", DEVICE_STORAGE, &host, &bus);
	device_driver_set(&ctl, &low);
	add(&disk, "nvme0n1", DEVICE_BLOCK, &ctl, &leaf_bus);
	add(&part, "nvme0n1p1", DEVICE_BLOCK, &disk, NULL);
	add(&other, "00:04.0", DEVICE_OTHER, &host, &bus);
	did[0] = '\0';
	fails = NULL;
	rigid = false;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	device_remove(&part);
	device_remove(&disk);
	device_remove(&other);
	device_remove(&ctl);
	device_remove(&host);
	device_remove(&host);
	assert_null(device_walk(NULL));
	return 0;
}

static void leads(const char *path, enum path_kind kind, const struct device *d)
{
	struct device_path p = device_path_find(path);

	assert_int_equal(p.kind, kind);
	if (d)
		assert_ptr_equal(p.device, d);
}

static void test_paths(void **state)
{
	char text[100];

	(void)state;
	leads("/", PATH_FOLDER, NULL);
	leads("/sys", PATH_FOLDER, &device_root);
	leads("/sys/devices", PATH_DEVICE, &device_root);
	leads("/sys/devices/pci0/00:03.0/nvme0n1/nvme0n1p1", PATH_DEVICE, &part);
	leads("//sys//devices/pci0/00:04.0//", PATH_DEVICE, &other);
	leads("/sys/devices/pci0/00:03.0/size", PATH_ATTR, &ctl);
	leads("/sys/devices/pci0/00:03.0/size/more", PATH_NONE, NULL);
	leads("/sys/devices/pci0/00:03.0/weight", PATH_NONE, NULL);
	leads("/sys/devices/state", PATH_NONE, NULL);
	leads("/dev", PATH_CLASSES, NULL);
	leads("/dev/block", PATH_CLASS, NULL);
	leads("/dev/block/nvme0n1", PATH_DEVICE, &disk);
	leads("/dev/block/nvme0n1/nvme0n1p1/state", PATH_ATTR, &part);
	leads("/dev/storage/nvme0n1", PATH_NONE, NULL);
	leads("/dev/blocks", PATH_NONE, NULL);
	leads("/etc", PATH_NONE, NULL);
	leads("/sys/device", PATH_NONE, NULL);
	leads("dev", PATH_NONE, NULL);
	leads("", PATH_NONE, NULL);
	leads("/dev/block/a-name-that-is-longer-than-any-can-be", PATH_NONE, NULL);
	(void)device_path_of(&part, text, sizeof(text));
	assert_string_equal(text, "/sys/devices/pci0/00:03.0/nvme0n1/nvme0n1p1");
	(void)device_path_of(&part, text, 20);
	assert_int_equal(strlen(text), 19);
}

static void collect(void *ctx, const char *name, const char *value)
{
	char *out = ctx;

	sprintf(out + strlen(out), "%s=%s ", name, value);
}

static void test_attributes(void **state)
{
	char text[256] = "";

	(void)state;
	device_attrs_visit(&ctl, collect, text);
	assert_string_equal(text, "class=storage state=active driver=low size=42 id=0xbeef "
				  "good=yes name=00:03.0 ");
}

static void test_walk(void **state)
{
	struct device *want[] = {&host, &ctl, &disk, &part, &other}, *d = NULL;

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(want); i++) {
		d = device_walk(d);
		assert_ptr_equal(d, want[i]);
	}
	assert_null(device_walk(d));
}

static void test_suspend(void **state)
{
	(void)state;
	assert_int_equal(device_suspend(&ctl), 0);
	assert_string_equal(did, "-nvme0n1 -00:03.0 ");
	assert_int_equal(disk.state, DEVICE_SUSPENDED);
	assert_int_equal(other.state, DEVICE_ACTIVE);
	assert_int_equal(device_suspend(&ctl), -RAY_EBUSY);
	assert_int_equal(device_unbind(&ctl), -RAY_EBUSY);
	did[0] = '\0';
	assert_int_equal(device_resume(&ctl), 0);
	assert_string_equal(did, "+00:03.0 +nvme0n1 ");
	assert_int_equal(disk.state, DEVICE_ACTIVE);
	assert_int_equal(device_resume(&ctl), -RAY_EBUSY);
	assert_int_equal(device_suspend(&host), -RAY_ENOSYS);
	rigid = true;
	assert_int_equal(device_suspend(&ctl), -RAY_ENOSYS);
}

/* What stands still already goes on again; what does not come back has failed. */
static void test_suspend_fails(void **state)
{
	(void)state;
	fails = "00:03.0";
	assert_int_equal(device_suspend(&ctl), -RAY_ETIMEDOUT);
	assert_string_equal(did, "-nvme0n1 -00:03.0 +nvme0n1 ");
	assert_int_equal(disk.state, DEVICE_ACTIVE);
	fails = NULL;
	assert_int_equal(device_suspend(&ctl), 0);
	fails = "00:03.0";
	assert_int_equal(device_resume(&ctl), -RAY_EIO);
	assert_int_equal(ctl.state, DEVICE_FAILED);
	assert_int_equal(disk.state, DEVICE_ACTIVE);
}

static void test_bind(void **state)
{
	(void)state;
	assert_int_equal(device_bind(&ctl), -RAY_EBUSY);
	assert_int_equal(device_unbind(&ctl), 0);
	assert_int_equal(ctl.state, DEVICE_FOUND);
	assert_int_equal(device_unbind(&ctl), -RAY_EBUSY);
	assert_int_equal(device_bind(&ctl), 0);
	assert_ptr_equal(ctl.driver, &low);
	assert_int_equal(device_bind(&disk), -RAY_ENOSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drivers),
		cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_walk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_suspend, setup, teardown),
		cmocka_unit_test_setup_teardown(test_suspend_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bind, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
