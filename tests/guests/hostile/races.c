/* SPDX-License-Identifier: Apache-2.0 */
/* What another CPU changes while the device looks, and resets in the middle. */
#include "hostile.h"

#define ROUNDS   300u
#define PCI_BAR1 0x14u
#define AWAY     0xe8000000u

/* Descriptors, the way a driver would write them and then not. */
static void flip_descriptors(void *arg)
{
	struct target *t = arg;
	volatile struct vring_desc *d = &t->ring.desc[dice() % 3];
	uint64_t addr = d->addr;
	uint32_t len = d->len;
	uint16_t flags = d->flags, next = d->next;

	d->addr = place();
	d->len = reach();
	d->flags = (uint16_t)(dice() & 7);
	d->next = (uint16_t)dice();
	d->addr = addr;
	d->len = len;
	d->next = next;
	d->flags = flags;
}

static void flip_rings(void *arg)
{
	struct target *t = arg;
	uint16_t idx = t->ring.avail_idx;

	t->ring.avail[1] = (uint16_t)dice();
	t->ring.avail[2 + dice() % QUEUE_SIZE] = (uint16_t)dice();
	t->ring.avail[1] = idx;
	t->ring.used[0] = (uint32_t)dice();
	t->ring.used[1 + dice() % (2 * QUEUE_SIZE)] = (uint32_t)dice();
}

/* What the device has been told to read. */
static void flip_buffer(void *arg)
{
	struct target *t = arg;

	((volatile uint32_t *)t->buffer)[dice() % 16] = (uint32_t)(dice() & dice() & dice());
}

static void flipped(struct target *t, const char *attack, void (*fn)(void *arg))
{
	for (unsigned i = 0; i < 8; i++) {
		target_begin(t, VIRTIO_F_INDIRECT | (i & 1 ? VIRTIO_F_EVENT_IDX : 0));
		target_request(t);
		other_start(fn, t);
		for (unsigned n = 0; n < rounds(ROUNDS / 8); n++) {
			vring_push(&t->ring, 0);
			vring_kick_port(&t->ring);
		}
		other_stop();
		target_end(t, attack, NOTHING, ANY);
	}
}

static void kick(void *arg)
{
	struct target *t = arg;

	vring_kick_port(&t->ring);
	vring_kick_memory(&t->ring);
}

static void resets(struct target *t)
{
	for (unsigned i = 0; i < 8; i++) {
		target_begin(t, 0);
		other_start(kick, t);
		for (unsigned n = 0; n < rounds(ROUNDS / 8); n++) {
			target_request(t);
			vring_push(&t->ring, 0);
			vring_kick_port(&t->ring);
			virtio_write(&t->v, COMMON_STATUS, 1, 0);
			virtio_write(&t->v, COMMON_STATUS, 1, 3);
			virtio_write(&t->v, COMMON_STATUS, 1, 3 | VIRTIO_S_FEATURES_OK);
			virtio_driver_ok(&t->v);
		}
		other_stop();
		target_end(t, "resets in the middle of requests", NOTHING, ANY);
	}
}

static void read_registers(void *arg)
{
	struct target *t = arg;

	(void)virtio_status(&t->v);
	vring_kick_memory(&t->ring);
}

static void moves(struct target *t)
{
	target_begin(t, 0);
	other_start(read_registers, t);
	for (unsigned n = 0; n < rounds(ROUNDS); n++) {
		pci_write(t->v.slot, PCI_BAR1, n & 1 ? (uint32_t)t->v.bar[1] : AWAY);
		if (n % 16 == 0) {
			pci_write(t->v.slot, 4, 0);
			pci_write(t->v.slot, 4, 7);
		}
	}
	other_stop();
	pci_write(t->v.slot, PCI_BAR1, (uint32_t)t->v.bar[1]);
	target_end(t, "BARs that move while they are used", NOTHING, ANY);
}

void attack_races(struct target *t)
{
	flipped(t, "descriptors that change", flip_descriptors);
	flipped(t, "rings that change", flip_rings);
	flipped(t, "buffers that change", flip_buffer);
	resets(t);
	moves(t);
}
