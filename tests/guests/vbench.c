/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what virtio devices cost, as TSC deltas seen from inside (see bench.c), its own
 * instructions subtracted. What it has stands on the command line:
 *
 *	blk    a disk of 8 MiB or more
 *	meter  a measuring device, which has nothing to do and interrupts at each notify
 *	poll   its disk takes time: it counts what it does itself until the interrupt comes, and
 *	       that is not the host's
 *
 * and what it is to measure is typed, a byte at its menu (lib/meter.h):
 *
 *	1  reads of 4 KiB, one by one, beyond the copy
 *	3  the same, 32 at a time
 *	s  reads of 1 MiB, for each KiB, the copy included
 *	k  from a notify of the measuring device to the interrupt handler
 */
#include "guest.h"
#include "meter.h"
#include "virtio.h"

#define SECTOR       512u
#define DISK_BYTES   (8u << 20)
#define BLOCK        4096u
#define D1_ROUNDS    20000u
#define D1_POLLED    2000u
#define D32_ROUNDS   500u
#define DEPTH        32u
#define SEQ_ROUNDS   32u
#define SEQ_BYTES    (1u << 20)
#define SEQ_PIECES   128u
#define KICK_ROUNDS  10000u
#define KICK_SETTLE  1000000u
#define COPY_OF(n)   ((n) / 8u) /* rep movsq: an instruction for each eight bytes */

/* --- blk --- */

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

static bool polling;
static uint64_t waited; /* instructions of its own */
static struct virtio disk;
static struct vring ring;
static struct blk_header *headers;
static uint8_t *status, *data;

/* Knuth's MMIX generator; the upper bits are the random ones. */
static uint32_t random_next(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}

/* Request @i of a batch in descriptors 3i..3i+2. */
static inline void request(uint16_t i, uint32_t type, uint64_t sector, uint8_t *at, uint32_t len)
{
	uint16_t d = (uint16_t)(3 * i);

	headers[i].type = type;
	headers[i].sector = sector;
	vring_desc_set(&ring, d, &headers[i], sizeof(headers[i]), VRING_NEXT, (uint16_t)(d + 1));
	vring_desc_set(&ring, (uint16_t)(d + 1), at, len,
		       VRING_NEXT | (type == 0 ? VRING_WRITE : 0), (uint16_t)(d + 2));
	vring_desc_set(&ring, (uint16_t)(d + 2), &status[i], 1, VRING_WRITE, 0);
	vring_push(&ring, d);
}

static inline uint64_t random_sector(void)
{
	return (uint64_t)(random_next() % (DISK_BYTES / BLOCK)) * (BLOCK / SECTOR);
}

/* Three instructions a round. */
static void poll_until(uint32_t until)
{
	uint64_t rounds = 0;

	__asm__ volatile("1:\tincq %0\n\tcmpl %2, %1\n\tjne 1b"
			 : "+r"(rounds)
			 : "m"(meter_handled), "r"(until)
			 : "memory", "cc");
	waited += 3 * rounds;
}

/* Kick and wait as for one interrupt, then @n are used. */
static inline void served(uint32_t before, uint16_t n)
{
	vring_kick_port(&ring);
	if (polling)
		poll_until(before + 1);
	else
		meter_wait(before + 1);
	meter_until_used(&ring, n);
}

static void blk_start(void)
{
	if (!virtio_find(VIRTIO_BLOCK, 0, &disk) ||
	    !virtio_negotiate(&disk, VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT) ||
	    !vring_setup(&ring, &disk, 0, 256, 1))
		meter_fail("no disk");
	virtio_msix(&disk, 1, METER_VECTOR, 0);
	virtio_driver_ok(&disk);
	headers = virtio_alloc(DEPTH * sizeof(*headers), 4096);
	status = virtio_alloc(DEPTH, 4096);
	data = virtio_alloc(SEQ_BYTES, 4096);
	/* Memory behind all of it, so that a read copies. */
	for (uint64_t at = 0; at < DISK_BYTES; at += SEQ_BYTES) {
		uint32_t before = meter_handled;

		meter_interrupt_after(&ring, 1);
		request(0, 1, at / SECTOR, data, SEQ_BYTES);
		served(before, 1);
		meter_take(&ring, 1);
		if (status[0] != 0)
			meter_fail("disk cannot be written");
	}
}

/* @count batches of @depth requests; without @real only what the guest itself does. */
static uint64_t blk_batches(uint32_t count, uint16_t depth, bool real)
{
	uint64_t begin = rdtsc();

	for (uint32_t n = 0; n < count; n++) {
		uint32_t before = meter_handled;

		meter_interrupt_after(&ring, depth);
		for (uint16_t i = 0; i < depth; i++)
			request(i, 0, random_sector(), data + i * BLOCK, BLOCK);
		if (real)
			served(before, depth);
		meter_take(&ring, depth);
		if (!real)
			meter_undo(&ring, depth);
	}
	return rdtsc() - begin;
}

static void measure_blk(const char *name, uint32_t count, uint16_t depth)
{
	uint64_t own = blk_batches(count, depth, false), all;
	uint32_t before = meter_handled;

	waited = 0;
	all = blk_batches(count, depth, true) - waited;
	print("BENCH %s %lu\n", name,
	      (all - own) / (count * depth) - (polling ? 0 : COPY_OF(BLOCK)));
	print("BENCH %s_requests %u\n", name, count * depth);
	print("BENCH %s_interrupts %u\n", name, meter_handled - before);
}

/* One chain through an indirect table: header, 128 pieces, status. */
static void measure_sequential(void)
{
	static volatile struct vring_desc *table;
	uint64_t ticks = 0;

	waited = 0;
	if (!table)
		table = virtio_alloc((SEQ_PIECES + 2) * 16ul, 4096);
	for (uint16_t i = 0; i < SEQ_PIECES + 2; i++) {
		const uint32_t piece = SEQ_BYTES / SEQ_PIECES;
		bool head = i == 0, tail = i == SEQ_PIECES + 1;

		table[i].addr = head ? (uintptr_t)headers : tail ? (uintptr_t)status :
				(uintptr_t)(data + (i - 1) * piece);
		table[i].len = head ? sizeof(*headers) : tail ? 1 : piece;
		table[i].flags = head ? VRING_NEXT : tail ? VRING_WRITE : VRING_NEXT | VRING_WRITE;
		table[i].next = (uint16_t)(i + 1);
	}
	for (uint32_t n = 0; n < SEQ_ROUNDS; n++) {
		uint32_t before = meter_handled;
		uint64_t begin = rdtsc();

		meter_interrupt_after(&ring, 1);
		headers[0].type = 0;
		headers[0].sector = (n % (DISK_BYTES / SEQ_BYTES)) * (SEQ_BYTES / SECTOR);
		vring_desc_set(&ring, 0, (const void *)table, (SEQ_PIECES + 2) * 16,
			       VRING_INDIRECT, 0);
		vring_push(&ring, 0);
		served(before, 1);
		meter_take(&ring, 1);
		ticks += rdtsc() - begin;
		if (status[0] != 0)
			meter_fail("disk cannot be read");
	}
	print("BENCH blk_seq %lu\n", (ticks - waited) / SEQ_ROUNDS / (SEQ_BYTES / 1024));
}

/* --- kick --- */

static struct virtio meter;
static struct vring meter_ring;

static void meter_start(void)
{
	if (!virtio_find(VIRTIO_METER, 0, &meter) ||
	    !virtio_negotiate(&meter, VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT) ||
	    !vring_setup(&meter_ring, &meter, 0, 64, 1))
		meter_fail("no measuring device");
	virtio_msix(&meter, 1, METER_VECTOR, 0);
	virtio_driver_ok(&meter);
}

static void measure_kick(void)
{
	uint64_t sum = 0;

	/* DRIVER_OK serves queues too, on another thread: that interrupt comes first. */
	spin(KICK_SETTLE);
	for (uint32_t n = 0; n < KICK_ROUNDS; n++) {
		uint32_t before = meter_handled;
		uint64_t begin = rdtsc();

		vring_kick_port(&meter_ring);
		meter_wait(before + 1);
		sum += meter_tsc - begin;
	}
	print("BENCH virtio_kick %lu\n", sum / KICK_ROUNDS);
}

static void run(uint8_t byte)
{
	switch (byte) {
	case '1':
		measure_blk("blk_4k_d1", polling ? D1_POLLED : D1_ROUNDS, 1);
		break;
	case '3':
		measure_blk("blk_4k_d32", D32_ROUNDS, DEPTH);
		break;
	case 's':
		measure_sequential();
		break;
	case 'k':
		measure_kick();
		break;
	default:
		break;
	}
}

void guest_run(void)
{
	meter_init();
	polling = cmdline_has("poll");
	if (cmdline_has("blk"))
		blk_start();
	if (cmdline_has("meter"))
		meter_start();
	meter_menu(run);
}
