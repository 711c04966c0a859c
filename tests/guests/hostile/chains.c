/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptor chains and rings as no driver makes them. */
#include "hostile.h"

#define TABLE      16u /* entries of an indirect table */
#define SCATTERED  64u
#define OVERLAP_IN 64u /* bytes: what rings inside each other add up to stays below 1 MiB */

static void desc(struct target *t, uint16_t i, uint64_t addr, uint32_t len, uint16_t flags,
		 uint16_t next)
{
	vring_desc_set(&t->ring, i, (const void *)addr, len, flags, next);
}

static uint64_t buffer(struct target *t)
{
	return (uint64_t)(uintptr_t)t->buffer;
}

/* What is in the rings goes to the device from head @head on, and breaks it. */
static void must_break(struct target *t, const char *attack, uint16_t head)
{
	vring_push(&t->ring, head);
	target_end(t, attack, target_kick(t, BROKEN), BROKEN);
}

static void loops(struct target *t)
{
	target_begin(t, 0);
	desc(t, 0, buffer(t), 16, VRING_NEXT, 0);
	must_break(t, "a chain of one that loops", 0);
	target_begin(t, 0);
	for (uint16_t i = 0; i < QUEUE_SIZE; i++)
		desc(t, i, buffer(t), 16, VRING_NEXT, (uint16_t)((i + 1) % QUEUE_SIZE));
	must_break(t, "a chain of all that loops", 3);
	target_begin(t, 0);
	for (uint16_t i = 0; i < QUEUE_SIZE; i++)
		desc(t, i, buffer(t), 0, VRING_NEXT | VRING_WRITE, (uint16_t)(i ^ 1));
	must_break(t, "a loop of nothing", 0);
}

static void indices(struct target *t)
{
	static const uint16_t bad[] = {QUEUE_SIZE, QUEUE_SIZE + 1, 0x7fff, 0xffff};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		target_begin(t, 0);
		must_break(t, "a head outside the table", bad[i]);
		target_begin(t, 0);
		desc(t, 0, buffer(t), 16, VRING_NEXT, bad[i]);
		must_break(t, "a next outside the table", 0);
		target_begin(t, 0);
		target_request(t);
		t->ring.avail_idx = (uint16_t)(QUEUE_SIZE + bad[i] % 0x4000u);
		must_break(t, "an available index beyond the queue", 0);
	}
}

static void addresses(struct target *t)
{
	const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{NO_MEMORY, 64}, {LAPIC, 64}, {END_OF_MAP, 64}, {t->v.common, 56}, {t->v.notify, 4},
		{RAM_END - 1, 2}, {RAM_LAST, 0x1001}, {RAM_END, 1}, {1ul << 52, 64}, {~0ul, 1}, {~0ul - 15, 64}, {~0ul - 0xfff, 0x2000},
		{buffer(t), 0xffffffff}, {0, 0xffffffff}, {1ul << 63, 1},
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (unsigned flags = 0; flags <= VRING_WRITE; flags += VRING_WRITE) {
			target_begin(t, 0);
			desc(t, 0, bad[i].addr, bad[i].len, (uint16_t)flags, 0);
			must_break(t, "a buffer that is no memory", 0);
		}
	}
	target_begin(t, 0);
	for (uint16_t i = 0; i < QUEUE_SIZE; i++)
		desc(t, i, buffer(t), 0x80000000u, i + 1u < QUEUE_SIZE ? VRING_NEXT : 0,
		     (uint16_t)(i + 1));
	must_break(t, "a chain longer than 4 GiB", 0);
	target_begin(t, 0);
	desc(t, 0, buffer(t), 16, VRING_NEXT | VRING_WRITE, 1);
	desc(t, 1, buffer(t), 16, 0, 0);
	must_break(t, "readable behind writable", 0);
}

/* Begin with indirect descriptors agreed on; gives the table. */
static struct vring_desc *indirect_begin(struct target *t, uint64_t features)
{
	struct vring_desc *table;

	target_begin(t, features);
	table = virtio_alloc(TABLE * sizeof(*table), 16);
	desc(t, 0, (uint64_t)(uintptr_t)table, TABLE * sizeof(*table), VRING_INDIRECT, 0);
	for (unsigned i = 0; i < TABLE; i++)
		table[i] = (struct vring_desc){.addr = buffer(t), .len = 16};
	return table;
}

static void indirect(struct target *t)
{
	static const uint32_t lengths[] = {0, 1, 15, 17, 0xffffffff};
	struct vring_desc *table;

	indirect_begin(t, 0);
	must_break(t, "indirect without having agreed", 0);
	table = indirect_begin(t, VIRTIO_F_INDIRECT);
	table[0] = (struct vring_desc){.addr = (uint64_t)(uintptr_t)table, .len = 64,
				       .flags = VRING_INDIRECT};
	must_break(t, "a table in a table", 0);
	table = indirect_begin(t, VIRTIO_F_INDIRECT);
	for (uint16_t i = 0; i < TABLE; i++)
		table[i].flags = VRING_NEXT;
	must_break(t, "a table that loops", 0);
	table = indirect_begin(t, VIRTIO_F_INDIRECT);
	table[0].flags = VRING_NEXT;
	table[0].next = TABLE;
	must_break(t, "a next outside an indirect table", 0);
	indirect_begin(t, VIRTIO_F_INDIRECT);
	t->ring.desc[0].flags = VRING_INDIRECT | VRING_NEXT;
	must_break(t, "a table with a next one", 0);
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		indirect_begin(t, VIRTIO_F_INDIRECT);
		t->ring.desc[0].len = lengths[i];
		must_break(t, "a table of a broken length", 0);
	}
	indirect_begin(t, VIRTIO_F_INDIRECT);
	t->ring.desc[0].addr = NO_MEMORY;
	must_break(t, "a table that is no memory", 0);
}

/* Rings where there is no memory, or inside each other. */
static void rings(struct target *t)
{
	static const uint64_t bad[] = {NO_MEMORY, LAPIC, ~0ul - 15, 1ul << 60, 1};
	static const uint16_t regs[] = {COMMON_Q_DESC, COMMON_Q_AVAIL, COMMON_Q_USED};

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
			virtio_alloc_reset();
			t->buffer = virtio_alloc(BUFFER, 4096);
			virtio_negotiate(&t->v, 0);
			vring_setup(&t->ring, &t->v, t->ring.index, QUEUE_SIZE, VIRTIO_NO_VECTOR);
			/* Enabled before its rings were as they should be: again from the start. */
			virtio_negotiate(&t->v, 0);
			virtio_write(&t->v, COMMON_Q_SELECT, 2, t->ring.index);
			virtio_write(&t->v, COMMON_Q_SIZE, 2, QUEUE_SIZE);
			virtio_write(&t->v, COMMON_Q_DESC, 8, (uintptr_t)t->ring.desc);
			virtio_write(&t->v, COMMON_Q_AVAIL, 8, (uintptr_t)t->ring.avail);
			virtio_write(&t->v, COMMON_Q_USED, 8, (uintptr_t)t->ring.used);
			virtio_write(&t->v, regs[i], 8, bad[n]);
			virtio_write(&t->v, COMMON_Q_ENABLE, 2, 1);
			virtio_driver_ok(&t->v);
			target_request(t);
			vring_push(&t->ring, 0);
			target_end(t, "a ring that is no memory", target_kick(t, ANY), ANY);
		}
	}
}

/* Descriptors, and on top of them, @off behind, an index that counts and heads that are some. */
static void overlap_fill(volatile uint64_t *at, uint64_t off)
{
	volatile uint16_t *avail = (volatile uint16_t *)((uintptr_t)at + off);

	for (unsigned i = 0; i < 64; i += 2) {
		at[i] = place();
		at[i + 1] = dice() % OVERLAP_IN | (dice() & 0xful) << 32 | (dice() % QUEUE_SIZE) << 48;
	}
	avail[1] = (uint16_t)(dice() % (QUEUE_SIZE / 2));
	avail[2] = (uint16_t)(dice() % QUEUE_SIZE);
}

static void overlaps(struct target *t)
{
	uint64_t at;

	target_begin(t, 0);
	at = (uintptr_t)t->ring.desc;
	for (uint64_t off = 0; off < 64; off += 4) {
		virtio_negotiate(&t->v, VIRTIO_F_EVENT_IDX & virtio_offered(&t->v));
		virtio_write(&t->v, COMMON_Q_SELECT, 2, t->ring.index);
		virtio_write(&t->v, COMMON_Q_SIZE, 2, QUEUE_SIZE);
		virtio_write(&t->v, COMMON_Q_DESC, 8, at);
		virtio_write(&t->v, COMMON_Q_AVAIL, 8, at + off);
		virtio_write(&t->v, COMMON_Q_USED, 8, at + 2 * off);
		virtio_write(&t->v, COMMON_Q_ENABLE, 2, 1);
		virtio_driver_ok(&t->v);
		overlap_fill((volatile uint64_t *)at, off);
		target_kick(t, ANY);
	}
	target_end(t, "rings inside each other", NOTHING, ANY);
}

/* Chains that are right, of buffers that may be anywhere. */
static void scattered(struct target *t)
{
	target_begin(t, VIRTIO_F_EVENT_IDX);
	for (unsigned n = 0; n < rounds(SCATTERED); n++) {
		unsigned count = 1 + (unsigned)(dice() % 4), out = (unsigned)(dice() % 3);

		target_request(t);
		for (unsigned i = 0; i < count; i++)
			desc(t, (uint16_t)(4 + i), place(), reach(),
			     (i >= out ? VRING_WRITE : 0) | (i + 1 < count ? VRING_NEXT : 0),
			     (uint16_t)(5 + i));
		if (n & 1) /* behind a header that is one */
			desc(t, 3, buffer(t), 24, VRING_NEXT, 4);
		vring_push(&t->ring, n & 1 ? 3 : 4);
		if (target_kick(t, ANY) != USED)
			target_begin(t, n & 2 ? VIRTIO_F_EVENT_IDX : 0);
		t->ring.used_seen = vring_used_idx(&t->ring);
	}
	target_end(t, "buffers anywhere", NOTHING, ANY);
}

void attack_chains(struct target *t)
{
	loops(t);
	indices(t);
	addresses(t);
	indirect(t);
	rings(t);
	overlaps(t);
	scattered(t);
}
