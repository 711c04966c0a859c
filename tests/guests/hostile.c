/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breaks the rules of virtio in every way it knows, one device after the other. What is expected:
 * the device answers with an error of its own or asks for a reset, can be reset and works again.
 * Nobody else notices; that the test looks at from outside. Needs two CPUs.
 *
 *	type=N    only devices of that type
 *	repeat=N  all of it so often
 *	part=N    only an N-th of the rounds in which the same is done again
 *	verbose   names each attack
 */
#include "hostile/hostile.h"

#define WAIT_TICKS 4000000000ul
#define SHORT_TICKS 30000000ul /* for what is expected to stay without an answer */

static const struct kind {
	unsigned type;
	const char *name;
	uint16_t queue;
	uint16_t out, in; /* bytes of a request the device answers */
	uint32_t word;    /* its first word */
} kinds[] = {
	{VIRTIO_NET, "net", 1, 12 + 60, 0, 0},
	{VIRTIO_BLOCK, "disk", 0, 16, 512 + 1, 0},
	{VIRTIO_CONSOLE, "console", 1, 1, 0, '.'},
	{VIRTIO_ENTROPY, "rng", 0, 0, 64, 0},
	{VIRTIO_BALLOON, "balloon", 1, 4, 0, 0x4000}, /* deflate: a page that is there anyway */
	{VIRTIO_GPU, "gpu", 0, 24, 408, 0x100},
	{VIRTIO_INPUT, "input", 1, 8, 0, 0},
	{VIRTIO_SOCKET, "vsock", 1, 44, 0, 0},
};

static void (*volatile other_fn)(void *arg);
static void *volatile other_arg;
static volatile bool other_idle = true;
static bool verbose;
static uint64_t part;
static uint64_t seed = 0x9e3779b97f4a7c15ul;

uint64_t dice(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

unsigned rounds(unsigned full)
{
	return (unsigned)(full / part);
}

uint64_t place(void)
{
	static const uint64_t edges[] = {NO_MEMORY, LAPIC, 0xfec00000ul, 0xe0000000ul, END_OF_MAP};
	uint64_t d = dice(), scratch = SCRATCH + dice() % SCRATCH_SIZE;

	switch (d & 7) {
	case 0: return RAM_LAST + (d >> 8) % (RAM_END - RAM_LAST);
	case 1: return edges[(d >> 8) % (sizeof(edges) / sizeof(edges[0]))] + (d >> 32) % 4096;
	case 2: return 0 - (d >> 8) % 65536;
	case 3: return scratch | 1ul << (32 + (d >> 8) % 32);
	case 4: return (d >> 8) % 0x80000; /* nothing of this guest's: its command line is copied */
	default: return scratch;
	}
}

uint32_t reach(void)
{
	uint64_t d = dice();

	switch (d & 15) {
	case 0: return (uint32_t)(d >> 8) % REACH >> (d >> 60); /* of every magnitude */
	case 1: return (uint32_t)((d >> 8) | RAM_END);
	case 2: return 0;
	default: return (uint32_t)(d >> 8) % 4096;
	}
}

/* --- the second CPU --- */

static void other_cpu(void)
{
	for (;;) {
		void (*fn)(void *arg) = other_fn;

		other_idle = !fn;
		if (fn)
			fn(other_arg);
		else
			__asm__ volatile("pause");
	}
}

void other_start(void (*fn)(void *arg), void *arg)
{
	other_arg = arg;
	other_idle = false;
	other_fn = fn;
}

void other_stop(void)
{
	other_fn = NULL;
	while (!other_idle)
		__asm__ volatile("pause");
}

/* --- a device --- */

static const struct kind *kind_of(const struct target *t)
{
	const struct kind *k = kinds;

	while (k->type != t->type)
		k++;
	return k;
}

bool target_begin(struct target *t, uint64_t features)
{
	virtio_alloc_reset();
	t->buffer = virtio_alloc(BUFFER, 4096);
	if (!virtio_negotiate(&t->v, features & virtio_offered(&t->v)) ||
	    !vring_setup(&t->ring, &t->v, kind_of(t)->queue, QUEUE_SIZE, VIRTIO_NO_VECTOR))
		return false;
	virtio_driver_ok(&t->v);
	return true;
}

static unsigned outcome(struct target *t)
{
	if (virtio_status(&t->v) & VIRTIO_S_NEEDS_RESET)
		return BROKEN;
	return vring_used_waiting(&t->ring) ? USED : NOTHING;
}

static unsigned wait_outcome(struct target *t, uint64_t ticks)
{
	uint64_t begin = rdtsc();
	unsigned end;

	do {
		end = outcome(t);
	} while (end == NOTHING && rdtsc() - begin < ticks);
	return end;
}

unsigned target_kick(struct target *t, unsigned may)
{
	vring_kick_port(&t->ring);
	return wait_outcome(t, may & NOTHING ? SHORT_TICKS : WAIT_TICKS);
}

void target_request(struct target *t)
{
	const struct kind *k = kind_of(t);
	uint16_t i = 0;

	*(volatile uint32_t *)t->buffer = k->word;
	if (k->out) {
		vring_desc_set(&t->ring, i, t->buffer, k->out, k->in ? VRING_NEXT : 0, 1);
		i++;
	}
	if (k->in)
		vring_desc_set(&t->ring, i, t->buffer + 1024, k->in, VRING_WRITE, 0);
}

bool target_works(struct target *t)
{
	if (!target_begin(t, 0))
		return false;
	target_request(t);
	vring_push(&t->ring, 0);
	vring_kick_port(&t->ring);
	return wait_outcome(t, WAIT_TICKS) == USED;
}

void target_end(struct target *t, const char *attack, unsigned end, unsigned may)
{
	static const char *const names[] = {[BROKEN] = "needs-reset", [USED] = "answered",
					    [NOTHING] = "nothing"};

	t->attacks++;
	if (verbose)
		print("HOSTILE %s %s: %s\n", t->name, attack, names[end]);
	if (!(end & may)) {
		print("HOSTILE %s %s ended as %s\n", t->name, attack, names[end]);
		report(false, attack);
	}
	if (!target_works(t)) {
		print("HOSTILE %s is of no use after %s: status %x\n", t->name, attack,
		      virtio_status(&t->v));
		report(false, attack);
	}
}

static void attack(const struct kind *k)
{
	struct target t = {.type = k->type, .name = k->name};

	if (!virtio_find(k->type, 0, &t.v))
		return;
	if (!target_works(&t)) {
		print("HOSTILE %s does not work to begin with: status %x\n", k->name,
		      virtio_status(&t.v));
		report(false, k->name);
		return;
	}
	attack_registers(&t);
	attack_messages(&t);
	attack_chains(&t);
	attack_requests(&t);
	attack_races(&t);
	print("HOSTILE %s attacks=%u\n", k->name, t.attacks);
	report(true, k->name);
}

/* Where memory ends, of what is below 4 GiB. */
static uint64_t ram_end(void)
{
	uint64_t base, len, end = 0;

	for (unsigned n = 0; memory_range(n, &base, &len); n++) {
		if (base < END_OF_MAP && base + len > end)
			end = base + len;
	}
	return end;
}

void guest_run(void)
{
	uint64_t type = cmdline_number("type", 0);

	verbose = cmdline_has("verbose");
	part = cmdline_number("part", 1);
	x2apic_enable();
	report((uintptr_t)guest_run >= GUEST_BASE && (uintptr_t)guest_end <= RAM_LAST &&
		       ram_end() == RAM_END,
	       "the guest is where no device of its own writes");
	report(cpu_start(1, other_cpu), "there is a second CPU");
	for (uint64_t n = cmdline_number("repeat", 1); n > 0; n--) {
		for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			if (!type || kinds[i].type == type)
				attack(&kinds[i]);
		}
	}
}
