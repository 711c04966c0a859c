/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IOMMUs: a device reaches exactly the memory that is mapped for it.
 * Owns: which unit a device is behind, what each device reaches, what was refused.
 * Must not know: drivers. They use kernel/dma/, which asks here.
 *
 * Every device that is behind a unit has a domain of its own, but for those whose requests cannot
 * be told apart (behind a bridge to conventional PCI). Before its driver attaches it, it reaches
 * nothing but what firmware's tables reserve for it. Addresses on the bus are physical ones.
 * Interrupts are not remapped: a device can still send any message-signalled one.
 *
 * Locking: a domain's lock for its tables, below it the unit's for its queue.
 */
#ifndef RAYOS_KERNEL_IOMMU_IOMMU_H
#define RAYOS_KERNEL_IOMMU_IOMMU_H

#include "kernel/iommu/iopt.h"
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/pci/pci.h"
#include "kernel/sched/spinlock.h"

#define IOMMU_REQUESTERS_MAX 3u

/* What a unit refused. */
struct iommu_fault {
	uint16_t requester; /* bus, device, function */
	uint64_t addr;      /* on the bus */
	bool write;
	uint32_t reason;    /* as the hardware numbers it */
};

struct iommu_unit;
struct iommu_domain;

struct iommu_ops {
	const char *name; /* "vt-d" */
	const struct iopt_format *format;
	/** From now on the requester reaches what the domain has. 0, -RAY_ENOMEM. Context: thread. */
	int (*attach)(struct iommu_unit *u, const struct iommu_domain *dom, uint16_t requester);
	/** On return nothing the unit remembers of that range is older than this call. IRQs any. */
	void (*flush)(struct iommu_unit *u, const struct iommu_domain *dom, uint64_t hpa,
		      uint64_t len);
};

/* A piece of hardware; its driver's struct begins with it. */
struct iommu_unit {
	struct list_head node;
	const struct iommu_ops *ops;
	unsigned int number, levels;
	uint32_t domains_max;
	uint32_t domains;
	bool remembers_nothing_too; /* pages that were not mapped: mapping flushes as well */
	uint64_t faults;            /* atomic */
	struct iommu_fault last;    /* of them; for people */
};

struct iommu_domain {
	struct list_head node;
	struct iommu_unit *unit;
	uint16_t id;       /* within its unit, from 1 on */
	pci_bdf_t group;   /* the device, or the bridge above those that cannot be told apart */
	struct spinlock lock;
	struct iopt table;
	uint64_t maps, flushes; /* under lock */
};

/** Firmware's tables as they describe the machine; one of the two kinds there are. */
struct iommu_platform {
	const char *name;
	/** Find units and register them with iommu_unit_add(). 0, -RAY_ENODEV (there are none). */
	int (*find)(void);
	/** The unit a device is behind, NULL: none. *alias: in whose name it asks. */
	struct iommu_unit *(*unit_of)(const struct pci_dev *d, uint16_t *alias);
	/** Call @fn for each range that firmware reserves for a device. Returns: the first error. */
	int (*regions)(const struct pci_dev *d,
		       int (*fn)(void *ctx, uint64_t hpa, uint64_t len), void *ctx);
	/** All is set up: translate. 0, -RAY_ETIMEDOUT. */
	int (*enable)(void);
};
extern const struct iommu_platform vtd_platform, amdvi_platform;

/** Find and start the machine's IOMMUs, unless rayos.conf says not to. Context: init, after the
 *  devices were found, before drivers are bound. 0 also where there are none. */
int __must_check iommu_init(void);

/* For units. */
/** The smallest block of 2 to the power of so many pages, aligned, that a range lies in. Pure. */
unsigned int iommu_order(uint64_t hpa, uint64_t len);
void iommu_unit_add(struct iommu_unit *u);
/** A unit has refused something. Context: interrupt. */
void iommu_fault(struct iommu_unit *u, const struct iommu_fault *f);

/* For people and tests. */
extern struct list_head iommu_units;

#endif
