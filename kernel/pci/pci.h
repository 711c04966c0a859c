/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI: the devices that are there, their BARs, capabilities and interrupts, and the drivers
 * that bind to them. Segment 0 only.
 * Owns: struct pci_dev, configuration access, bus mastering (off until a driver asks).
 * Must not know: any driver; ACPI (an INTx router is registered).
 * Locking: the device list is built at init; afterwards the slots' thread alone changes it, inside
 * device_change_begin(), and pci_list_lock() keeps it as it is for who walks it then. A device
 * belongs to its driver, which serialises its own calls.
 */
#ifndef RAYOS_KERNEL_PCI_PCI_H
#define RAYOS_KERNEL_PCI_PCI_H

#include "kernel/device/device.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/list.h"
#include "kernel/lib/types.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmap.h"
#include "kernel/pci/access.h"
#include "kernel/pci/pci_regs.h"

#define PCI_BARS_MAX    6u
#define PCI_CAPS_MAX    48u
#define PCI_DEVICES_MAX 512u
#define PCI_IRQS_MAX    128u

#define PCI_BAR_F_IO       (1u << 0)
#define PCI_BAR_F_64       (1u << 1) /* uses the next BAR's register too */
#define PCI_BAR_F_PREFETCH (1u << 2)

struct pci_bar {
	uint64_t base; /* host physical or port number; 0: not assigned */
	uint64_t size; /* bytes, a power of two; 0: no such BAR */
	uint8_t flags; /* PCI_BAR_F_* */
};

struct pci_cap {
	uint16_t off;
	uint16_t id;
	bool ext;
};

enum pci_irq_mode { PCI_IRQ_NONE, PCI_IRQ_INTX, PCI_IRQ_MSI, PCI_IRQ_MSIX };

struct pci_driver;

struct pci_dev {
	struct list_head node;
	uint32_t refs; /* atomic: the list's, and who may use it when it was pulled out */
	struct device dev;
	const struct pci_access *acc;
	struct pci_dev *parent; /* the bridge above; NULL on a root bus */
	pci_bdf_t bdf;
	uint16_t vendor, device, sub_vendor, sub_device;
	uint32_t class_code; /* base, sub, interface: 24 bits */
	uint8_t revision, header;
	uint8_t int_pin;  /* 1..4 = A..D, 0: none */
	uint8_t int_line; /* as firmware left it; means something on a PC/AT only */
	uint8_t secondary, subordinate; /* bridges */
	uint8_t cap_count;
	struct pci_cap caps[PCI_CAPS_MAX];
	struct pci_bar bar[PCI_BARS_MAX];
	struct pci_bar rom;
	const struct pci_driver *driver;
	void *priv; /* the driver's */
	void *dma;  /* what it reaches (kernel/dma/); NULL: everything */
	/* Interrupts (irq.c). */
	enum pci_irq_mode irq_mode;
	uint16_t irq_slots; /* entries of irqs[] */
	uint16_t irq_live;  /* of them in use */
	void *msix_table;
	struct irq_handle **irqs;
};

/** Find all devices. Context: init, heap works. 0, -RAY_ENOMEM. */
int __must_check pci_init(void);
/** Bind drivers to them. Context: init, once, interrupts work. */
int pci_bind(void);

/** Keep it from being freed. Context: any. */
static inline void pci_get(struct pci_dev *d)
{
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
}

/** Context: as kfree(). */
static inline void pci_put(struct pci_dev *d)
{
	if (__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) == 0)
		kfree(d);
}

/** Slots below the root bus are the kernel's from now on (ACPI's _OSC says so); before, they are
 *  firmware's and left alone. Context: thread, once for a bus. */
void pci_slots_start(unsigned int root_bus);

/** Between these no device comes or goes. Context: thread. */
void pci_list_lock(void);
void pci_list_unlock(void);

/** Devices in the order they were found. */
extern struct list_head pci_devices;
#define pci_for_each(d) list_for_each_entry (d, &pci_devices, node)

/** The device at that address, or NULL. */
struct pci_dev *pci_find(pci_bdf_t bdf);
/** "ports" or "ecam": how configuration space is reached. */
const char *pci_access_name(void);

/**
 * Configuration space of any address, for those that have no struct pci_dev (AML).
 * @width  1, 2 or 4; @off aligned to it, below 4096; what is not reachable reads all ones
 */
uint32_t pci_config_read(pci_bdf_t bdf, unsigned int off, unsigned int width);
void pci_config_write(pci_bdf_t bdf, unsigned int off, unsigned int width, uint32_t v);

/* Configuration space of one device. Offsets are constants of the driver's, not hostile. */
uint8_t pci_read8(const struct pci_dev *d, unsigned int off);
uint16_t pci_read16(const struct pci_dev *d, unsigned int off);
uint32_t pci_read32(const struct pci_dev *d, unsigned int off);
void pci_write8(const struct pci_dev *d, unsigned int off, uint8_t v);
void pci_write16(const struct pci_dev *d, unsigned int off, uint16_t v);
void pci_write32(const struct pci_dev *d, unsigned int off, uint32_t v);

/** Offset of the first capability with that ID, 0 when there is none. */
unsigned int pci_cap_find(const struct pci_dev *d, unsigned int id);
unsigned int pci_ext_cap_find(const struct pci_dev *d, unsigned int id);
/** Offset of the next one of the same kind and ID after @off, 0 when there is none. */
unsigned int pci_cap_next(const struct pci_dev *d, unsigned int off);

/** Let the device reach memory by itself, or stop it. A driver calls it after its reset. */
void pci_master_set(const struct pci_dev *d, bool on);

/**
 * Map a memory BAR.
 * Returns: NULL when the BAR is absent, unassigned or of ports, or memory is short.
 *          Undone with vunmap().
 */
void *pci_bar_map(const struct pci_dev *d, unsigned int bar, enum vmap_cache cache) __must_check;

/* ---- interrupts: MSI-X, else MSI, else the pin ---- */

/** How many interrupts the device can have: entries of its MSI-X table, else 1, else 0. */
unsigned int pci_irq_count(const struct pci_dev *d);

/**
 * Have interrupt @index of the device call @fn on @cpu (a pin's interrupt goes where it is
 * routed). The kind is chosen at the first request and kept until all are released.
 * @fn  of a pin may be called for somebody else's interrupt
 * Returns: 0, -RAY_ENODEV (device has none, or nobody knows where the pin goes yet),
 *          -RAY_ERANGE (no such index), -RAY_EBUSY (taken), -RAY_ENOMEM, -RAY_ENOSPC
 */
int __must_check pci_irq_request(struct pci_dev *d, unsigned int index, unsigned int cpu, irq_fn fn,
				 void *arg, const char *name);
/** On return the handler runs nowhere any more. */
void pci_irq_release(struct pci_dev *d, unsigned int index);
void pci_irq_release_all(struct pci_dev *d);

/* ---- where a pin goes ---- */

struct pci_intx {
	uint32_t gsi;
	unsigned int flags; /* IRQ_F_* */
};
/**
 * @pin  1..4; the router knows the bridges between the device and its root bus
 * Returns: 0, -RAY_ENODEV (it does not know)
 */
typedef int (*pci_intx_router)(const struct pci_dev *d, unsigned int pin, struct pci_intx *out);
/** Set by ACPI when it has _PRT; asked before the chipset's registers. */
void pci_intx_router_set(pci_intx_router fn);
int __must_check pci_intx_route(const struct pci_dev *d, struct pci_intx *out);
/** One step up: what @pin of @d is on the bus above its parent bridge (PCI bridge spec 9.1). */
unsigned int pci_intx_swizzle(const struct pci_dev *d, unsigned int pin);

/* ---- drivers ---- */

#define PCI_ANY 0xffffu

struct pci_match {
	uint16_t vendor, device; /* or PCI_ANY */
	uint32_t class_code, class_mask; /* (dev->class_code & mask) == class_code */
};

#define PCI_MATCH_ID(v, d) { .vendor = (v), .device = (d) }
#define PCI_MATCH_CLASS(code, mask)                                                              \
	{ .vendor = PCI_ANY, .device = PCI_ANY, .class_code = (code), .class_mask = (mask) }

struct pci_driver {
	struct driver base; /* id, cls, priority */
	const struct pci_match *match;
	size_t match_count;
	/**
	 * Take the device: its decoders are on, bus mastering and interrupts are off.
	 * Returns: 0, or an error after undoing everything. Context: thread
	 */
	int (*probe)(struct pci_dev *d);
	/** Stop the device, which may be gone already, and free what probe took. Context: thread. */
	void (*remove)(struct pci_dev *d);
	/**
	 * Let it stand still: what was begun has ended, what was written is kept, it reaches no
	 * memory. NULL: it cannot. 0, or an error, and it goes on. Context: thread.
	 */
	int (*suspend)(struct pci_dev *d);
	/** The same device goes on, from its reset. 0, or an error: it has failed. */
	int (*resume)(struct pci_dev *d);
};

/* Order-free: of those that match, the one of the highest priority that takes a device has it. */
#define PCI_DRIVER(ident, ...)                                                                   \
	static const struct pci_driver pci_driver_##ident = { __VA_ARGS__ };                     \
	static const struct pci_driver *const pci_driver_ptr_##ident                             \
		__attribute__((used, section("rayos_pci_drivers"))) = &pci_driver_##ident;       \
	DRIVER_REGISTER(pci_##ident, pci_driver_##ident.base)

#endif
