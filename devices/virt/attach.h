/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices a VM was given: from the lines of its definition (`disk = ...`, `net = ...`) or by
 * `vm attach`. An attachment lives from the VM's start to its end; a reset or a rebuild
 * destroys and makes the device anew, but the back end (a disk's data, a port on a switch),
 * its counters and quotas stay.
 * Owns: kinds, attachments. Must not know: what a kind does.
 * Locking: vm->lock.
 */
#ifndef RAYOS_DEVICES_VIRT_ATTACH_H
#define RAYOS_DEVICES_VIRT_ATTACH_H

#include "devices/virt/handler.h"
#include "devices/virt/spec.h"
#include "kernel/lib/bucket.h"
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"

struct vm;
struct vattach;
struct virtio_dev;

#define VATTACH_NAME_MAX 16u
#define VATTACH_TELL_BURST 16u /* markers at once, and then one a second */

/* One kind of device; VKIND() registers it. */
struct vkind {
	const char *name;    /* the key in definitions, "disk" */
	const char *summary; /* for `device handlers`: what it is */
	const char *options; /* what its specification may hold, for errors and help */
	const char *example; /* a specification that works, "ram=64M" */
	enum policy_device policy;
	bool single;         /* at most one for each VM */
	const struct vhandler_verb_name *verbs; /* what is counted apart, ends with a NULL name */
	/**
	 * Read the specification and, unless @a is NULL (a check only), make the back end: set
	 * a->back and the quota of a->handler. spec_all_used() is the caller's.
	 * Context: thread, vm->lock. Returns: 0 or -RAY_E*, by spec_fail() where the error alone does not say enough. Trust: the specification
	 */
	int (*open)(struct vattach *a, struct spec *s);
	/** Give the back end back. No device is there any more. Context: thread, vm->lock. */
	void (*close)(struct vattach *a);
	/** Make a device on the back end, ready to be plugged. Context: thread, vm->lock. */
	int (*create)(struct vattach *a, struct virtio_dev **out);
	/** A row of details for `device status`, "64 MiB ram, read-only". May be NULL. */
	void (*describe)(struct vattach *a, char *buf, size_t len);
};

#define VKIND(ident)                                                                               \
	static const struct vkind *const vkind_ptr_##ident                                         \
		__attribute__((used, section("rayos_vkinds"))) = &vkind_##ident

struct vattach {
	struct list_head node;  /* vm->attached */
	const struct vkind *kind;
	struct vm *vm;
	uint32_t id;            /* 0.., unique in the VM while it is up: the records' instance */
	uint32_t index;         /* 0.., among those of its kind */
	char name[VATTACH_NAME_MAX]; /* "disk0" */
	char spec[VM_DEV_SPEC_MAX];
	int slot;               /* PCI slot, -1: not plugged yet */
	void *back;             /* the kind's */
	struct virtio_dev *dev; /* while plugged */
	struct vhandler handler;
	uint64_t serial;        /* of all attachments ever made, to know one again */
	bool leaving;           /* the guest has been asked for it */
	/* Markers that the guest can cause at will. Each kind has its own: a device that becomes
	 * ready all the time must not hide that it breaks. */
	struct bucket told_ready, told_broken;
	uint64_t untold;        /* those that were too many */
	uint64_t notifies, interrupts; /* of its devices before this one */
};

/** The kind of that name, NULL: none. */
const struct vkind *vkind_find(const char *name);

/** Check a line of a definition without making anything. */
int __must_check vattach_check(const char *kind, const char *spec, char *why, size_t why_len);
/** Open everything the definition names, when the VM starts. On failure nothing is left. */
int __must_check vattach_open_all(struct vm *vm, char *why, size_t why_len);
/** Close all, when the VM has ended. Devices are gone by then. */
void vattach_close_all(struct vm *vm);
/** Create and plug the devices of all attachments. */
int __must_check vattach_create_all(struct vm *vm);
/** The n-th kind and its name, NULL behind the last. */
const struct vkind *vkind_get(unsigned int n);
const char *vkind_name(unsigned int n);

/** `vm attach`: open, create, plug while the VM is up. On success *out. */
int __must_check vattach_add(struct vm *vm, const char *kind, const char *spec,
			     struct vattach **out, char *why, size_t why_len);
/** Off the bus at once, and closed. Context: vm->lock. */
void vattach_remove(struct vattach *a);
/** vattach_remove() under the guest's hands, as when a card is pulled: it is told afterwards. */
void vattach_pull(struct vattach *a);
/**
 * Ask the guest to let go: vattach_remove() follows when it does, or when the VM is reset.
 * Returns: 0, -RAY_EINVAL (paused), -RAY_ENOSYS (the guest would not hear of it), with @why.
 */
int __must_check vattach_ask(struct vattach *a, char *why, size_t why_len);
/** vattach_remove() for all whose slot's bit is set. */
void vattach_remove_slots(struct vm *vm, uint32_t slots);
/** Other limits from now on; use and counts stay. Context: vm->lock. */
void vattach_limit(struct vattach *a, const struct quota_limits *limits);
/** Another limit of all network cards together, until the VM ends. Context: vm->lock. */
void vattach_limit_net(struct vm *vm, const struct quota_limits *limits);
/** Write the name of the @index-th of a kind, VATTACH_NAME_MAX bytes. */
void vattach_name(char *name, const char *kind, unsigned int index);
/** By name ("disk0"); NULL: none. */
struct vattach *vattach_find(struct vm *vm, const char *name);

#endif
