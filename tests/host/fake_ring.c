// SPDX-License-Identifier: Apache-2.0
#include "tests/host/fake_ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virt/virt.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

#define CHECK(c)                                                                           \
	do {                                                                               \
		if (!(c)) {                                                                \
			fprintf(stderr, "fake_ring: %s at line %d\n", #c, __LINE__);       \
			abort();                                                           \
		}                                                                          \
	} while (0)

/* Of the transport (devices/virt/virtio/pci.c). */
#define AREA_COMMON 0x0000u
#define AREA_DEVICE 0x2000u
#define AREA_TABLE  0x4000u
#define MSIX_CAP_ID 0x11u
#define MSIX_ENABLE 0x8000u

#define GUEST_FIRST  0x10000u
#define TABLES       16u
#define TABLE_DESCS  520u /* more than a queue may have, for who wants to be wrong */

static uint64_t guest_next;

/* --- the machine --- */

struct vm *fake_virtio_vm(unsigned int cpus)
{
	struct vm *vm = fake_vm_create(cpus);

	vm->platform = kzalloc(sizeof(*vm->platform), MEM_VDEV);
	CHECK(vm->platform);
	vm->platform->io = vio_create(vm);
	CHECK(vm->platform->io && vpci_create(vm) == 0);
	guest_next = GUEST_FIRST;
	fake_tsc = fake_now_ns * FAKE_TSC_PER_NS;
	fake_markers[0] = '\0';
	return vm;
}

void fake_virtio_vm_destroy(struct vm *vm)
{
	struct vdev *pci = fake_vdev(vm, "pci-host");

	fake_allocs_left = -1;
	while (!list_empty(&vm->attached))
		vattach_remove(list_first_entry(&vm->attached, struct vattach, node));
	pci->ops->destroy(pci);
	vio_destroy(vm->platform->io);
	kfree(vm->platform);
	fake_vm_destroy(vm);
}

struct vattach *fake_attach(struct vm *vm, const char *kind, const char *spec)
{
	struct vattach *a = NULL;
	char why[160] = "";

	if (vattach_add(vm, kind, spec, &a, why, sizeof(why))) {
		fprintf(stderr, "fake_attach: %s\n", why);
		abort();
	}
	a->told_ready = a->told_broken = (struct bucket){0}; /* as many markers as come */
	return a;
}

void fake_virtio_advance(struct vm *vm, uint64_t ns)
{
	fake_time_advance(ns);
	fake_tsc = fake_now_ns * FAKE_TSC_PER_NS;
	fake_io_run(vm);
}

uint64_t fake_guest_alloc(uint64_t size, uint64_t align)
{
	uint64_t at = ALIGN_UP(guest_next, align);

	CHECK(at + size <= FAKE_RAM_SIZE);
	guest_next = at + size;
	return at;
}

/* --- registers --- */

static uint64_t bar_memory(const struct virtio_dev *d)
{
	return VIRT_PCI_MMIO + d->pci.slot * 0x10000ull;
}

static uint16_t bar_port(const struct virtio_dev *d)
{
	return (uint16_t)(VIRT_PCI_IO + d->pci.slot * 0x40u);
}

static void pci_select(const struct virtio_dev *d, unsigned int off)
{
	fake_out(d->dev.vm, 0xcf8, 4, 0x80000000u | (uint32_t)d->pci.slot << 11 | (off & 0xfcu));
}

void fake_pci_write(struct virtio_dev *d, unsigned int off, unsigned int size, uint32_t value)
{
	pci_select(d, off);
	fake_out(d->dev.vm, (uint16_t)(0xcfc + (off & 3)), size, value);
}

uint32_t fake_pci_read(struct virtio_dev *d, unsigned int off, unsigned int size)
{
	pci_select(d, off);
	return fake_in(d->dev.vm, (uint16_t)(0xcfc + (off & 3)), size);
}

void fake_pci_setup(struct virtio_dev *d)
{
	unsigned int cap;

	fake_pci_write(d, PCI_BAR0, 4, bar_port(d));
	fake_pci_write(d, PCI_BAR0 + 4, 4, (uint32_t)bar_memory(d));
	fake_pci_write(d, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (uint32_t i = 0; i <= d->queue_count; i++) {
		uint64_t entry = bar_memory(d) + AREA_TABLE + 16 * i;

		fake_mmio_write(d->dev.vm, entry, 4, 0xfee00000);
		fake_mmio_write(d->dev.vm, entry + 8, 4, 0x50 + i);
		fake_mmio_write(d->dev.vm, entry + 12, 4, 0);
	}
	cap = fake_pci_read(d, PCI_CAP_PTR, 1);
	while (cap && fake_pci_read(d, cap, 1) != MSIX_CAP_ID)
		cap = fake_pci_read(d, cap + 1, 1);
	CHECK(cap);
	fake_pci_write(d, cap + 2, 2, MSIX_ENABLE);
}

void fake_common_write(struct virtio_dev *d, enum fake_common reg, unsigned int size,
		       uint32_t value)
{
	fake_mmio_write(d->dev.vm, bar_memory(d) + AREA_COMMON + reg, size, value);
}

uint32_t fake_common_read(struct virtio_dev *d, enum fake_common reg, unsigned int size)
{
	return (uint32_t)fake_mmio_read(d->dev.vm, bar_memory(d) + AREA_COMMON + reg, size);
}

uint64_t fake_config_read(struct virtio_dev *d, uint32_t off, unsigned int size)
{
	return fake_mmio_read(d->dev.vm, bar_memory(d) + AREA_DEVICE + off, size);
}

void fake_config_write(struct virtio_dev *d, uint32_t off, unsigned int size, uint64_t value)
{
	fake_mmio_write(d->dev.vm, bar_memory(d) + AREA_DEVICE + off, size, value);
}

void fake_notify(struct virtio_dev *d, uint16_t queue)
{
	fake_out(d->dev.vm, bar_port(d), 2, queue);
}

/* --- rings --- */

static uint16_t *avail16(struct fake_ring *r, uint32_t off)
{
	return fake_guest(r->avail + off);
}

static uint16_t *used16(struct fake_ring *r, uint32_t off)
{
	return fake_guest(r->used + off);
}

void fake_ring_init(struct fake_ring *r, struct virtio_dev *d, uint16_t index, uint16_t size)
{
	*r = (struct fake_ring){.d = d, .index = index, .size = size};
	r->desc = fake_guest_alloc(16ull * size, 16);
	r->avail = fake_guest_alloc(6 + 2ull * size, 2);
	r->used = fake_guest_alloc(6 + 8ull * size, 4);
	memset(fake_guest(r->desc), 0, r->used + 6 + 8ull * size - r->desc);
}

static void queue_gpa(struct fake_ring *r, enum fake_common reg, uint64_t gpa)
{
	fake_common_write(r->d, reg, 4, (uint32_t)gpa);
	fake_common_write(r->d, reg + 4, 4, (uint32_t)(gpa >> 32));
}

void fake_ring_enable(struct fake_ring *r)
{
	fake_common_write(r->d, FAKE_Q_SELECT, 2, r->index);
	fake_common_write(r->d, FAKE_Q_SIZE, 2, r->size);
	fake_common_write(r->d, FAKE_Q_MSIX, 2, r->index);
	queue_gpa(r, FAKE_Q_DESC, r->desc);
	queue_gpa(r, FAKE_Q_AVAIL, r->avail);
	queue_gpa(r, FAKE_Q_USED, r->used);
	fake_common_write(r->d, FAKE_Q_ENABLE, 2, 1);
}

bool fake_driver_start(struct virtio_dev *d, uint64_t features, struct fake_ring *r, uint16_t n,
		       uint16_t size)
{
	fake_pci_setup(d);
	fake_common_write(d, FAKE_STATUS, 1, 0);
	fake_common_write(d, FAKE_STATUS, 1, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER);
	features |= VIRTIO_F_VERSION_1;
	for (uint32_t i = 0; i < 2; i++) {
		fake_common_write(d, FAKE_GFSELECT, 4, i);
		fake_common_write(d, FAKE_GF, 4, (uint32_t)(features >> (32 * i)));
	}
	fake_common_write(d, FAKE_STATUS, 1,
			  VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER | VIRTIO_S_FEATURES_OK);
	if (!(fake_common_read(d, FAKE_STATUS, 1) & VIRTIO_S_FEATURES_OK))
		return false;
	fake_common_write(d, FAKE_MSIX, 2, d->queue_count);
	for (uint16_t i = 0; i < n; i++) {
		fake_ring_init(&r[i], d, i, size);
		fake_ring_enable(&r[i]);
	}
	fake_common_write(d, FAKE_STATUS, 1, VIRTIO_S_ACKNOWLEDGE | VIRTIO_S_DRIVER |
					     VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK);
	fake_io_run(d->dev.vm);
	return true;
}

struct fake_desc *fake_ring_desc(struct fake_ring *r, uint16_t i)
{
	return (struct fake_desc *)fake_guest(r->desc) + i;
}

void fake_ring_push(struct fake_ring *r, uint16_t head)
{
	/* A fuzzer puts rings anywhere. */
	r->avail_idx++;
	memcpy(avail16(r, 4 + 2u * ((r->avail_idx - 1u) & (r->size - 1u))), &head, sizeof(head));
	memcpy(avail16(r, 2), &r->avail_idx, sizeof(r->avail_idx));
}

static struct fake_desc desc_of(const struct fake_buf *b, bool last, uint16_t next)
{
	return (struct fake_desc){
		.addr = b->gpa, .len = b->len, .next = last ? 0 : next,
		.flags = (uint16_t)((b->write ? FAKE_DESC_WRITE : 0) | (last ? 0 : FAKE_DESC_NEXT))};
}

uint16_t fake_ring_add(struct fake_ring *r, const struct fake_buf *b, unsigned int n)
{
	uint16_t head = r->desc_next;

	CHECK(n > 0 && n <= r->size);
	for (unsigned int i = 0; i < n; i++) {
		uint16_t at = r->desc_next;

		r->desc_next = (uint16_t)((at + 1u) & (r->size - 1u));
		*fake_ring_desc(r, at) = desc_of(&b[i], i + 1 == n, r->desc_next);
	}
	fake_ring_push(r, head);
	return head;
}

uint16_t fake_ring_add_indirect(struct fake_ring *r, const struct fake_buf *b, unsigned int n)
{
	uint16_t head = r->desc_next;
	uint64_t table;

	CHECK(n > 0 && n <= TABLE_DESCS);
	if (!r->tables)
		r->tables = fake_guest_alloc(16ull * TABLE_DESCS * TABLES, 16);
	table = r->tables + 16ull * TABLE_DESCS * (r->table_next++ % TABLES);
	for (unsigned int i = 0; i < n; i++)
		((struct fake_desc *)fake_guest(table))[i] =
			desc_of(&b[i], i + 1 == n, (uint16_t)(i + 1));
	r->desc_next = (uint16_t)((head + 1u) & (r->size - 1u));
	*fake_ring_desc(r, head) = (struct fake_desc){.addr = table, .len = 16 * n,
						      .flags = FAKE_DESC_INDIRECT};
	fake_ring_push(r, head);
	return head;
}

void fake_ring_kick(struct fake_ring *r)
{
	fake_notify(r->d, r->index);
}

bool fake_ring_kick_wanted(struct fake_ring *r, uint16_t added)
{
	uint16_t event = *used16(r, 4 + 8u * r->size), now = r->avail_idx;

	if ((r->d->features & VIRTIO_F_EVENT_IDX) &&
	    (uint16_t)(now - event - 1) >= (uint16_t)added)
		return false;
	fake_ring_kick(r);
	return true;
}

bool fake_ring_used(struct fake_ring *r, uint32_t *head, uint32_t *len)
{
	const uint32_t *entry = fake_guest(r->used + 4 + 8ull * (r->used_seen & (r->size - 1u)));

	if (*used16(r, 2) == r->used_seen)
		return false;
	*head = entry[0];
	*len = entry[1];
	r->used_seen++;
	return true;
}

void fake_ring_used_event(struct fake_ring *r, uint16_t idx)
{
	*avail16(r, 4 + 2u * r->size) = idx;
}

void fake_ring_no_interrupt(struct fake_ring *r, bool no)
{
	*avail16(r, 0) = no;
}
