/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio.h"

#include "guest.h"

#define PCI_ADDRESS 0xcf8u
#define PCI_DATA    0xcfcu
#define PCI_ID      0x00u
#define PCI_COMMAND 0x04u
#define PCI_BAR     0x10u
#define PCI_CAPS    0x34u
#define BAR_64      0x4u
#define COMMAND_ALL 0x7u /* ports, memory, bus master */
#define VENDOR      0x1af4u
#define DEVICE      0x1040u
#define CAP_VENDOR  0x09u
#define CAP_MSIX    0x11u

/* Where BARs go: inside the windows that the ACPI tables name. */
#define PORTS       0xc000u
#define PORTS_STEP  0x40u
#define MEMORY      0xe0000000u
#define MEMORY_STEP 0x100000u

#define HEAP_AT   0x1000000ul /* 16 MiB up to the end of what a small guest has */
#define HEAP_SIZE 0xe00000ul

static uint64_t heap_used;

static uint32_t inl(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void address(uint8_t slot, uint8_t offset)
{
	outl(PCI_ADDRESS, 0x80000000u | (uint32_t)slot << 11 | (offset & 0xfcu));
}

uint32_t pci_read(uint8_t slot, uint8_t offset)
{
	address(slot, offset);
	return inl(PCI_DATA);
}

void pci_write(uint8_t slot, uint8_t offset, uint32_t value)
{
	address(slot, offset);
	outl(PCI_DATA, value);
}

void pci_write_sized(uint8_t slot, uint8_t offset, unsigned size, uint32_t value)
{
	uint16_t port = (uint16_t)(PCI_DATA + offset % 4);

	address(slot, offset);
	if (size == 1)
		outb(port, (uint8_t)value);
	else if (size == 2)
		__asm__ volatile("outw %0, %1" : : "a"((uint16_t)value), "d"(port));
	else
		outl(port, value);
}

/* The next place in a window for a BAR of the size that @mask tells: a multiple of it. */
static uint32_t bar_place(uint32_t *next, uint32_t mask)
{
	uint32_t size = ~mask + 1, at = (*next + size - 1) & mask;

	*next = at + size;
	return at;
}

static void bars_place(struct virtio *v)
{
	uint32_t ports = PORTS + v->slot * PORTS_STEP;
	uint32_t memory = MEMORY + v->slot * MEMORY_STEP;

	for (uint8_t n = 0; n < 6; n++) {
		uint8_t at = (uint8_t)(PCI_BAR + 4 * n);
		uint32_t mask, low = pci_read(v->slot, at), kind = low & 1;

		pci_write(v->slot, at, ~0u);
		mask = pci_read(v->slot, at) & (kind ? ~3u : ~15u);
		v->bar[n] = 0;
		if (!mask)
			continue;
		if (kind)
			mask |= 0xffff0000u; /* of ports a device may leave out what is above */
		v->bar[n] = bar_place(kind ? &ports : &memory, mask);
		pci_write(v->slot, at, (uint32_t)v->bar[n]);
		if (!kind && (low & BAR_64)) {
			v->bar[++n] = 0;
			pci_write(v->slot, (uint8_t)(at + 4), 0);
		}
	}
	pci_write(v->slot, PCI_COMMAND, COMMAND_ALL);
}

static void cap_virtio(struct virtio *v, uint8_t cap)
{
	uint32_t head = pci_read(v->slot, cap);
	uint8_t type = (uint8_t)(head >> 24);
	uint8_t bar = (uint8_t)pci_read(v->slot, (uint8_t)(cap + 4));
	uint64_t at = v->bar[bar % 6] + pci_read(v->slot, (uint8_t)(cap + 8));

	if (type == 1)
		v->common = at;
	if (type == 2 && at < 0x10000) {
		v->notify_port = (uint16_t)at;
	} else if (type == 2) {
		v->notify = at;
		v->notify_step = pci_read(v->slot, (uint8_t)(cap + 16));
	}
	if (type == 3)
		v->isr = at;
	if (type == 4)
		v->config = at;
}

static void caps_read(struct virtio *v)
{
	uint8_t cap = (uint8_t)pci_read(v->slot, PCI_CAPS);

	while (cap) {
		uint32_t head = pci_read(v->slot, cap);

		if ((head & 0xff) == CAP_VENDOR)
			cap_virtio(v, cap);
		if ((head & 0xff) == CAP_MSIX) {
			uint32_t table = pci_read(v->slot, (uint8_t)(cap + 4));

			v->msix = cap;
			v->msix_table = v->bar[(table & 7) % 6] + (table & ~7u);
		}
		cap = (uint8_t)(head >> 8);
	}
}

bool virtio_find(unsigned type, unsigned n, struct virtio *v)
{
	for (uint8_t slot = 1; slot < 32; slot++) {
		if (pci_read(slot, PCI_ID) != ((DEVICE + type) << 16 | VENDOR) || n-- > 0)
			continue;
		*v = (struct virtio){.slot = slot};
		bars_place(v);
		caps_read(v);
		return true;
	}
	return false;
}

uint64_t virtio_read(const struct virtio *v, enum virtio_common reg, unsigned size)
{
	uint64_t at = v->common + reg;

	switch (size) {
	case 1: return *(volatile uint8_t *)at;
	case 2: return *(volatile uint16_t *)at;
	case 4: return *(volatile uint32_t *)at;
	default: return *(volatile uint64_t *)at;
	}
}

void virtio_write(const struct virtio *v, enum virtio_common reg, unsigned size, uint64_t value)
{
	uint64_t at = v->common + reg;

	switch (size) {
	case 1:
		*(volatile uint8_t *)at = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)at = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)at = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)at = value;
		break;
	}
}

uint8_t virtio_status(const struct virtio *v)
{
	return (uint8_t)virtio_read(v, COMMON_STATUS, 1);
}

uint64_t virtio_offered(const struct virtio *v)
{
	uint64_t low;

	virtio_write(v, COMMON_DFSELECT, 4, 0);
	low = virtio_read(v, COMMON_DF, 4);
	virtio_write(v, COMMON_DFSELECT, 4, 1);
	return low | virtio_read(v, COMMON_DF, 4) << 32;
}

bool virtio_negotiate(struct virtio *v, uint64_t features)
{
	v->features = features | VIRTIO_F_VERSION_1;
	virtio_write(v, COMMON_STATUS, 1, 0);
	virtio_write(v, COMMON_STATUS, 1, 3); /* ACKNOWLEDGE, DRIVER */
	for (unsigned half = 0; half < 2; half++) {
		virtio_write(v, COMMON_GFSELECT, 4, half);
		virtio_write(v, COMMON_GF, 4, (uint32_t)(v->features >> (32 * half)));
	}
	virtio_write(v, COMMON_STATUS, 1, 3 | VIRTIO_S_FEATURES_OK);
	return virtio_status(v) & VIRTIO_S_FEATURES_OK;
}

void virtio_driver_ok(const struct virtio *v)
{
	virtio_write(v, COMMON_STATUS, 1, 3 | VIRTIO_S_FEATURES_OK | VIRTIO_S_DRIVER_OK);
}

void virtio_msix(const struct virtio *v, unsigned n, uint8_t vector, uint32_t apic)
{
	volatile uint32_t *entry = (volatile uint32_t *)(v->msix_table + n * 16ul);

	entry[0] = 0xfee00000u | apic << 12;
	entry[1] = 0;
	entry[2] = vector;
	entry[3] = 0;
	pci_write(v->slot, v->msix, pci_read(v->slot, v->msix) | 0x80000000u);
}

void *virtio_alloc(uint64_t bytes, uint64_t align)
{
	uint64_t at = (HEAP_AT + heap_used + align - 1) & ~(align - 1);

	if (at + bytes > HEAP_AT + HEAP_SIZE) {
		print("virtio: no memory for %lu bytes\n", bytes);
		guest_exit(1);
	}
	heap_used = at + bytes - HEAP_AT;
	for (uint64_t i = 0; i < bytes; i++)
		((volatile uint8_t *)at)[i] = 0;
	return (void *)at;
}

void virtio_alloc_reset(void)
{
	heap_used = 0;
}

bool vring_setup(struct vring *r, struct virtio *v, uint16_t index, uint16_t size,
		 uint16_t msix_entry)
{
	*r = (struct vring){.v = v, .index = index, .size = size};
	virtio_write(v, COMMON_Q_SELECT, 2, index);
	if (virtio_read(v, COMMON_Q_SIZE, 2) < size)
		return false;
	r->desc = virtio_alloc(16ul * size, 4096);
	r->avail = virtio_alloc(6 + 2ul * size, 4096);
	r->used = virtio_alloc(8 + 8ul * size, 4096);
	virtio_write(v, COMMON_Q_SIZE, 2, size);
	virtio_write(v, COMMON_Q_MSIX, 2, msix_entry);
	virtio_write(v, COMMON_Q_DESC, 8, (uintptr_t)r->desc);
	virtio_write(v, COMMON_Q_AVAIL, 8, (uintptr_t)r->avail);
	virtio_write(v, COMMON_Q_USED, 8, (uintptr_t)r->used);
	virtio_write(v, COMMON_Q_ENABLE, 2, 1);
	return true;
}

uint32_t vring_used_take(struct vring *r, uint32_t *len)
{
	volatile uint32_t *entry = r->used + 1 + 2 * (r->used_seen & (r->size - 1u));

	r->used_seen++;
	*len = entry[1];
	return entry[0];
}

bool vring_wait(struct vring *r, uint16_t n, uint64_t ticks)
{
	uint64_t begin = rdtsc();

	vring_kick_port(r);
	while (vring_used_waiting(r) < n) {
		if (rdtsc() - begin > ticks)
			return false;
	}
	return true;
}

void vring_no_interrupt(struct vring *r)
{
	r->avail[0] = 1;
	r->avail[2 + r->size] = (uint16_t)(r->used_seen - 1); /* used_event, just passed */
}
