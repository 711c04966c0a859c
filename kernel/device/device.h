/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's devices as a tree, and the drivers there are.
 * Owns: the tree, names in it, devices' states. Must not know: any bus, driver or kind of device:
 * they embed a struct device and say what is to be said of theirs.
 *
 * In the shell a device is found by its place, /sys/devices/pci0/00:03.0/nvme0n1, or by its class,
 * /dev/block/nvme0n1; below it are its attributes: `device tree`, `dev ls`, `dev cat`.
 * Locking: one mutex. A bus's calls are made without it.
 */
#ifndef RAYOS_KERNEL_DEVICE_DEVICE_H
#define RAYOS_KERNEL_DEVICE_DEVICE_H

#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

#define DEVICE_NAME_LEN 24u

enum device_class {
	DEVICE_BUS,
	DEVICE_STORAGE, /* what disks are found behind */
	DEVICE_BLOCK,
	DEVICE_INPUT,
	DEVICE_NET,
	DEVICE_IOMMU,
	DEVICE_OTHER,
	DEVICE_CLASS_COUNT
};

enum device_state {
	DEVICE_FOUND,     /* nobody drives it */
	DEVICE_ACTIVE,
	DEVICE_SUSPENDED, /* it stands still and comes back as it was */
	DEVICE_FAILED,    /* its driver gave it up */
};

struct device;
struct device_attrs;

/* A driver, whatever its bus; the bus's own descriptor has one inside. */
struct driver {
	const char *id;        /* "nvme" */
	const char *bus;       /* "pci" */
	enum device_class cls; /* of the devices it drives */
	uint8_t priority;      /* of several that match the highest has the device */
	int (*init)(void);     /* once, before any of its devices; NULL: nothing to be done */
};

/* What a bus does with a device that hangs on it. Context: thread, one call at a time in all. */
struct device_bus {
	const char *name;
	/** Can its driver let it stand still? NULL: none of this bus's can. */
	bool (*suspends)(const struct device *d);
	/** It stands still, what it was told is kept, and all that is given to it waits; so do its
	 *  children already. 0; -RAY_EIO, -RAY_ETIMEDOUT: it goes on. */
	int (*suspend)(struct device *d);
	/** It goes on. 0, errors of the driver's: it has failed. */
	int (*resume)(struct device *d);
	/** Its driver leaves it / the best that matches takes it. 0, -RAY_ENODEV (none matches).
	 *  NULL: not by itself. */
	int (*unbind)(struct device *d);
	int (*bind)(struct device *d);
};

struct device {
	struct list_head node;       /* among its siblings */
	struct list_head children;
	struct device *parent;       /* NULL: the root */
	char name[DEVICE_NAME_LEN];  /* no two siblings have the same */
	enum device_class cls;
	enum device_state state;
	const struct driver *driver; /* NULL: none */
	const struct device_bus *bus; /* NULL: it cannot be suspended or bound by itself */
	/** Say what it is, by device_attr_*(). Context: thread; must not wait for the device. */
	void (*attrs)(const struct device *d, struct device_attrs *a);
};

/**
 * Enter a device; name, cls, state, driver, bus and attrs are filled in.
 * @parent  NULL: the root. Context: thread.
 */
void device_add(struct device *d, struct device *parent);
/** Pre: it has no children any more. Harmless for one that was not added. Context: thread. */
void device_remove(struct device *d);
void device_state_set(struct device *d, enum device_state state);
void device_driver_set(struct device *d, const struct driver *driver);

/**
 * Let a device and all below it stand still / go on / lose its driver / get one.
 * Returns: 0; -RAY_ENOSYS (it cannot do that); -RAY_EBUSY (it is not in that state); what its bus
 *          says: after a suspend that failed all goes on. Context: thread.
 */
int __must_check device_suspend(struct device *d);
int __must_check device_resume(struct device *d);
int __must_check device_unbind(struct device *d);
int __must_check device_bind(struct device *d);
/** Between these calls none of those above is under way: for buses whose devices come and go. */
void device_change_begin(void);
void device_change_end(void);

/** What drives it; of a disk, what drives its controller. NULL: nothing. */
const struct driver *device_driver(const struct device *d);

const char *device_class_name(enum device_class cls);
const char *device_state_name(enum device_state state);

/* Attributes: names are words of lower-case letters, digits and '_'. */
void device_attr_str(struct device_attrs *a, const char *name, const char *value);
void device_attr_u64(struct device_attrs *a, const char *name, uint64_t value);
void device_attr_hex(struct device_attrs *a, const char *name, uint64_t value);
void device_attr_bool(struct device_attrs *a, const char *name, bool value);

/* --- drivers --- */

/* Buses put this into what registers a driver of theirs. */
#define DRIVER_REGISTER(ident, base)                                                             \
	static const struct driver *const driver_ptr_##ident                                     \
		__attribute__((used, section("rayos_drivers"))) = &(base)

/** Call init() of every driver, the highest priority first. 0; what fails is logged. */
int drivers_init(void);
/** The drivers in their order of priority: give the one before (or NULL). NULL: no more. */
const struct driver *driver_next(const struct driver *before);

/* Devices that no bus finds: they are looked for. */
struct platform_driver {
	struct driver base;
	/** Is it there? Then take it and enter it. 0, -RAY_ENODEV, errors. Context: init. */
	int (*probe)(const struct driver *self);
};
#define PLATFORM_DRIVER(ident, ...)                                                              \
	static const struct platform_driver platform_driver_##ident = { __VA_ARGS__ };           \
	static const struct platform_driver *const platform_driver_ptr_##ident                   \
		__attribute__((used, section("rayos_platform_drivers"))) =                       \
			&platform_driver_##ident;                                                \
	DRIVER_REGISTER(platform_##ident, platform_driver_##ident.base)
/** Look for them. 0; what fails is logged. Context: init. */
int platform_probe(void);

#endif
