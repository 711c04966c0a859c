/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio over PCI from the driver's side (virtio 1.2, 4.1): registers, negotiation. */
#include "devices/host/virtio/hvio_priv.h"
#include "kernel/lib/err.h"
#include "kernel/mmio.h"
#include "kernel/sched/thread.h"
#include "kernel/time/time.h"

#define RESET_NS 1000000000ull
#define POLL_NS  1000000ull

/* --- finding the registers --- */

static void *bar_get(struct hvio *v, uint8_t bar)
{
	if (bar < HVIO_BARS_MAX && !v->bar[bar])
		v->bar[bar] = pci_bar_map(v->pci, bar, VMAP_UC);
	return bar < HVIO_BARS_MAX ? v->bar[bar] : NULL;
}

/* The area a capability leads to; of each kind the first that we can use (4.1.4.1). */
static void area_take(struct hvio *v, unsigned int cap, struct hvio_area *out)
{
	uint8_t bar = pci_read8(v->pci, cap + VIRTIO_CAP_BAR);
	uint32_t off = pci_read32(v->pci, cap + VIRTIO_CAP_OFFSET);
	uint32_t len = pci_read32(v->pci, cap + VIRTIO_CAP_LENGTH);
	void *regs;

	if (out->regs || len == 0)
		return;
	regs = bar_get(v, bar);
	if (!regs || off > v->pci->bar[bar].size || len > v->pci->bar[bar].size - off)
		return;
	out->regs = (char *)regs + off;
	out->size = len;
}

static int areas_find(struct hvio *v)
{
	unsigned int cap = pci_cap_find(v->pci, VIRTIO_CAP_VENDOR);

	for (; cap; cap = pci_cap_next(v->pci, cap)) {
		switch (pci_read8(v->pci, cap + VIRTIO_CAP_KIND)) {
		case VIRTIO_CAP_COMMON:
			area_take(v, cap, &v->common);
			break;
		case VIRTIO_CAP_NOTIFY:
			area_take(v, cap, &v->notify);
			v->notify_step = pci_read32(v->pci, cap + VIRTIO_CAP_STEP);
			break;
		case VIRTIO_CAP_DEVICE:
			area_take(v, cap, &v->device);
			break;
		default:
			break;
		}
	}
	if (!v->common.regs)
		return -RAY_ENOSYS; /* from before 1.0 */
	return v->common.size >= COMMON_SIZE && v->notify.size >= 2 ? 0 : -RAY_ENODEV;
}

/* --- negotiation --- */

static uint8_t status_get(const struct hvio *v)
{
	return mmio_read8(v->common.regs, COMMON_STATUS);
}

static void status_add(const struct hvio *v, uint8_t bits)
{
	mmio_write8(v->common.regs, COMMON_STATUS, (uint8_t)(status_get(v) | bits));
}

int hvio_reset(struct hvio *v)
{
	uint64_t end = time_now() + RESET_NS;

	mmio_write8(v->common.regs, COMMON_STATUS, 0);
	for (;;) {
		uint8_t status = status_get(v);

		if (status == 0)
			return 0;
		if (status == 0xff) {
			v->gone = true;
			return -RAY_ENODEV;
		}
		if (time_now() >= end)
			return -RAY_ETIMEDOUT;
		thread_sleep_until(time_now() + POLL_NS);
	}
}

static uint64_t features_offered(const struct hvio *v)
{
	uint64_t f;

	mmio_write32(v->common.regs, COMMON_DFSELECT, 0);
	f = mmio_read32(v->common.regs, COMMON_DF);
	mmio_write32(v->common.regs, COMMON_DFSELECT, 1);
	return f | (uint64_t)mmio_read32(v->common.regs, COMMON_DF) << 32;
}

int hvio_negotiate(struct hvio *v, uint64_t wanted)
{
	uint64_t offered;

	status_add(v, VIRTIO_S_ACKNOWLEDGE);
	status_add(v, VIRTIO_S_DRIVER);
	offered = features_offered(v);
	if (!(offered & VIRTIO_F_VERSION_1))
		return -RAY_ENOSYS;
	/* Addresses are what dma_map() gives: right with and without an IOMMU. */
	v->features = offered & (wanted | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC |
				 VIRTIO_F_ACCESS_PLATFORM);
	mmio_write32(v->common.regs, COMMON_GFSELECT, 0);
	mmio_write32(v->common.regs, COMMON_GF, (uint32_t)v->features);
	mmio_write32(v->common.regs, COMMON_GFSELECT, 1);
	mmio_write32(v->common.regs, COMMON_GF, (uint32_t)(v->features >> 32));
	status_add(v, VIRTIO_S_FEATURES_OK);
	return status_get(v) & VIRTIO_S_FEATURES_OK ? 0 : -RAY_ENOSYS;
}

void hvio_begin(struct hvio *v)
{
	status_add(v, VIRTIO_S_DRIVER_OK);
}

int hvio_init(struct hvio *v, struct pci_dev *d, uint64_t wanted)
{
	int err;

	v->pci = d;
	err = areas_find(v);
	if (!err)
		err = hvio_reset(v);
	if (!err)
		err = hvio_negotiate(v, wanted);
	return err;
}

void hvio_fini(struct hvio *v)
{
	for (unsigned int i = 0; i < HVIO_BARS_MAX; i++) {
		if (v->bar[i])
			vunmap(v->bar[i]);
	}
}

/* --- configuration --- */

static bool there(const struct hvio *v, uint32_t off, uint32_t size)
{
	return v->device.size >= size && off <= v->device.size - size;
}

uint8_t hvio_config8(const struct hvio *v, uint32_t off)
{
	return there(v, off, 1) ? mmio_read8(v->device.regs, off) : 0;
}

uint16_t hvio_config16(const struct hvio *v, uint32_t off)
{
	return there(v, off, 2) ? mmio_read16(v->device.regs, off) : 0;
}

uint32_t hvio_config32(const struct hvio *v, uint32_t off)
{
	return there(v, off, 4) ? mmio_read32(v->device.regs, off) : 0;
}

/* Of 64 bits it may change between the halves; the generation tells (2.5.1). */
uint64_t hvio_config64(const struct hvio *v, uint32_t off)
{
	uint64_t value;
	uint8_t generation;

	for (unsigned int i = 0; i < 100; i++) {
		generation = mmio_read8(v->common.regs, COMMON_GENERATION);
		value = hvio_config32(v, off) | (uint64_t)hvio_config32(v, off + 4) << 32;
		if (mmio_read8(v->common.regs, COMMON_GENERATION) == generation)
			return value;
	}
	return 0;
}

/* --- queues --- */

uint16_t hvio_queue_count(const struct hvio *v)
{
	return mmio_read16(v->common.regs, COMMON_NUMQ);
}

uint16_t hvio_queue_size(const struct hvio *v, uint16_t index)
{
	if (index >= hvio_queue_count(v))
		return 0;
	mmio_write16(v->common.regs, COMMON_Q_SELECT, index);
	return mmio_read16(v->common.regs, COMMON_Q_SIZE);
}

static void address_write(const struct hvio *v, uint32_t off, uint64_t addr)
{
	mmio_write32(v->common.regs, off, (uint32_t)addr);
	mmio_write32(v->common.regs, off + 4, (uint32_t)(addr >> 32));
}

int hvio_queue_enable(const struct hvio *v, uint16_t index, const struct hvio_queue_place *p,
		      uint32_t *notify)
{
	uint64_t at;

	mmio_write16(v->common.regs, COMMON_Q_SELECT, index);
	mmio_write16(v->common.regs, COMMON_Q_SIZE, p->size);
	mmio_write16(v->common.regs, COMMON_Q_MSIX, p->vector);
	/* It has no room for the vector (4.1.5.1.2.2). */
	if (mmio_read16(v->common.regs, COMMON_Q_MSIX) != p->vector)
		return -RAY_EIO;
	at = (uint64_t)mmio_read16(v->common.regs, COMMON_Q_NOFF) * v->notify_step;
	if (at > v->notify.size - 2u)
		return -RAY_EIO;
	*notify = (uint32_t)at;
	address_write(v, COMMON_Q_DESC, p->desc);
	address_write(v, COMMON_Q_AVAIL, p->avail);
	address_write(v, COMMON_Q_USED, p->used);
	mmio_write16(v->common.regs, COMMON_Q_ENABLE, 1);
	return 0;
}
