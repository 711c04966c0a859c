/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "kernel/device/device_priv.h"
#include "kernel/lib/fmt.h"

struct mutex device_lock = MUTEX_INIT(device_lock, LOCK_ORDER_NONE);
struct device device_root = {
	.node = LIST_HEAD_INIT(device_root.node),
	.children = LIST_HEAD_INIT(device_root.children),
	.cls = DEVICE_BUS,
	.state = DEVICE_ACTIVE,
};

const char *device_class_name(enum device_class cls)
{
	static const char *const names[DEVICE_CLASS_COUNT] = {
		[DEVICE_BUS] = "bus",     [DEVICE_STORAGE] = "storage", [DEVICE_BLOCK] = "block",
		[DEVICE_INPUT] = "input", [DEVICE_NET] = "net",		[DEVICE_IOMMU] = "iommu",
		[DEVICE_OTHER] = "other",
	};

	return names[cls];
}

const char *device_state_name(enum device_state state)
{
	static const char *const names[] = {
		[DEVICE_FOUND] = "found",
		[DEVICE_ACTIVE] = "active",
		[DEVICE_SUSPENDED] = "suspended",
		[DEVICE_FAILED] = "failed",
	};

	return names[state];
}

void device_add(struct device *d, struct device *parent)
{
	mutex_lock(&device_lock);
	d->parent = parent ? parent : &device_root;
	list_init(&d->children);
	list_add_tail(&d->node, &d->parent->children);
	mutex_unlock(&device_lock);
}

void device_remove(struct device *d)
{
	mutex_lock(&device_lock);
	if (d->parent) {
		list_del(&d->node);
		d->parent = NULL;
	}
	mutex_unlock(&device_lock);
}

void device_state_set(struct device *d, enum device_state state)
{
	__atomic_store_n(&d->state, state, __ATOMIC_RELAXED);
}

void device_driver_set(struct device *d, const struct driver *driver)
{
	__atomic_store_n(&d->driver, driver, __ATOMIC_RELAXED);
	device_state_set(d, driver ? DEVICE_ACTIVE : DEVICE_FOUND);
}

struct device *device_walk(const struct device *before)
{
	const struct device *d = before ? before : &device_root;

	if (!list_empty(&d->children))
		return list_first_entry(&d->children, struct device, node);
	while (d != &device_root) {
		if (d->node.next != &d->parent->children)
			return list_entry(d->node.next, struct device, node);
		d = d->parent;
	}
	return NULL;
}

const struct driver *device_driver(const struct device *d)
{
	while (d && !d->driver && d->cls == DEVICE_BLOCK)
		d = d->parent;
	return d ? d->driver : NULL;
}

/* --- attributes --- */

void device_attr_str(struct device_attrs *a, const char *name, const char *value)
{
	a->fn(a->ctx, name, value);
}

void device_attr_u64(struct device_attrs *a, const char *name, uint64_t value)
{
	char text[DEVICE_VALUE_LEN];

	ray_snprintf(text, sizeof(text), "%lu", value);
	a->fn(a->ctx, name, text);
}

void device_attr_hex(struct device_attrs *a, const char *name, uint64_t value)
{
	char text[DEVICE_VALUE_LEN];

	ray_snprintf(text, sizeof(text), "0x%lx", value);
	a->fn(a->ctx, name, text);
}

void device_attr_bool(struct device_attrs *a, const char *name, bool value)
{
	a->fn(a->ctx, name, value ? "yes" : "no");
}

void device_attrs_visit(const struct device *d,
			void (*fn)(void *ctx, const char *name, const char *value), void *ctx)
{
	struct device_attrs a = {.fn = fn, .ctx = ctx};
	const struct driver *driver = device_driver(d);

	device_attr_str(&a, "class", device_class_name(d->cls));
	device_attr_str(&a, "state", device_state_name(d->state));
	device_attr_str(&a, "driver", driver ? driver->id : "none");
	if (d->attrs)
		d->attrs(d, &a);
}
