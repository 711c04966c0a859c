/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's PCI bus 0: configuration mechanism 1, one function per slot. A device fills its
 * configuration header, describes its BARs and plugs in.
 *
 * The host bridge decodes two windows (VIRT_PCI_MMIO.., VIRT_PCI_IO..), which stand on the
 * guest bus for good; a BAR answers when it lies inside one. So a guest may move BARs while
 * other CPUs access them.
 *
 * Locking: one spinlock (order VDEV) for configuration space; BAR accesses find their BAR
 * without it. Fast ones run inside an epoch section; others pin the BAR's range and may sleep.
 */
#ifndef RAYOS_DEVICES_VIRT_PCI_H
#define RAYOS_DEVICES_VIRT_PCI_H

#include "hv/gbus.h"
#include "hv/vdev.h"
#include "kernel/lib/types.h"

#define VPCI_SLOTS       32u
#define VPCI_BARS        6u
#define VPCI_MAPPED_MAX  64u /* BARs of all devices together */
#define VPCI_CONFIG_SIZE 256u

/* Configuration header (PCI local bus specification 3.0, 6.1). */
#define PCI_VENDOR      0x00u
#define PCI_DEVICE      0x02u
#define PCI_COMMAND     0x04u
#define PCI_STATUS      0x06u
#define PCI_REVISION    0x08u
#define PCI_CLASS       0x0au /* sub-class, base class */
#define PCI_HEADER_TYPE 0x0eu
#define PCI_BAR0        0x10u
#define PCI_SUBVENDOR   0x2cu
#define PCI_SUBDEVICE   0x2eu
#define PCI_CAP_PTR     0x34u
#define PCI_INT_LINE    0x3cu
#define PCI_INT_PIN     0x3du
#define PCI_COMMAND_IO     0x0001u
#define PCI_COMMAND_MEMORY 0x0002u
#define PCI_COMMAND_MASTER 0x0004u
#define PCI_COMMAND_NO_INTX 0x0400u
#define PCI_STATUS_INTX    0x0008u
#define PCI_STATUS_CAPS    0x0010u

struct vpci_dev;

/**
 * After a write of configuration bytes by the guest (already applied to cfg under the write
 * mask). Context: vCPU thread, bus lock (a spinlock). Trust: off and len lie inside the space.
 */
typedef void (*vpci_config_fn)(struct vpci_dev *d, unsigned int off, unsigned int len);

/**
 * An access to the four bytes at window_at, which are no register but a way to somewhere else.
 * @len  1, 2 or 4 bytes from the first of them; @value in or out
 * Context: vCPU thread, no locks; the device stays until it returns. Trust: all of it
 */
typedef void (*vpci_window_fn)(struct vpci_dev *d, struct vcpu *vcpu, bool write,
			       unsigned int len, uint32_t *value);

struct vpci_bar {
	struct gbus_range range; /* fn, flags and name are the device's; base is not kept */
	uint64_t size;           /* power of two, >= 16 (memory) or 4 (I/O); 0: none */
	bool io, wide;           /* wide: 64 bits, takes the next BAR too */
	volatile uint64_t at;    /* where it answers; 0: nowhere */
};

struct vpci_dev {
	struct vm *vm;
	uint8_t cfg[VPCI_CONFIG_SIZE] __attribute__((aligned(4)));
	uint8_t wmask[VPCI_CONFIG_SIZE]; /* bits a guest may write */
	uint8_t slot;
	struct vpci_bar bar[VPCI_BARS];
	vpci_config_fn config;           /* may be NULL */
	vpci_window_fn window;           /* may be NULL; a device with one has BAR 0 */
	uint32_t window_at;              /* offset, a multiple of four */
	uint32_t cap_end;                /* first free byte for a capability */
};

/** Write @len bytes of @v into configuration or register space, the lowest first. */
static inline void vpci_put(uint8_t *bytes, unsigned int off, unsigned int len, uint64_t v)
{
	for (unsigned int i = 0; i < len; i++)
		bytes[off + i] = (uint8_t)(v >> (8 * i));
}

/** Fill a header: identity, command mask, interrupt pin A when @intx. */
void vpci_dev_init(struct vpci_dev *d, uint16_t vendor, uint16_t device, uint16_t class,
		   bool intx);
/** Describe a BAR before vpci_plug(), all of it but `at`. Its range's fn gets offsets from the
 *  BAR's start in access->offset. */
void vpci_bar_set(struct vpci_dev *d, unsigned int n, const struct vpci_bar *bar);
/** Append a capability of @len bytes (dword multiple). Offset, or -RAY_ENOSPC. */
int vpci_cap_add(struct vpci_dev *d, uint8_t id, unsigned int len);
/**
 * Put a device into a slot (@slot < 32; -1: any but 0, and one that has just become free as late
 * as can be: a guest that has not yet noticed what left it takes what comes for the same).
 * Returns: 0, -RAY_EBUSY, -RAY_ENOSPC (slots, BARs). The device is the caller's memory.
 */
int __must_check vpci_plug(struct vm *vm, struct vpci_dev *d, int slot);
/** Take it out; on return no CPU is in one of its functions. What still interrupts stops, then
 *  lowers its line (vpci_intx_set()). Context: thread. */
void vpci_unplug(struct vpci_dev *d);
/** Level of its INTA (config command and status honoured). Context: any but NMI. */
void vpci_intx_set(struct vpci_dev *d, bool level);
/** Configuration space and BAR positions of a device, inside its own record. */
void vpci_dev_save(const struct vpci_dev *d, struct state_buf *b);
/** Read it back into @cfg (VPCI_CONFIG_SIZE bytes) and check it. 0 or -RAY_EINVAL. Trust: the
 *  record. */
int __must_check vpci_dev_decode(const struct vpci_dev *d, struct state_buf *b, uint8_t *cfg);
/** Make what was decoded the device's configuration. */
void vpci_dev_apply(struct vpci_dev *d, const uint8_t *cfg);
/** Power-on: command and BARs zero. */
void vpci_dev_reset(struct vpci_dev *d);

#endif
