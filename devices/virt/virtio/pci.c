/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio over PCI (virtio 1.2, 4.1), modern only: capabilities, common configuration, notify.
 *
 *	BAR 0, ports: notify, the queue's number is what is written
 *	BAR 1, memory: common configuration, ISR, device configuration, notify, MSI-X
 *
 * The port is listed first: it costs a guest half of what memory does.
 * Locking: see virtio.h. Trust: offsets lie inside the BAR, all else is the guest's.
 */
#include <string.h>

#include "devices/virt/virtio/virtio_priv.h"
#include "hv/vm.h"
#include "kernel/lib/checked.h"
#include "kernel/lib/err.h"

#define VIRTIO_REVISION 1u

#define BAR_PORT   0u
#define BAR_MEMORY 1u
#define PORT_SIZE  16u
#define MEM_COMMON 0x0000u
#define MEM_ISR    0x1000u
#define MEM_DEVICE 0x2000u
#define MEM_NOTIFY 0x3000u
#define MEM_TABLE  0x4000u
#define MEM_PBA    0x5000u
#define MEM_SIZE   0x8000u
#define MEM_AREA   0x1000u
#define NOTIFY_STEP 4u

#define CAP_SIZE        16u
#define CAP_NOTIFY_SIZE 20u
#define CAP_PCI_SIZE    20u

/* --- notify --- */

static bool notify(struct virtio_dev *d, uint32_t queue, bool fast)
{
	struct virtq *q;

	if (unlikely(queue >= d->queue_count))
		return true;
	q = &d->queue[queue];
	if (likely(fast)) {
		virtq_notified(q);
	} else {
		q->notified++;
		virtq_kick(q);
	}
	return true;
}

static bool port_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct virtio_dev *d = container_of(r, struct virtio_dev, pci.bar[BAR_PORT].range);

	(void)vcpu;
	if (likely(a->write))
		return notify(d, (uint32_t)a->data & 0xffff, fast);
	a->data = 0;
	return true;
}

/* --- common configuration --- */

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select > 1 ? 0 : (uint32_t)(features >> (32 * select));
}

static void queue_image(const struct virtio_dev *d, uint8_t *image)
{
	const struct virtq *q;

	if (d->queue_select >= d->queue_count)
		return; /* size 0: there is none */
	q = &d->queue[d->queue_select];
	vpci_put(image, COMMON_Q_SIZE, 2, q->size);
	vpci_put(image, COMMON_Q_MSIX, 2, q->vector);
	vpci_put(image, COMMON_Q_ENABLE, 2, q->wanted);
	vpci_put(image, COMMON_Q_NOFF, 2, q->index);
	vpci_put(image, COMMON_Q_DESC, 8, q->desc);
	vpci_put(image, COMMON_Q_AVAIL, 8, q->avail);
	vpci_put(image, COMMON_Q_USED, 8, q->used);
}

static uint64_t common_read(struct virtio_dev *d, uint32_t off, unsigned int size)
{
	uint8_t image[COMMON_SIZE] = {0};
	uint64_t flags = spin_lock_irqsave(&d->lock), v = 0;

	vpci_put(image, COMMON_DFSELECT, 4, d->feature_select);
	vpci_put(image, COMMON_DF, 4, feature_word(d->offered, d->feature_select));
	vpci_put(image, COMMON_GFSELECT, 4, d->driver_feature_select);
	vpci_put(image, COMMON_GF, 4, feature_word(d->driver_features, d->driver_feature_select));
	vpci_put(image, COMMON_MSIX, 2, d->config_vector);
	vpci_put(image, COMMON_NUMQ, 2, d->queue_count);
	vpci_put(image, COMMON_STATUS, 1, d->status);
	vpci_put(image, COMMON_GENERATION, 1, d->generation);
	vpci_put(image, COMMON_Q_SELECT, 2, d->queue_select);
	queue_image(d, image);
	spin_unlock_irqrestore(&d->lock, flags);
	for (unsigned int i = 0; i < size && off + i < COMMON_SIZE; i++)
		v |= (uint64_t)image[off + i] << (8 * i);
	return v;
}

static void half_set(uint64_t *v, uint32_t off, uint32_t value)
{
	if (off % 8 == 0)
		*v = (*v & ~0xffffffffull) | value;
	else
		*v = (uint32_t)*v | (uint64_t)value << 32;
}

static uint16_t vector_checked(const struct virtio_dev *d, uint32_t vector)
{
	return vector < d->msix.count ? (uint16_t)vector : (uint16_t)VIRTIO_NO_VECTOR;
}

/* A queue's registers count only while it is off (4.1.5.1.3): a live ring does not move. */
static void queue_write(struct virtio_dev *d, uint32_t off, unsigned int size, uint32_t value)
{
	struct virtq *q;

	if (d->queue_select >= d->queue_count)
		return;
	q = &d->queue[d->queue_select];
	if (size == 2 && off == COMMON_Q_MSIX) {
		q->vector = vector_checked(d, value);
		return;
	}
	if (q->wanted)
		return;
	if (size == 2 && off == COMMON_Q_SIZE) {
		if (value > 0 && value <= q->size_max && !(value & (value - 1)))
			q->size = (uint16_t)value;
	} else if (size == 2 && off == COMMON_Q_ENABLE) {
		q->wanted = value == 1;
	} else if (size == 4 && off >= COMMON_Q_DESC && off < COMMON_SIZE) {
		half_set(off < COMMON_Q_AVAIL ? &q->desc : off < COMMON_Q_USED ? &q->avail : &q->used,
			 off, value);
	}
}

static void features_write(struct virtio_dev *d, uint32_t value)
{
	if (d->driver_feature_select < 2 && !(d->status & VIRTIO_S_FEATURES_OK))
		half_set(&d->driver_features, d->driver_feature_select * 4, value);
}

/* Each register takes accesses of its own width, 64-bit ones of their halves (4.1.3.1). */
static void common_write(struct virtio_dev *d, uint32_t off, unsigned int size, uint32_t value)
{
	uint64_t flags;

	if (off == COMMON_STATUS && size == 1) {
		virtio_status_write(d, (uint8_t)value);
		return;
	}
	flags = spin_lock_irqsave(&d->lock);
	if (size == 4 && off == COMMON_DFSELECT)
		d->feature_select = value;
	else if (size == 4 && off == COMMON_GFSELECT)
		d->driver_feature_select = value;
	else if (size == 4 && off == COMMON_GF)
		features_write(d, value);
	else if (size == 2 && off == COMMON_MSIX)
		d->config_vector = vector_checked(d, value);
	else if (size == 2 && off == COMMON_Q_SELECT)
		d->queue_select = (uint16_t)value;
	else if (off >= COMMON_Q_SIZE)
		queue_write(d, off, size, value);
	spin_unlock_irqrestore(&d->lock, flags);
}

/* --- the other areas --- */

static uint64_t isr_read(struct virtio_dev *d)
{
	uint8_t isr = __atomic_exchange_n(&d->isr, 0, __ATOMIC_SEQ_CST);

	/* Lowered even when nothing was there: who raised it may have been slow to do so. */
	vpci_intx_set(&d->pci, false);
	if (__atomic_load_n(&d->isr, __ATOMIC_SEQ_CST))
		vpci_intx_set(&d->pci, true);
	return isr;
}

static uint64_t config_read(struct virtio_dev *d, uint32_t off, unsigned int size)
{
	uint64_t flags = spin_lock_irqsave(&d->lock), v = 0;

	for (unsigned int i = 0; i < size && off + i < d->config_size; i++)
		v |= (uint64_t)d->config[off + i] << (8 * i);
	spin_unlock_irqrestore(&d->lock, flags);
	return v;
}

static void config_write(struct virtio_dev *d, uint32_t off, unsigned int size, uint64_t value)
{
	uint8_t bytes[8];
	uint64_t flags;

	if (!d->ops->config_write || off >= d->config_size)
		return;
	vpci_put(bytes, 0, 8, value);
	flags = spin_lock_irqsave(&d->lock);
	d->ops->config_write(d, off, MIN(size, d->config_size - off), bytes);
	spin_unlock_irqrestore(&d->lock, flags);
}

static uint64_t area_read(struct virtio_dev *d, uint32_t off, unsigned int size)
{
	uint32_t in = off % MEM_AREA;

	switch (off - in) {
	case MEM_COMMON: return common_read(d, in, size);
	case MEM_ISR: return in == 0 ? isr_read(d) : 0;
	case MEM_DEVICE: return config_read(d, in, size);
	case MEM_TABLE: return size == 4 && in % 4 == 0 ? virtio_msix_table_read(d, in) : 0;
	case MEM_PBA: return size == 4 && in % 4 == 0 ? virtio_msix_pba_read(d, in) : 0;
	default: return 0;
	}
}

static void area_write(struct virtio_dev *d, uint32_t off, unsigned int size, uint64_t value)
{
	uint32_t in = off % MEM_AREA;

	switch (off - in) {
	case MEM_COMMON:
		common_write(d, in, size, (uint32_t)value);
		break;
	case MEM_DEVICE:
		config_write(d, in, size, value);
		break;
	case MEM_TABLE:
		if (size == 4 && in % 4 == 0)
			virtio_msix_table_write(d, in, (uint32_t)value);
		break;
	default:
		break; /* read-only, or nothing there */
	}
}

/* An access of eight bytes is two of four: that is what drivers mean by it. */
static void area_access(struct virtio_dev *d, struct gbus_access *a)
{
	bool two = a->size == 8 && a->offset - a->offset % MEM_AREA != MEM_DEVICE;
	unsigned int size = two ? 4 : a->size;

	if (a->write) {
		area_write(d, a->offset, size, two ? (uint32_t)a->data : a->data);
		if (two)
			area_write(d, a->offset + 4, 4, a->data >> 32);
		return;
	}
	a->data = area_read(d, a->offset, size);
	if (two)
		a->data |= area_read(d, a->offset + 4, 4) << 32;
}

static bool memory_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct virtio_dev *d = container_of(r, struct virtio_dev, pci.bar[BAR_MEMORY].range);

	(void)vcpu;
	if (a->write && a->offset - a->offset % MEM_AREA == MEM_NOTIFY)
		return notify(d, a->offset % MEM_AREA / NOTIFY_STEP, fast);
	if (fast)
		return false;
	area_access(d, a);
	return true;
}

/* --- configuration space --- */

static void pci_config(struct vpci_dev *p, unsigned int off, unsigned int len)
{
	struct virtio_dev *d = container_of(p, struct virtio_dev, pci);
	unsigned int control = (unsigned int)d->msix.cap + 2;

	if (off < control + 2 && off + len > control)
		virtio_msix_config(d);
}

/* Through pci_cfg_data to a BAR, for who cannot reach memory (4.1.4.9). */
static void pci_window(struct vpci_dev *p, struct vcpu *vcpu, bool write, unsigned int len,
		       uint32_t *value)
{
	const uint8_t *cap = p->cfg + p->window_at - VIRTIO_CAP_DATA;
	struct gbus_access a = {.write = write, .data = *value};
	uint8_t n = __atomic_load_n(cap + VIRTIO_CAP_BAR, __ATOMIC_RELAXED);
	struct vpci_bar *bar;
	uint32_t length;

	/* Once: another vCPU may be changing them. */
	a.offset = __atomic_load_n((const uint32_t *)(cap + VIRTIO_CAP_OFFSET), __ATOMIC_RELAXED);
	length = __atomic_load_n((const uint32_t *)(cap + VIRTIO_CAP_LENGTH), __ATOMIC_RELAXED);
	if (n > BAR_MEMORY || (length != 1 && length != 2 && length != 4) ||
	    length > len || a.offset % length)
		return;
	bar = &p->bar[n];
	if (!range_inside(a.offset, length, 0, bar->size))
		return;
	a.size = (uint8_t)length;
	a.data &= BIT(8 * length) - 1;
	(void)bar->range.fn(&bar->range, vcpu, &a, false);
	*value = (uint32_t)(a.data & (BIT(8 * length) - 1));
}

struct place {
	uint8_t type, size, bar;
	uint32_t offset, length;
	uint32_t step; /* notify_off_multiplier */
};

/* Returns where it is, or an error. */
static int cap_add(struct virtio_dev *d, const struct place *p)
{
	int at = vpci_cap_add(&d->pci, VIRTIO_CAP_VENDOR, p->size);
	uint8_t *cap;

	if (at < 0)
		return at;
	cap = d->pci.cfg + at;
	cap[2] = p->size;
	cap[3] = p->type;
	cap[VIRTIO_CAP_BAR] = p->bar;
	vpci_put(cap, VIRTIO_CAP_OFFSET, 4, p->offset);
	vpci_put(cap, VIRTIO_CAP_LENGTH, 4, p->length);
	if (p->type == VIRTIO_CAP_NOTIFY)
		vpci_put(cap, VIRTIO_CAP_STEP, 4, p->step);
	return at;
}

static int window_add(struct virtio_dev *d)
{
	int at = cap_add(d, &(struct place){.type = VIRTIO_CAP_PCI, .size = CAP_PCI_SIZE});

	if (at < 0)
		return at;
	d->pci.wmask[(unsigned int)at + VIRTIO_CAP_BAR] = 0xff;
	memset(d->pci.wmask + at + VIRTIO_CAP_OFFSET, 0xff, 8);
	d->pci.window = pci_window;
	d->pci.window_at = (uint32_t)at + VIRTIO_CAP_DATA;
	return 0;
}

/* The list begins with what is added last, and a driver takes the first of a type. */
static int caps_add(struct virtio_dev *d)
{
	const struct place places[] = {
		{VIRTIO_CAP_DEVICE, CAP_SIZE, BAR_MEMORY, MEM_DEVICE, MEM_AREA, 0},
		{VIRTIO_CAP_ISR, CAP_SIZE, BAR_MEMORY, MEM_ISR, 4, 0},
		{VIRTIO_CAP_NOTIFY, CAP_NOTIFY_SIZE, BAR_MEMORY, MEM_NOTIFY,
		 NOTIFY_STEP * d->queue_count, NOTIFY_STEP},
		{VIRTIO_CAP_NOTIFY, CAP_NOTIFY_SIZE, BAR_PORT, 0, 2, 0},
		{VIRTIO_CAP_COMMON, CAP_SIZE, BAR_MEMORY, MEM_COMMON, COMMON_SIZE, 0},
	};
	int at = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(places) && at >= 0; i++) {
		if (places[i].type != VIRTIO_CAP_DEVICE || d->config_size)
			at = cap_add(d, &places[i]);
	}
	return at < 0 ? at : 0;
}

int virtio_pci_init(struct virtio_dev *d)
{
	const struct vpci_bar port = {
		.range = {.fn = port_access, .flags = GBUS_F_FAST, .name = d->ops->name},
		.size = PORT_SIZE, .io = true};
	const struct vpci_bar memory = {
		.range = {.fn = memory_access, .flags = GBUS_F_FAST, .name = d->ops->name},
		.size = MEM_SIZE};
	int err;

	vpci_dev_init(&d->pci, VIRTIO_PCI_VENDOR, (uint16_t)(VIRTIO_PCI_DEVICE + d->ops->id),
		      d->ops->pci_class, true);
	d->pci.cfg[PCI_REVISION] = VIRTIO_REVISION;
	d->pci.vm = d->dev.vm;
	d->pci.config = pci_config;
	vpci_bar_set(&d->pci, BAR_PORT, &port);
	vpci_bar_set(&d->pci, BAR_MEMORY, &memory);
	err = virtio_msix_init(d, BAR_MEMORY, MEM_TABLE, MEM_PBA);
	if (!err)
		err = window_add(d);
	return err ? err : caps_add(d);
}
