/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device for the host's own drivers (devices/host/virtio/): registers, queues, a thread
 * that takes requests and interrupts, truthful and not. The test has the requests
 * (fake_hvio_request()) and the device's own configuration. Included by one .c of a test, which
 * sets FAKE_QUEUES and FAKE_CONFIG_SIZE before, and FAKE_TURN if time is to pass otherwise.
 */
#ifndef RAYOS_TESTS_HOST_FAKE_HVIO_H
#define RAYOS_TESTS_HOST_FAKE_HVIO_H

#include "devices/host/virtio/hvio.h"
#include "kernel/lib/unaligned.h"
#include "tests/host/fake_driver.h"

#define AT_NOTIFY  0x100u
#define AT_DEVICE  0x200u
#define BAR_SIZE   0x1000u
#define CAPS       4u

struct queue {
	uint16_t size, vector, enabled, avail_seen, used_idx;
	uint64_t desc, avail, used;
};

static struct {
	uint64_t offered, accepted;
	uint32_t df_select, gf_select;
	uint8_t status;
	uint16_t q_select;
	struct queue queue[FAKE_QUEUES];
	uint8_t config[FAKE_CONFIG_SIZE];
	uint16_t q_size;
	uint8_t caps[256];
	/* What is wrong with it. */
	bool gone, never_reset, refuses, silent, bad_id, no_vectors, endless;
	uint32_t wrong_by; /* what it adds to the numbers of what ends */
	bool moved; /* its capabilities name other places than those where registers are */
	/* What has been seen. */
	unsigned int resets, longest;
} dev_;

/* Do a request of @n descriptors. Returns: false: it is never answered. */
static bool fake_hvio_request(const struct hvio_desc *d, unsigned int n);

static bool stop;
static struct thread *device;

/* --- configuration space --- */

uint8_t pci_read8(const struct pci_dev *d, unsigned int off)
{
	(void)d;
	return dev_.caps[off];
}

uint32_t pci_read32(const struct pci_dev *d, unsigned int off)
{
	(void)d;
	return load32(dev_.caps + off);
}

unsigned int pci_cap_find(const struct pci_dev *d, unsigned int id)
{
	(void)d;
	assert(id == VIRTIO_CAP_VENDOR);
	return dev_.caps[0] ? 0x20 : 0;
}

unsigned int pci_cap_next(const struct pci_dev *d, unsigned int off)
{
	(void)d;
	return off + 0x20 < 0x20 * (1u + dev_.caps[0]) ? off + 0x20 : 0;
}

static void cap_set(unsigned int n, uint8_t kind, uint8_t bar, uint32_t off, uint32_t len)
{
	uint8_t *c = dev_.caps + 0x20 * (1 + n);

	c[VIRTIO_CAP_KIND] = kind;
	c[VIRTIO_CAP_BAR] = bar;
	store32(c + VIRTIO_CAP_OFFSET, off);
	store32(c + VIRTIO_CAP_LENGTH, len);
	store32(c + VIRTIO_CAP_STEP, 4);
}

/* --- registers --- */

/* Where in the BAR an address is: areas begin inside of it. */
static uint32_t bar_offset(const void *base, uint32_t off)
{
	uint64_t at = (uint64_t)((const char *)base - (const char *)&dev_) + off;

	assert(at < BAR_SIZE);
	return (uint32_t)at;
}

static struct queue *selected(void)
{
	static struct queue none;

	return dev_.q_select < FAKE_QUEUES ? &dev_.queue[dev_.q_select] : &none;
}

uint64_t fake_mmio_read(const void *base, uint32_t off, unsigned int size)
{
	uint32_t at = bar_offset(base, off);
	uint64_t v = 0;

	if (dev_.gone)
		return UINT64_MAX >> (64 - 8 * size);
	if (at >= AT_DEVICE) {
		if (at - AT_DEVICE + size > FAKE_CONFIG_SIZE) {
			assert(dev_.moved);
			return 0;
		}
		memcpy(&v, dev_.config + (at - AT_DEVICE), size);
		return v;
	}
	switch (at) {
	case COMMON_DF: return (uint32_t)(dev_.offered >> (32 * dev_.df_select));
	case COMMON_NUMQ: return FAKE_QUEUES;
	case COMMON_STATUS: return dev_.status;
	case COMMON_Q_SIZE: return dev_.q_size;
	case COMMON_Q_MSIX: return dev_.no_vectors ? VIRTIO_NO_VECTOR : selected()->vector;
	case COMMON_Q_NOFF: return dev_.q_select * 2u;
	default: return 0;
	}
}

static void status_write(uint8_t v)
{
	if (v == 0) {
		dev_.resets++;
		memset(dev_.queue, 0, sizeof(dev_.queue));
		dev_.accepted = 0;
		if (dev_.never_reset)
			return;
	}
	dev_.status = dev_.refuses ? v & (uint8_t)~VIRTIO_S_FEATURES_OK : v;
}

static void address_set(uint64_t *a, uint32_t at, uint64_t v)
{
	*a = at & 4 ? (*a & UINT32_MAX) | v << 32 : (*a & ~(uint64_t)UINT32_MAX) | v;
}

void fake_mmio_write(void *base, uint32_t off, unsigned int size, uint64_t v)
{
	uint32_t at = bar_offset(base, off);
	struct queue *q = selected();

	(void)size;
	if (at >= AT_NOTIFY) {
		assert(dev_.moved || (at < AT_DEVICE && v < FAKE_QUEUES && at == AT_NOTIFY + 8 * v));
		assert(dev_.moved || (dev_.status & VIRTIO_S_DRIVER_OK));
		return;
	}
	switch (at) {
	case COMMON_DFSELECT: dev_.df_select = (uint32_t)v; break;
	case COMMON_GFSELECT: dev_.gf_select = (uint32_t)v; break;
	case COMMON_GF:
		assert(dev_.moved || !(dev_.status & VIRTIO_S_FEATURES_OK));
		dev_.accepted |= v << (32 * dev_.gf_select);
		break;
	case COMMON_STATUS: status_write((uint8_t)v); break;
	case COMMON_Q_SELECT: dev_.q_select = (uint16_t)v; break;
	case COMMON_Q_SIZE: q->size = (uint16_t)v; break;
	case COMMON_Q_MSIX: q->vector = (uint16_t)v; break;
	case COMMON_Q_ENABLE: q->enabled = (uint16_t)v; break;
	case COMMON_Q_DESC: case COMMON_Q_DESC + 4: address_set(&q->desc, at, v); break;
	case COMMON_Q_AVAIL: case COMMON_Q_AVAIL + 4: address_set(&q->avail, at, v); break;
	case COMMON_Q_USED: case COMMON_Q_USED + 4: address_set(&q->used, at, v); break;
	default: assert(dev_.moved); /* a register that nobody writes */
	}
}

/* --- requests --- */

/* The descriptors of a chain, in a row. Returns: how many. */
static unsigned int chain(const struct queue *q, uint16_t head, struct hvio_desc *out)
{
	const struct hvio_desc *table = fake_memory(q->desc);
	unsigned int n = 0, i = head, most = q->size;

	if (table[i].flags & VIRTIO_DESC_INDIRECT) {
		assert(dev_.accepted & VIRTIO_F_INDIRECT_DESC);
		assert(table[i].flags == VIRTIO_DESC_INDIRECT);
		most = table[i].len / 16;
		table = fake_memory(table[i].addr);
		i = 0;
	}
	for (;;) {
		assert(n < most && i < most);
		out[n++] = table[i];
		if (!(table[i].flags & VIRTIO_DESC_NEXT))
			return n;
		i = table[i].next;
	}
}

static void used_put(struct queue *q, uint32_t id)
{
	uint8_t *used = fake_memory(q->used);

	store32(used + 4 + 8 * (q->used_idx % q->size), (dev_.bad_id ? id + 3 * q->size : id) + dev_.wrong_by);
	store32(used + 8 + 8 * (q->used_idx % q->size), 1);
	q->used_idx++;
	store16(used + 2, dev_.endless ? (uint16_t)(q->used_idx + 77) : q->used_idx);
}

static void queue_serve(struct queue *q)
{
	static struct hvio_desc d[HVIO_RING_MAX];
	const uint8_t *avail;
	bool any = false;

	if (!q->enabled || !(dev_.status & VIRTIO_S_DRIVER_OK) || dev_.silent)
		return;
	avail = fake_memory(q->avail);
	while (q->avail_seen != load16(avail + 2)) {
		uint16_t head = load16(avail + 4 + 2 * (q->avail_seen++ % q->size));
		unsigned int n = chain(q, head, d);

		dev_.longest = MAX(dev_.longest, n);
		if (!fake_hvio_request(d, n))
			continue;
		used_put(q, head);
		any = true;
	}
	if (any)
		fake_irq(q->vector);
}

#ifndef FAKE_TURN
#define FAKE_TURN fake_hvio_turn
static void fake_hvio_turn(void)
{
	fake_now += 1000000;
}
#endif

static void device_thread(void *arg)
{
	(void)arg;
	while (!stop) {
		for (unsigned int i = 0; i < FAKE_QUEUES; i++)
			queue_serve(&dev_.queue[i]);
		FAKE_TURN();
		thread_yield();
	}
}

/* A device that is as it should be, with a thread of its own. */
static void fake_hvio_start(uint64_t features, uint16_t q_size)
{
	const struct thread_attr attr = {.cpu = -1};

	memset(&dev_, 0, sizeof(dev_));
	dev_.offered = features;
	dev_.q_size = q_size;
	dev_.caps[0] = CAPS;
	cap_set(0, 9, 0, 0, 64); /* unknown */
	cap_set(1, VIRTIO_CAP_COMMON, 4, 0, COMMON_SIZE);
	cap_set(2, VIRTIO_CAP_NOTIFY, 4, AT_NOTIFY, 0x100);
	cap_set(3, VIRTIO_CAP_DEVICE, 4, AT_DEVICE, FAKE_CONFIG_SIZE);
	fake_regs = &dev_;
	fake_pci.bar[4].size = BAR_SIZE;
	fake_irq_count = FAKE_QUEUES + 1;
	stop = false;
	if (thread_create(&device, "device", device_thread, NULL, &attr) != 0)
		assert(!"no thread");
}

#endif
