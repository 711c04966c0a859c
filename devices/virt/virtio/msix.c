/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X of virtio devices (PCI local bus 3.0, 6.8.2): table, pending bits, message control.
 * Locking: none. Words of the table are written one at a time by the guest, which masks an
 * entry while it changes it; one that does not sends its own VM a message nobody expects.
 */
#include "devices/virt/virtio/virtio_priv.h"
#include "hv/vm.h"

#define CAP_ID_MSIX    0x11u
#define CAP_LEN        12u
#define CONTROL        2u /* message control, in the capability */
#define CONTROL_MASK   0x4000u
#define CONTROL_ENABLE 0x8000u
#define ENTRY_SIZE     16u

int virtio_msix_init(struct virtio_dev *d, unsigned int bar, uint32_t table, uint32_t pba)
{
	uint8_t *cfg = d->pci.cfg;
	int cap = vpci_cap_add(&d->pci, CAP_ID_MSIX, CAP_LEN);

	if (cap < 0)
		return cap;
	d->msix.count = d->queue_count + 1;
	d->msix.cap = cap;
	cfg[cap + 2] = (uint8_t)(d->msix.count - 1);
	d->pci.wmask[cap + 3] = (CONTROL_ENABLE | CONTROL_MASK) >> 8;
	vpci_put(cfg, (unsigned int)cap + 4, 4, table | bar);
	vpci_put(cfg, (unsigned int)cap + 8, 4, pba | bar);
	virtio_msix_reset(d);
	return 0;
}

void virtio_msix_reset(struct virtio_dev *d)
{
	struct virtio_msix *x = &d->msix;

	for (unsigned int i = 0; i < VIRTIO_MSIX_MAX; i++) {
		x->entry[i].addr = 0;
		x->entry[i].data = 0;
		x->entry[i].ctrl = VIRTIO_MSIX_MASKED;
	}
	x->pending = 0;
	x->on = x->masked = false;
}

static void entry_send(struct virtio_dev *d, uint32_t i)
{
	virq_msi_send(d->dev.vm, d->msix.entry[i].addr, d->msix.entry[i].data);
}

/* What came while an entry was masked goes out when it no longer is. */
static void entry_unmasked(struct virtio_dev *d, uint32_t i)
{
	uint32_t bit = 1u << i;

	if (d->msix.masked || (d->msix.entry[i].ctrl & VIRTIO_MSIX_MASKED))
		return;
	if (__atomic_fetch_and(&d->msix.pending, ~bit, __ATOMIC_SEQ_CST) & bit)
		entry_send(d, i);
}

bool virtio_msix_send(struct virtio_dev *d, uint16_t vector)
{
	struct virtio_msix *x = &d->msix;

	if (unlikely(!x->on))
		return false;
	if (vector >= x->count)
		return true;
	if (virtio_msix_open(x, vector)) {
		entry_send(d, vector);
		return true;
	}
	__atomic_fetch_or(&x->pending, 1u << vector, __ATOMIC_SEQ_CST);
	/* Unmasked just now by another CPU, which saw no pending bit. */
	entry_unmasked(d, vector);
	return true;
}

void virtio_msix_config(struct virtio_dev *d)
{
	unsigned int at = (unsigned int)d->msix.cap + CONTROL;
	uint16_t control = (uint16_t)(d->pci.cfg[at] | d->pci.cfg[at + 1] << 8);

	d->msix.on = control & CONTROL_ENABLE;
	d->msix.masked = control & CONTROL_MASK;
	for (uint32_t i = 0; d->msix.on && i < d->msix.count; i++)
		entry_unmasked(d, i);
}

/* --- the table, by dwords --- */

uint32_t virtio_msix_table_read(const struct virtio_dev *d, uint32_t off)
{
	uint32_t i = off / ENTRY_SIZE;

	if (i >= d->msix.count)
		return 0;
	switch (off % ENTRY_SIZE / 4) {
	case 0: return (uint32_t)d->msix.entry[i].addr;
	case 1: return (uint32_t)(d->msix.entry[i].addr >> 32);
	case 2: return d->msix.entry[i].data;
	default: return d->msix.entry[i].ctrl;
	}
}

void virtio_msix_table_write(struct virtio_dev *d, uint32_t off, uint32_t value)
{
	uint32_t i = off / ENTRY_SIZE;
	uint64_t addr;

	if (i >= d->msix.count)
		return;
	addr = d->msix.entry[i].addr;
	switch (off % ENTRY_SIZE / 4) {
	case 0:
		d->msix.entry[i].addr = (addr & ~0xffffffffull) | (value & ~3u);
		break;
	case 1:
		d->msix.entry[i].addr = (uint32_t)addr | (uint64_t)value << 32;
		break;
	case 2:
		d->msix.entry[i].data = value;
		break;
	default:
		__atomic_store_n(&d->msix.entry[i].ctrl, value & VIRTIO_MSIX_MASKED, __ATOMIC_SEQ_CST);
		if (d->msix.on)
			entry_unmasked(d, i);
		break;
	}
}

uint32_t virtio_msix_pba_read(const struct virtio_dev *d, uint32_t off)
{
	return off == 0 ? d->msix.pending : 0;
}

/* --- record --- */

void virtio_msix_save(const struct virtio_dev *d, struct state_buf *b)
{
	for (uint32_t i = 0; i < d->msix.count; i++) {
		state_put_u64(b, d->msix.entry[i].addr);
		state_put_u32(b, d->msix.entry[i].data);
		state_put_u32(b, d->msix.entry[i].ctrl);
	}
	state_put_u32(b, d->msix.pending);
}

void virtio_msix_decode(const struct virtio_dev *d, struct state_buf *b, struct virtio_msix *out)
{
	*out = d->msix;
	for (uint32_t i = 0; i < d->msix.count; i++) {
		out->entry[i].addr = state_get_u64(b) & ~3ull;
		out->entry[i].data = state_get_u32(b);
		out->entry[i].ctrl = state_get_u32(b) & VIRTIO_MSIX_MASKED;
	}
	out->pending = state_get_u32(b) & (uint32_t)(BIT(d->msix.count) - 1);
}
