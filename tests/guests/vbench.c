/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what virtio devices cost, as TSC deltas seen from inside (see bench.c), its own
 * instructions subtracted. What it does stands on the command line:
 *
 *	blk   reads of a disk of 8 MiB or more: one by one, 32 at a time, 1 MiB each
 *	kick  from a notify to the interrupt handler, of an entropy device that has bytes in stock
 *	send  1,500-byte frames and 64 KiB segments to the one that runs with
 *	sink  which takes them, and asks for more by a frame of its own
 *
 * Prints "BENCH ready", waits for a byte (not as a sink), measures, and waits again before it
 * prints "BENCH name value" lines, so that exits can be counted from outside meanwhile.
 */
#include "guest.h"
#include "virtio.h"

#define VECTOR_BLK   0x50u
#define VECTOR_NET   0x51u
#define QUIET        20000000u /* TSC ticks until a console line is out at 115200 baud */
#define PATIENCE     10000000000ul
#define RESULTS      16u
#define MSR_PV_EOI   0x4b564d04u

#define SECTOR       512u
#define DISK_BYTES   (8u << 20)
#define BLOCK        4096u
#define D1_ROUNDS    10000u
#define D32_ROUNDS   500u
#define DEPTH        32u
#define SEQ_ROUNDS   32u
#define SEQ_BYTES    (1u << 20)
#define SEQ_PIECES   128u
#define COPY_OF(n)   ((n) / 8u) /* rep movsq: an instruction for each eight bytes */

static volatile uint32_t handled;
static volatile uint64_t handler_tsc;
static volatile uint32_t pv_eoi __attribute__((aligned(4)));

static struct {
	const char *name;
	uint64_t value;
} results[RESULTS];
static uint32_t result_count;

static void result(const char *name, uint64_t value)
{
	results[result_count].name = name;
	results[result_count++].value = value;
}

/* As Linux ends an interrupt: by the paravirtual bit, else by the register. */
void on_device(void);
__asm__(".text\n.align 16\non_device:\n\t"
	"pushq %rax\n\tpushq %rdx\n\tpushq %rcx\n\t"
	"rdtsc\n\tshlq $32, %rdx\n\torq %rdx, %rax\n\tmovq %rax, handler_tsc(%rip)\n\t"
	"incl handled(%rip)\n\t"
	"lock btrl $0, pv_eoi(%rip)\n\tjc 1f\n\t"
	"movl $0x80b, %ecx\n\txorl %eax, %eax\n\txorl %edx, %edx\n\twrmsr\n"
	"1:\tpopq %rcx\n\tpopq %rdx\n\tpopq %rax\n\tiretq\n");

static void die(const char *what)
{
	print("BENCH failed: %s\n", what);
	finish();
}

/* As a system without other work waits. */
static void wait_handled(uint32_t until)
{
	if (handled == until)
		return;
	__asm__ volatile("cli");
	while (handled != until)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	__asm__ volatile("sti");
}

/* The device's way to completion; its own cost is in no result. */
static void until_used(struct vring *r, uint16_t n)
{
	while (vring_used_waiting(r) < n)
		;
}

/* --- blk --- */

struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};

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

static inline void take(uint16_t n)
{
	uint32_t len;

	while (n-- > 0)
		(void)vring_used_take(&ring, &len);
}

/* Interrupt when @n more are used (2.7.7). */
static inline void interrupt_after(uint16_t n)
{
	ring.avail[2 + ring.size] = (uint16_t)(ring.used_seen + n - 1);
}

static inline uint64_t random_sector(void)
{
	return (uint64_t)(random_next() % (DISK_BYTES / BLOCK)) * (BLOCK / SECTOR);
}

static void blk_start(void)
{
	if (!virtio_find(VIRTIO_BLOCK, 0, &disk) ||
	    !virtio_negotiate(&disk, VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT) ||
	    !vring_setup(&ring, &disk, 0, 256, 1))
		die("no disk");
	virtio_msix(&disk, 1, VECTOR_BLK, 0);
	virtio_driver_ok(&disk);
	headers = virtio_alloc(DEPTH * sizeof(*headers), 4096);
	status = virtio_alloc(DEPTH, 4096);
	data = virtio_alloc(SEQ_BYTES, 4096);
	/* Memory behind all of it, so that a read copies. */
	for (uint64_t at = 0; at < DISK_BYTES; at += SEQ_BYTES) {
		uint32_t before = handled;

		interrupt_after(1);
		request(0, 1, at / SECTOR, data, SEQ_BYTES);
		vring_kick_port(&ring);
		wait_handled(before + 1);
		until_used(&ring, 1);
		take(1);
		if (status[0] != 0)
			die("disk cannot be written");
	}
}

/* @count batches of @depth requests; without @real only what the guest itself does. */
static uint64_t blk_batches(uint32_t count, uint16_t depth, bool real)
{
	uint64_t begin = rdtsc();

	for (uint32_t n = 0; n < count; n++) {
		uint32_t before = handled;

		interrupt_after(depth);
		for (uint16_t i = 0; i < depth; i++)
			request(i, 0, random_sector(), data + i * BLOCK, BLOCK);
		if (real) {
			vring_kick_port(&ring);
			wait_handled(before + 1);
			until_used(&ring, depth);
		}
		take(depth);
		if (!real) {
			ring.avail_idx = (uint16_t)(ring.avail_idx - depth);
			ring.used_seen = (uint16_t)(ring.used_seen - depth);
			__atomic_store_n(&ring.avail[1], ring.avail_idx, __ATOMIC_RELEASE);
		}
	}
	return rdtsc() - begin;
}

static uint64_t blk_each(uint32_t count, uint16_t depth)
{
	uint64_t own = blk_batches(count, depth, false);
	uint64_t all = blk_batches(count, depth, true);

	return (all - own) / (count * depth) - COPY_OF(BLOCK);
}

/* One chain through an indirect table: header, 128 pieces, status. */
static uint64_t blk_sequential(void)
{
	volatile struct vring_desc *table = virtio_alloc((SEQ_PIECES + 2) * 16ul, 4096);
	uint64_t ticks = 0;

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
		uint32_t before = handled;
		uint64_t begin = rdtsc();

		interrupt_after(1);
		headers[0].type = 0;
		headers[0].sector = (n % (DISK_BYTES / SEQ_BYTES)) * (SEQ_BYTES / SECTOR);
		vring_desc_set(&ring, 0, (const void *)table, (SEQ_PIECES + 2) * 16,
			       VRING_INDIRECT, 0);
		vring_push(&ring, 0);
		vring_kick_port(&ring);
		wait_handled(before + 1);
		until_used(&ring, 1);
		take(1);
		ticks += rdtsc() - begin;
		if (status[0] != 0)
			die("disk cannot be read");
	}
	return ticks / SEQ_ROUNDS / (SEQ_BYTES / 1024);
}

static void measure_blk(void)
{
	uint32_t before = handled;
	uint64_t d1 = blk_each(D1_ROUNDS, 1);

	result("blk_4k_d1", d1);
	result("blk_4k_d1_interrupts_x100", (handled - before) * 100ul / D1_ROUNDS);
	result("blk_4k_d32", blk_each(D32_ROUNDS, DEPTH));
	result("blk_seq_per_kib", blk_sequential());
}

/* --- kick --- */

static void measure_kick(void)
{
	const uint32_t rounds = 10000;
	struct virtio rng;
	uint64_t sum = 0;
	uint8_t *byte;

	if (!virtio_find(VIRTIO_ENTROPY, 0, &rng) || !virtio_negotiate(&rng, 0) ||
	    !vring_setup(&ring, &rng, 0, 256, 1))
		die("no entropy device");
	virtio_msix(&rng, 1, VECTOR_BLK, 0);
	virtio_driver_ok(&rng);
	byte = virtio_alloc(64, 64);
	vring_desc_set(&ring, 0, byte, 1, VRING_WRITE, 0);
	for (uint32_t n = 0; n < rounds; n++) {
		uint32_t before = handled;
		uint64_t begin;

		vring_push(&ring, 0);
		begin = rdtsc();
		vring_kick_port(&ring);
		while (handled == before)
			;
		/* Now and then the stock is filled anew, by another thread. */
		sum += handler_tsc - begin;
		until_used(&ring, 1);
		take(1);
	}
	result("virtio_kick_rng", sum / rounds);
}

void guest_run(void)
{
	x2apic_enable();
	idt_set(VECTOR_BLK, on_device);
	idt_set(VECTOR_NET, on_device);
	wrmsr(MSR_PV_EOI, (uintptr_t)&pv_eoi | 1);
	__asm__ volatile("sti");
	if (cmdline_has("blk"))
		blk_start();
	print("BENCH ready\n");
	wait_byte();
	spin(QUIET);
	if (cmdline_has("blk"))
		measure_blk();
	if (cmdline_has("kick"))
		measure_kick();
	print("BENCH measured\n");
	wait_byte();
	for (uint32_t i = 0; i < result_count; i++)
		print("BENCH %s %lu\n", results[i].name, results[i].value);
}
