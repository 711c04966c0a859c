/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's side of virtio devices in tests: a small machine (PCI bus, I/O thread), a driver
 * that brings a device up through its registers, and rings that it fills as a driver would, or
 * as none should.
 *
 * What a test that includes this names in its UNIT comment, besides its device:
 *	tests/host/fake_virt.c tests/host/fake_virtio.c tests/host/fake_ring.c hv/vdev.c
 *	hv/irqchip/vlapic.c hv/irqchip/vlapic_ipi.c hv/irqchip/vlapic_reg.c
 *	hv/irqchip/vlapic_state.c hv/irqchip/vlapic_timer.c hv/irqchip/vioapic.c
 *	hv/irqchip/vpic.c hv/irqchip/virq.c devices/virt/virt.c devices/virt/pci.c
 *	devices/virt/pci_dev.c devices/virt/attach.c devices/virt/spec.c devices/virt/handler.c
 *	devices/virt/virtio/device.c devices/virt/virtio/pci.c devices/virt/virtio/msix.c
 *	devices/virt/virtio/virtq.c devices/virt/virtio/chain.c devices/virt/virtio/state.c
 *	security/quota.c kernel/lib/bucket.c kernel/lib/parse.c kernel/lib/fmt.c
 *	kernel/lib/sink.c kernel/lib/err.c kernel/lib/muldiv.c
 */
#ifndef RAYOS_TESTS_HOST_FAKE_RING_H
#define RAYOS_TESTS_HOST_FAKE_RING_H

#include "devices/virt/attach.h"
#include "devices/virt/virtio/virtio.h"
#include "tests/host/fake_virt.h"
#include "tests/host/fake_virtio.h"

/* --- the machine --- */

/** fake_vm_create() and a platform of a PCI bus and an I/O thread; guest memory is all free. */
struct vm *fake_virtio_vm(unsigned int cpus);
/** Detaches what is attached; checks that nothing leaks. */
void fake_virtio_vm_destroy(struct vm *vm);
/** `vm attach`; aborts with the reason on stderr when it is refused. */
struct vattach *fake_attach(struct vm *vm, const char *kind, const char *spec);
/** Move time and the TSC; timers fire, and what they queued for the I/O thread has run. */
void fake_virtio_advance(struct vm *vm, uint64_t ns);

/* Guest memory (FAKE_RAM_SIZE of it): never given back, reset by fake_virtio_vm(). */
uint64_t fake_guest_alloc(uint64_t size, uint64_t align);
static inline void *fake_guest(uint64_t gpa)
{
	return fake_ram + gpa;
}

/* --- registers; each access goes through the bus, as vCPU 0 --- */

/* struct virtio_pci_common_cfg (4.1.4.3) */
enum fake_common {
	FAKE_DFSELECT = 0, FAKE_DF = 4, FAKE_GFSELECT = 8, FAKE_GF = 12, FAKE_MSIX = 16,
	FAKE_NUMQ = 18, FAKE_STATUS = 20, FAKE_GENERATION = 21, FAKE_Q_SELECT = 22,
	FAKE_Q_SIZE = 24, FAKE_Q_MSIX = 26, FAKE_Q_ENABLE = 28, FAKE_Q_NOFF = 30,
	FAKE_Q_DESC = 32, FAKE_Q_AVAIL = 40, FAKE_Q_USED = 48,
};
/** Give the device's BARs their places (once, before all below) and turn MSI-X on, an entry for
 *  each queue and one for the configuration. */
void fake_pci_setup(struct virtio_dev *d);
void fake_pci_write(struct virtio_dev *d, unsigned int off, unsigned int size, uint32_t value);
uint32_t fake_pci_read(struct virtio_dev *d, unsigned int off, unsigned int size);
void fake_common_write(struct virtio_dev *d, enum fake_common reg, unsigned int size,
		       uint32_t value);
uint32_t fake_common_read(struct virtio_dev *d, enum fake_common reg, unsigned int size);
/** Device-specific configuration. */
uint64_t fake_config_read(struct virtio_dev *d, uint32_t off, unsigned int size);
void fake_config_write(struct virtio_dev *d, uint32_t off, unsigned int size, uint64_t value);
/** Notify by the port, as Linux would; what the exit handler left to the I/O thread waits. */
void fake_notify(struct virtio_dev *d, uint16_t queue);

/* --- rings --- */

#define FAKE_DESC_NEXT     1u
#define FAKE_DESC_WRITE    2u
#define FAKE_DESC_INDIRECT 4u

struct fake_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* A buffer of a chain; @write: the device writes it. */
struct fake_buf {
	uint64_t gpa;
	uint32_t len;
	bool write;
};

/* Rings begin zeroed; a test may write any of it by itself: fake_guest(r->avail) and so on. */
struct fake_ring {
	struct virtio_dev *d;
	uint16_t index, size;
	uint64_t desc, avail, used; /* gpa */
	uint64_t tables;            /* gpa: room for indirect tables, used round and round */
	uint16_t desc_next;         /* descriptors are used round and round too */
	uint16_t table_next;
	uint16_t avail_idx;         /* of what is published */
	uint16_t used_seen;
};

/** Rings of queue @index, @size entries, in guest memory; the device does not know yet. */
void fake_ring_init(struct fake_ring *r, struct virtio_dev *d, uint16_t index, uint16_t size);
/** Tell the device where it is, with its own MSI-X vector, and enable it. */
void fake_ring_enable(struct fake_ring *r);
/**
 * All of a driver's start (3.1): reset, features (VERSION_1 comes by itself), @n queues of
 * @size entries, DRIVER_OK; the I/O thread has run. @r gets the rings, n of them.
 * Returns: whether the device accepted the features
 */
bool fake_driver_start(struct virtio_dev *d, uint64_t features, struct fake_ring *r, uint16_t n,
		       uint16_t size);

struct fake_desc *fake_ring_desc(struct fake_ring *r, uint16_t i);
/** Make @head available; nothing is checked. */
void fake_ring_push(struct fake_ring *r, uint16_t head);
/** A chain of @n buffers, in descriptors or in an indirect table, made available. Returns its
 *  head. */
uint16_t fake_ring_add(struct fake_ring *r, const struct fake_buf *b, unsigned int n);
uint16_t fake_ring_add_indirect(struct fake_ring *r, const struct fake_buf *b, unsigned int n);
/** Notify, whether the device wants it or not. */
void fake_ring_kick(struct fake_ring *r);
/** Notify if the device asked for it (2.7.10), @added since the last time. Returns whether. */
bool fake_ring_kick_wanted(struct fake_ring *r, uint16_t added);
/** The next used entry. False: none. */
bool fake_ring_used(struct fake_ring *r, uint32_t *head, uint32_t *len);
/** With EVENT_IDX: interrupt when @idx has been used (2.7.7). Without: VIRTQ_AVAIL_F. */
void fake_ring_used_event(struct fake_ring *r, uint16_t idx);
void fake_ring_no_interrupt(struct fake_ring *r, bool no);

#endif
