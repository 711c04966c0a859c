/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of kernel/device/ share. */
#ifndef RAYOS_KERNEL_DEVICE_DEVICE_PRIV_H
#define RAYOS_KERNEL_DEVICE_DEVICE_PRIV_H

#include "kernel/device/device.h"
#include "kernel/sched/wait.h"

#define DEVICE_VALUE_LEN 64u

/* Attributes are visited: each is handed to fn. */
struct device_attrs {
	void (*fn)(void *ctx, const char *name, const char *value);
	void *ctx;
};
/** All of a device's, those that every one has first. Context: device_lock. */
void device_attrs_visit(const struct device *d,
			void (*fn)(void *ctx, const char *name, const char *value), void *ctx);

extern struct mutex device_lock;
extern struct device device_root;

/* What a path names. */
enum path_kind {
	PATH_NONE,
	PATH_FOLDER,  /* one that is no device: "/", "/dev" */
	PATH_CLASSES, /* "/dev" */
	PATH_CLASS,   /* "/dev/block" */
	PATH_DEVICE,
	PATH_ATTR,
};
struct device_path {
	enum path_kind kind;
	struct device *device;
	enum device_class cls;
	char attr[DEVICE_NAME_LEN];
};
/** Find what a path names. Context: device_lock. Trust: @path is the operator's. */
struct device_path device_path_find(const char *path);
/** The path of a device in the tree. Returns: its length, as ray_snprintf(). */
size_t device_path_of(const struct device *d, char *out, size_t len);
/** The next one in the tree, parents before children; NULL: no more. Context: device_lock. */
struct device *device_walk(const struct device *before);

#endif
