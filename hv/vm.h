/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual machines: definition, life cycle, registry.
 * Owns: struct vm and the list of all. Must not know: which vendor runs it.
 * Locking: vm->lock (mutex) for life-cycle changes; the registry has its own.
 */
#ifndef RAYOS_HV_VM_H
#define RAYOS_HV_VM_H

#include "hv/gbus.h"
#include "hv/gmem.h"
#include "hv/msr_map.h"
#include "hv/seed.h"
#include "hv/vcpu.h"
#include "hv/vdev.h"
#include "hv/virq.h"
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "security/quota.h"
#include "kernel/sched/wait.h"

#define VM_MAX          64u
#define VM_NAME_MAX     32u  /* with the NUL; [a-z0-9][a-z0-9._-]* */
#define VM_FILE_MAX     64u  /* module names, with the NUL */
#define VM_CMDLINE_MAX  2048u
#define VM_VCPU_MAX     8u
#define VM_MEMORY_MIN   MIB(16)
#define VM_DEV_MAX      16u  /* devices in a definition */
#define VM_DEV_KIND_MAX 12u  /* with the NUL, as those below */
#define VM_DEV_SPEC_MAX 160u

/* One definition serves rayos.conf, the shell and later the stored form. */
struct vm_def {
	char name[VM_NAME_MAX];
	char kernel[VM_FILE_MAX];
	char initrd[VM_FILE_MAX];   /* empty: none */
	char cmdline[VM_CMDLINE_MAX];
	uint64_t memory;            /* bytes, 2 MiB multiple */
	uint32_t vcpus;
	bool autostart;
	bool testdev;
	uint64_t net_rate;          /* bits a second that all its network cards may send, 0: unlimited */
	struct vm_seed seed;        /* what a cloud image is told; a disk of it is made */
	/* Devices beyond the standard ones; what a specification means devices/virt knows. */
	uint32_t dev_count;
	struct vm_dev_def {
		char kind[VM_DEV_KIND_MAX];
		char spec[VM_DEV_SPEC_MAX];
	} dev[VM_DEV_MAX];
};

enum vm_state { VM_DEFINED, VM_RUNNING, VM_PAUSED, VM_STOPPED, VM_CRASHED, VM_STATE_COUNT };

struct vuart;
struct vplatform;

struct vm {
	struct vm_def def;
	uint32_t id;             /* 1.., unique since boot */
	enum vm_state state;
	struct mutex lock;
	struct list_head node;   /* registry */
	uint32_t refs;

	/* Present while RUNNING or PAUSED. */
	struct gmem mem;
	volatile uint64_t mem_round; /* of vcpu_mem_settle() */
	bool mem_short;             /* the host had none when it asked for more: logged */
	struct gbus bus;
	struct vcpu *vcpu[VM_VCPU_MAX];
	uint32_t vcpu_count;
	struct list_head vdevs;
	bool devices_open;       /* what is attached outlasts a reset */
	struct list_head attached; /* devices/virt: from the VM's start to its end, over resets */
	struct quota net_quota;    /* and so long: def.net_rate, or what was set since */
	struct vioapic *ioapic;
	struct vpic *pic;
	struct vuart *uart;
	struct vplatform *platform; /* RTC, PIT, PM, PCI: devices/virt */
	struct msr_map msr_map;     /* what the CPU lets pass */
	uint64_t tsc_offset;        /* guest TSC - host TSC, the same for all vCPUs at start */
	uint64_t clock_ref_tsc;     /* kvm-clock: guest TSC and nanoseconds that belong together */
	uint64_t clock_ref_ns;
	uint32_t clock_mul;
	int8_t clock_shift;
	volatile uint32_t running_vcpus;
	struct waitq idle_wait;     /* woken when running_vcpus reaches 0, and when it is down */
	uint32_t end_claimed;       /* whoever sets it writes `reason`, then `ending` */
	volatile uint32_t ending;   /* enum vm_end */
	volatile uint64_t end_count; /* times the reaper has taken it down */
	char reason[128];           /* why it stopped, for list and markers */
	uint32_t pause_claimed;     /* whoever sets it writes `pause_reason`, then `pause_asked` */
	volatile uint32_t pause_asked;
	char pause_reason[128];     /* a device's, until it is resumed; empty: an operator paused it */
	uint64_t started_ns;
	uint64_t start_tsc;         /* when its start was asked for */
	uint64_t first_output_tsc;  /* of its console's first byte since; 0: none yet */
	uint64_t crash_count, reset_count;
};

/* Registry. A reference keeps the struct; state may change under it. */
struct vm *vm_get(const char *name);
void vm_put(struct vm *vm);
/** Call fn for each VM in order of definition; stops at non-zero and returns it. */
int vm_for_each(int (*fn)(struct vm *vm, void *ctx), void *ctx);

/** Check a definition: 0, or -RAY_EINVAL/-RAY_ERANGE/-RAY_EEXIST with *why naming the field. */
int __must_check vm_def_check(const struct vm_def *def, char *why, size_t why_len);
/** Another device. 0, -RAY_ENOENT (no such kind; @why is untouched), other -RAY_E* with *why.
 *  Trust: kind and specification. */
int __must_check vm_def_device_add(struct vm_def *def, const char *kind, const char *spec,
				   char *why, size_t why_len);
int __must_check vm_define(const struct vm_def *def, char *why, size_t why_len);
int __must_check vm_undefine(struct vm *vm, char *why, size_t why_len);
/** Reserve, load, start. On failure nothing is left. Context: thread. */
int __must_check vm_start(struct vm *vm, char *why, size_t why_len);
/** ACPI power button. */
int __must_check vm_stop(struct vm *vm);
int __must_check vm_kill(struct vm *vm, const char *reason);
int __must_check vm_pause(struct vm *vm);
int __must_check vm_resume(struct vm *vm);
/**
 * From a device that cannot go on before somebody has done something: the VM is paused, for the
 * reason that was given first, until vm_resume().
 * Context: any but NMI; returns at once, the guest runs on for a moment.
 */
void vm_pause_for(struct vm *vm, const char *fmt, ...) __printf_fmt(2, 3);
int __must_check vm_reset(struct vm *vm);

enum vm_end { VM_END_NONE, VM_END_POWEROFF, VM_END_EXIT, VM_END_CRASH, VM_END_KILL, VM_END_RESET };
/**
 * From a vCPU or device: the guest powered off, exited, crashed or asked for a reset. Records
 * the first reason, makes all vCPUs leave; a reaper thread frees what the VM held.
 * Context: any but NMI; returns at once.
 */
void vm_end(struct vm *vm, enum vm_end how, const char *fmt, ...) __printf_fmt(3, 4);

/**
 * gmem_populate() that waits for the host to have memory, as vcpu_populate() does for a vCPU.
 * Returns: 0, -RAY_EFAULT, -RAY_ENOMEM (the VM ends). Context: thread, not a vCPU's, no lock.
 * Trust: gpa, len.
 */
int __must_check vm_populate(struct vm *vm, gpa_t gpa, uint64_t len);

const char *vm_state_name(enum vm_state s);

/**
 * Save everything of a paused VM but its memory, and put it back into a paused VM of the same
 * shape: a sequence of records {name, instance, version, length, bytes}, one for the clock, each
 * vCPU and each device. The guest's clocks stand still between the two.
 * Returns: 0, -RAY_EINVAL (not paused; load: damaged, or of another version), -RAY_ENOENT (load:
 * not of this VM), -RAY_EEXIST (load: a record twice), save: -RAY_ENOSPC. Nothing changed when the heads of the records say so;
 * after a record that is bad inside, *why names it and the VM is not to run on.
 * Trust: the records.
 */
int __must_check vm_state_save(struct vm *vm, struct state_buf *b);
int __must_check vm_state_load(struct vm *vm, struct state_buf *b, char *why, size_t why_len);

/** What vm_rebuild() did. */
struct vm_rebuild_stats {
	unsigned int records;
	size_t bytes;
	uint64_t ns; /* the guest stood for */
};
/**
 * Save the state of a running or paused VM, take its vCPUs and devices apart, build them anew
 * around the memory, load the state and go on. The guest does not notice; what it wrote to its
 * serial port so far is forgotten. A VM that cannot be put together again ends as crashed.
 * Context: thread. Returns: 0, -RAY_EINVAL (not running), other -RAY_E* (*why).
 */
int __must_check vm_rebuild(struct vm *vm, struct vm_rebuild_stats *out, char *why, size_t why_len);

#endif
