/* UNIT: kernel/store/tree.c kernel/store/tree_change.c kernel/store/tree_io.c kernel/store/space.c
 * kernel/store/layer.c kernel/store/object.c kernel/store/map.c kernel/store/sums.c kernel/store/log.c
 * kernel/store/log_record.c kernel/store/op.c kernel/store/change.c kernel/store/mount.c
 * kernel/store/info.c kernel/store/reclaim.c kernel/store/check.c kernel/lib/bitmap.c
 * kernel/lib/err.c kernel/lib/fmt.c kernel/lib/sink.c
 */
// SPDX-License-Identifier: Apache-2.0
/*
 * storecut BASE LOG START BLOCKS ACK VOLUME SECTORS SEED STATES: power cuts of a recorded machine.
 *
 * LOG is what QEMU's blklogwrites wrote (the format of Linux' dm-log-writes) of a disk that was
 * BASE before, with a store of BLOCKS blocks at sector START, while a guest ran cutload with SEED
 * on VOLUME, of so many SECTORS, and sector ACK. Makes STATES states the disk may have been left in by a cut at
 * some moment: all that a completed flush covers, and of what was written since any sectors of any
 * writes. Each is mounted with the kernel's code and has to be whole: its structure, every
 * sector of the volume (what the last acknowledged step left or what the next one was writing),
 * its snapshots (what they were in every other state), and the set of objects (that of the last
 * commit or of the next).
 * Prints "storecut: N states, N bad" and ends with 1 when any is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "kernel/store/store_core.h"
#include "tests/guests/linux/cutload.h"
#include "tests/host/fake_heap.h"
#include "tests/host/fake_lock.h"
#include "tests/host/fake_panic.h"

#define SECTOR     512u
#define LOG_MAGIC  0x6a736677736872ull
#define LOG_FLUSH  1u
#define LOG_FUA    2u
#define LOG_NODATA 4u /* a discard */
#define SNAPSHOTS  256u

struct entry {
	uint64_t sector, count, flags;
	const uint8_t *data;
};

static uint8_t *durable; /* the disk: what is sure */
static uint64_t disk_size;
static struct entry *entries;
static uint64_t entry_count;
static uint64_t start, blocks, ack_sector, seed;
static const char *volume;
static uint8_t **over; /* of the store: blocks that differ from durable */
static uint64_t *version, version_sectors; /* of each sector: the step that is acknowledged */
static uint64_t acked;
static struct {
	uint32_t id;
	uint64_t sum;
} snapshot[SNAPSHOTS];
static unsigned int snapshots;
static unsigned int bad;

void spin_lock_init(struct spinlock *l, enum lock_order order)
{
	memset(l, 0, sizeof(*l));
	l->order = (uint16_t)order;
}

static void die(const char *what)
{
	fprintf(stderr, "storecut: %s\n", what);
	exit(2);
}

/* --- input --- */

static uint8_t *file_read(const char *path, uint64_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p;
	long n;

	if (!f || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0)
		die(path);
	p = malloc((size_t)n + 1);
	rewind(f);
	if (!p || fread(p, 1, (size_t)n, f) != (size_t)n)
		die(path);
	fclose(f);
	*size = (uint64_t)n;
	return p;
}

static uint64_t le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void log_parse(const char *path)
{
	uint64_t size, at;
	uint8_t *log = file_read(path, &size);

	if (size < SECTOR || le64(log) != LOG_MAGIC || le64(log + 8) != 1)
		die("that is no log of writes");
	entry_count = le64(log + 16);
	at = (uint32_t)le64(log + 24);
	if (at != SECTOR)
		die("the log has other sectors");
	entries = calloc(entry_count, sizeof(*entries));
	for (uint64_t i = 0; i < entry_count; i++) {
		struct entry *e = &entries[i];

		if (at + SECTOR > size)
			die("the log ends early");
		e->sector = le64(log + at);
		e->count = le64(log + at + 8);
		e->flags = le64(log + at + 16);
		at += SECTOR;
		e->data = log + at;
		if (!(e->flags & LOG_NODATA))
			at += e->count * SECTOR;
		if (at > size || (e->sector + e->count) * SECTOR > disk_size)
			die("an entry of the log is nonsense");
	}
}

/* --- a state --- */

static int port_read(void *ctx, uint64_t block, void *buf, uint32_t count)
{
	(void)ctx;
	for (uint32_t i = 0; i < count; i++)
		memcpy((uint8_t *)buf + (size_t)i * STORE_BLOCK,
		       over[block + i] ? over[block + i]
				       : durable + start * SECTOR + (block + i) * STORE_BLOCK,
		       STORE_BLOCK);
	return 0;
}

static uint8_t *over_block(uint64_t block)
{
	if (!over[block]) {
		over[block] = malloc(STORE_BLOCK);
		memcpy(over[block], durable + start * SECTOR + block * STORE_BLOCK, STORE_BLOCK);
	}
	return over[block];
}

static int port_write(void *ctx, uint64_t block, const void *buf, uint32_t count)
{
	(void)ctx;
	for (uint32_t i = 0; i < count; i++)
		memcpy(over_block(block + i), (const uint8_t *)buf + (size_t)i * STORE_BLOCK,
		       STORE_BLOCK);
	return 0;
}

static int port_flush(void *ctx)
{
	(void)ctx;
	return 0;
}

static void port_drain(void *ctx)
{
	(void)ctx;
}

static uint64_t port_seconds(void *ctx)
{
	(void)ctx;
	return 1;
}

static void over_forget(void)
{
	for (uint64_t i = 0; i < blocks; i++) {
		free(over[i]);
		over[i] = NULL;
	}
}

static void sector_put(uint64_t sector, const uint8_t *data)
{
	uint64_t in = sector - start;

	if (sector < start || in / 8 >= blocks)
		return; /* not of the store */
	memcpy(over_block(in / 8) + in % 8 * SECTOR, data, SECTOR);
}

/* Some of what was written in [from, to). @chance: 0 to 256. */
static void cut(uint64_t from, uint64_t to, unsigned int chance)
{
	for (uint64_t i = from; i < to; i++) {
		const struct entry *e = &entries[i];
		bool fua = (e->flags & LOG_FUA) != 0, torn = rand() % 4 == 0;
		bool whole = fua || (unsigned int)(rand() & 255) < chance;

		if (e->flags & LOG_NODATA)
			continue;
		for (uint64_t s = 0; s < e->count; s++) {
			if (fua || !torn ? whole : (unsigned int)(rand() & 255) < chance)
				sector_put(e->sector + s, e->data + s * SECTOR);
		}
	}
}

/* --- looking --- */

static void report(uint64_t at, const char *what, const char *more)
{
	if (bad++ < 5)
		printf("storecut: cut at entry %" PRIu64 ", step %" PRIu64 ": %s: %s\n", at, acked, what, more);
}

static void block_get(struct store *st, uint32_t id, uint64_t l, uint8_t *buf)
{
	struct store_piece p;

	memset(buf, 0, STORE_BLOCK);
	if (store_find_load(st, id, l, 1, &p))
		die("a block cannot be found");
	if (p.kind == STORE_PIECE_DATA)
		port_read(NULL, p.phys, buf, 1);
}

/* May step acked + 1 have written this to the sector? */
static bool next_fits(uint64_t sector, uint64_t tag)
{
	struct cut_op op[CUT_OPS];
	unsigned int n = cut_step(seed, acked + 1, version_sectors, op);

	for (unsigned int i = 0; i < n; i++) {
		if (sector - op[i].first < op[i].count &&
		    tag == (op[i].zero ? 0 : cut_tag(acked + 1, sector)))
			return true;
	}
	return false;
}

static void volume_check(struct store *st, uint64_t at)
{
	struct store_entry e;
	uint8_t buf[STORE_BLOCK];

	if (store_lookup(st, STORE_VOLUME, 0, volume, &e)) {
		if (acked)
			report(at, "volume", "it is gone");
		return;
	}
	for (uint64_t sector = 0; sector < version_sectors; sector++) {
		const uint8_t *p = buf + sector % 8 * SECTOR;
		uint64_t tag = le64(p), want = version[sector] ? cut_tag(version[sector], sector) : 0;

		if (sector % 8 == 0) {
			block_get(st, e.id, sector / 8, buf);
			tag = le64(p);
		}
		for (unsigned int i = 8; i < SECTOR; i += 8) {
			if (le64(p + i) != tag) {
				report(at, "data", "a sector is torn");
				return;
			}
		}
		if (tag != want && !next_fits(sector, tag)) {
			char text[128];

			snprintf(text, sizeof(text),
				 "sector %" PRIu64 " is of step %" PRIu64 ", not of %" PRIu64, sector,
				 tag >> 32, version[sector]);
			report(at, "data", text);
			return;
		}
	}
}

static void snapshot_check(struct store *st, const struct store_entry *e, uint64_t at)
{
	uint8_t buf[STORE_BLOCK];
	uint64_t sum = crc32(0, NULL, 0);

	for (uint64_t l = 0; l < e->size / STORE_BLOCK; l++) {
		block_get(st, e->id, l, buf);
		sum = crc32(sum, buf, sizeof(buf));
	}
	for (unsigned int i = 0; i < snapshots; i++) {
		if (snapshot[i].id != e->id)
			continue;
		if (snapshot[i].sum != sum)
			report(at, "snapshot", e->name);
		return;
	}
	if (snapshots < SNAPSHOTS) {
		snapshot[snapshots].id = e->id;
		snapshot[snapshots++].sum = sum;
	}
}

/* Which objects there are; 0: no store. */
static uint64_t objects_sum(struct store *st)
{
	struct store_entry e;
	uint64_t sum = 1;

	for (uint32_t id = 0; store_next(st, id, &e) == 0; id = e.id)
		sum += crc32(crc32(0, (const Bytef *)e.name, sizeof(e.name)), (const Bytef *)&e.id,
			     sizeof(e.id)) * (uint64_t)e.kind;
	return sum;
}

static struct store *mount_it(uint64_t at, bool must)
{
	const struct store_port port = {.blocks = blocks, .read = port_read, .write = port_write,
					.flush = port_flush, .drain = port_drain,
					.seconds = port_seconds};
	char why[STORE_WHY_LEN];
	struct store *st = NULL;

	if (store_mount(&port, false, 4096, &st, why)) {
		if (must)
			report(at, "mount", why);
		return NULL;
	}
	return st;
}

/* The objects after exactly the first @upto entries. */
static uint64_t objects_at(uint64_t from, uint64_t upto)
{
	struct store *st;
	uint64_t sum = 0;

	cut(from, upto, 256);
	st = mount_it(upto, false);
	if (st) {
		sum = objects_sum(st);
		store_drop(st);
	}
	over_forget();
	return sum;
}

static void state_check(uint64_t at, uint64_t before, uint64_t after)
{
	struct store *st = mount_it(at, before != 0);
	struct store_entry e;
	struct store_check c;
	uint64_t sum;

	if (!st) {
		over_forget();
		return;
	}
	if (store_check(st, &c) || c.wrong)
		report(at, "structure", c.first);
	sum = objects_sum(st);
	if (sum != before && sum != after)
		report(at, "objects", "neither those of the last commit nor of the next");
	volume_check(st, at);
	for (uint32_t id = 0; store_next(st, id, &e) == 0; id = e.id) {
		if (e.kind == STORE_SNAPSHOT)
			snapshot_check(st, &e, at);
	}
	store_unmount(st);
	over_forget();
}

/* --- through the log --- */

static void acknowledge(uint64_t step)
{
	struct cut_op op[CUT_OPS];

	while (acked < step) {
		unsigned int n = cut_step(seed, ++acked, version_sectors, op);

		for (unsigned int i = 0; i < n; i++) {
			for (uint64_t s = 0; s < op[i].count; s++)
				version[op[i].first + s] = op[i].zero ? 0 : acked;
		}
	}
}

static void keep(uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		if (!(entries[i].flags & LOG_NODATA))
			memcpy(durable + entries[i].sector * SECTOR, entries[i].data,
			       entries[i].count * SECTOR);
	}
}

/* States between the flush before entry @from and the one at @to. */
static void between(uint64_t from, uint64_t to, uint64_t states)
{
	static const unsigned int chances[] = {0, 64, 128, 192, 256};
	static uint64_t made;
	uint64_t before = 0, after = 0;
	bool known = false;

	for (uint64_t i = from; i < to; i++) {
		const struct entry *e = &entries[i];

		/* Whoever wrote the number knew that the step was kept. */
		if (e->count >= 1 && e->sector == ack_sector && !(e->flags & LOG_NODATA) &&
		    le64(e->data) > acked)
			acknowledge(le64(e->data));
		/* As many, evenly over the log. */
		while (made * entry_count < states * (i + 1)) {
			if (!known) {
				before = objects_at(from, from);
				after = objects_at(from, to);
				known = true;
			}
			cut(from, i + 1, chances[(unsigned int)rand() % 5]);
			state_check(i, before, after);
			made++;
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t states, from = 0;

	if (argc != 10)
		die("usage: storecut BASE LOG START BLOCKS ACK VOLUME SECTORS SEED STATES");
	durable = file_read(argv[1], &disk_size);
	log_parse(argv[2]);
	start = strtoull(argv[3], NULL, 10);
	blocks = strtoull(argv[4], NULL, 10);
	ack_sector = strtoull(argv[5], NULL, 10);
	volume = argv[6];
	version_sectors = strtoull(argv[7], NULL, 10);
	seed = strtoull(argv[8], NULL, 10);
	states = strtoull(argv[9], NULL, 10);
	over = calloc(blocks, sizeof(*over));
	version = calloc(version_sectors, sizeof(*version));
	for (uint64_t i = 0; i < entry_count; i++) {
		if (!(entries[i].flags & LOG_FLUSH) && i + 1 < entry_count)
			continue;
		between(from, i + 1, states);
		keep(from, i + 1);
		from = i + 1;
	}
	printf("storecut: %" PRIu64 " writes, %" PRIu64 " steps, %u snapshots, %" PRIu64
	       " states, %u bad\n", entry_count, acked, snapshots, states, bad);
	return bad != 0;
}
