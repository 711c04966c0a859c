/* SPDX-License-Identifier: Apache-2.0 */
/* Registers, features, configuration space and BARs against the rules. */
#include "hostile.h"

#define STORM        20000u
#define PCI_COMMAND  0x04u
#define PCI_BAR1     0x14u

static void check(struct target *t, bool ok, const char *attack)
{
	target_end(t, attack, ok ? NOTHING : USED, NOTHING);
}

/* Status after FEATURES_OK was written with these features and nothing else. */
static uint8_t status_with(struct target *t, uint64_t features)
{
	virtio_write(&t->v, COMMON_STATUS, 1, 0);
	virtio_write(&t->v, COMMON_STATUS, 1, 3);
	for (unsigned i = 0; i < 2; i++) {
		virtio_write(&t->v, COMMON_GFSELECT, 4, i);
		virtio_write(&t->v, COMMON_GF, 4, (uint32_t)(features >> (32 * i)));
	}
	virtio_write(&t->v, COMMON_STATUS, 1, 3 | VIRTIO_S_FEATURES_OK);
	return virtio_status(&t->v);
}

static void features(struct target *t)
{
	uint64_t offered = virtio_offered(&t->v);
	bool refused = true;

	for (unsigned i = 0; i < 64; i++) {
		if (!(offered >> i & 1))
			refused &= !(status_with(t, VIRTIO_F_VERSION_1 | 1ul << i) &
				     VIRTIO_S_FEATURES_OK);
	}
	check(t, refused, "features never offered");
	check(t, !(status_with(t, offered & ~VIRTIO_F_VERSION_1) & VIRTIO_S_FEATURES_OK),
	      "features without VERSION_1");
	virtio_write(&t->v, COMMON_STATUS, 1, 0);
	virtio_write(&t->v, COMMON_STATUS, 1, 3 | VIRTIO_S_DRIVER_OK);
	check(t, !(virtio_status(&t->v) & VIRTIO_S_DRIVER_OK), "DRIVER_OK without FEATURES_OK");
	status_with(t, offered);
	virtio_write(&t->v, COMMON_GFSELECT, 4, 0);
	virtio_write(&t->v, COMMON_GF, 4, 0);
	check(t, virtio_read(&t->v, COMMON_GF, 4) == (uint32_t)offered,
	      "features changed behind FEATURES_OK");
	for (unsigned i = 0; i < 256; i++)
		virtio_write(&t->v, COMMON_STATUS, 1, (uint8_t)(i * 37));
	check(t, true, "every status there is");
}

static void queue_registers(struct target *t)
{
	static const uint16_t sizes[] = {0, 3, 15, 2048, 0x8000, 0xffff};
	uint16_t before;
	bool kept = true;
	uint64_t desc;

	target_begin(t, 0);
	desc = virtio_read(&t->v, COMMON_Q_DESC, 8);
	virtio_write(&t->v, COMMON_Q_DESC, 8, 0x1234000);
	virtio_write(&t->v, COMMON_Q_AVAIL, 4, 0x1234000);
	virtio_write(&t->v, COMMON_Q_SIZE, 2, 2);
	virtio_write(&t->v, COMMON_Q_ENABLE, 2, 0);
	check(t, virtio_read(&t->v, COMMON_Q_DESC, 8) == desc, "a live ring is moved");
	virtio_negotiate(&t->v, 0);
	virtio_write(&t->v, COMMON_Q_SELECT, 2, t->ring.index);
	before = (uint16_t)virtio_read(&t->v, COMMON_Q_SIZE, 2);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		virtio_write(&t->v, COMMON_Q_SIZE, 2, sizes[i]);
		kept &= virtio_read(&t->v, COMMON_Q_SIZE, 2) == before;
	}
	check(t, kept, "queue sizes that are none");
	kept = true;
	for (unsigned i = 0; i < 0x10000; i += 0x111) {
		virtio_write(&t->v, COMMON_Q_SELECT, 2, i);
		virtio_write(&t->v, COMMON_Q_ENABLE, 2, 1);
		virtio_write(&t->v, COMMON_Q_DESC, 8, ~0ul);
		kept &= i < 64 || virtio_read(&t->v, COMMON_Q_SIZE, 2) == 0;
	}
	virtio_driver_ok(&t->v);
	check(t, kept, "queues that are not there");
}

static void touch(uint64_t at, unsigned size, bool write)
{
	uint64_t v = dice();

	switch (size) {
	case 1:
		write ? (void)(*(volatile uint8_t *)at = (uint8_t)v) : (void)*(volatile uint8_t *)at;
		break;
	case 2:
		write ? (void)(*(volatile uint16_t *)at = (uint16_t)v) : (void)*(volatile uint16_t *)at;
		break;
	case 4:
		write ? (void)(*(volatile uint32_t *)at = (uint32_t)v) : (void)*(volatile uint32_t *)at;
		break;
	default:
		write ? (void)(*(volatile uint64_t *)at = v) : (void)*(volatile uint64_t *)at;
		break;
	}
}

/* Every width at every offset where something is, and around the ends of the areas. */
static void widths(struct target *t)
{
	uint64_t base = t->v.bar[1];

	target_begin(t, 0);
	for (unsigned write = 0; write < 2; write++) {
		for (unsigned size = 1; size <= 8; size *= 2) {
			for (uint64_t off = 0; off < 0x8000; off++) {
				if (off % 0x1000 > 72 && off % 0x1000 < 0xff8)
					off += 0xff8 - off % 0x1000;
				if (off + size <= 0x8000)
					touch(base + off, size, write);
			}
		}
	}
	for (uint16_t port = 0; port < 16; port++) {
		uint16_t at = (uint16_t)(t->v.bar[0] + port);

		inb(at);
		outb(at, (uint8_t)dice());
		if (port <= 12)
			outl(at, (uint32_t)dice());
	}
	check(t, true, "registers of every width");
}

static void config_space(struct target *t)
{
	uint32_t id = pci_read(t->v.slot, 0);

	target_begin(t, 0);
	messages_tame(t); /* the dice may turn them on */
	for (unsigned off = 0x06; off < 256; off++) {
		if (off >= 0x10 && off < 0x28)
			continue; /* BARs come later */
		for (unsigned size = 1; size <= 4; size *= 2)
			if (off % 4 + size <= 4)
				pci_write_sized(t->v.slot, (uint8_t)off, size, (uint32_t)dice());
	}
	/* Leaves MSI-X as the dice fell: off, as it was. */
	pci_write(t->v.slot, t->v.msix, 0);
	check(t, pci_read(t->v.slot, 0) == id, "configuration space of every width");
}

static void bars(struct target *t)
{
	const uint32_t places[] = {0, 0x100000, 0xd0001000, 0xfec00000, 0xfee00000, 0xffffffff,
				   0xfebf8000, 0xe0000000,
				   pci_read(t->v.slot == 1 ? 2 : 1, PCI_BAR1)};

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		target_begin(t, 0);
		pci_write(t->v.slot, PCI_BAR1, places[i]);
		pci_write(t->v.slot, 0x10, places[i]);
		touch(t->v.bar[1], 4, false);
		touch(t->v.bar[1] + 0x3000, 2, true);
		vring_kick_port(&t->ring);
		pci_write(t->v.slot, PCI_COMMAND, 0);
		pci_write(t->v.slot, PCI_COMMAND, 7);
		pci_write(t->v.slot, PCI_BAR1, (uint32_t)t->v.bar[1]);
		pci_write(t->v.slot, 0x10, (uint32_t)t->v.bar[0]);
		check(t, true, "BARs onto memory, devices and each other");
	}
}

static void storm(struct target *t)
{
	target_begin(t, 0);
	for (unsigned i = 0; i < rounds(STORM); i++) {
		uint16_t queue = (uint16_t)(i % 4 ? t->ring.index : dice());

		if (i % 2)
			__asm__ volatile("outw %0, %1" : : "a"(queue), "d"(t->v.notify_port));
		else
			*(volatile uint16_t *)(t->v.notify + (i & 63) * 4ul) = queue;
	}
	check(t, true, "a storm of notifies");
}

void attack_registers(struct target *t)
{
	features(t);
	queue_registers(t);
	widths(t);
	config_space(t);
	bars(t);
	storm(t);
}
