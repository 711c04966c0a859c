/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X: vectors that are none, messages to everywhere, and a few of the kinds no device sends.
 * Those that may reach a CPU are ones this guest has handlers for; an INIT goes to nobody, as it
 * would be obeyed.
 */
#include "hostile.h"

#define MSIX_ENABLE  0x80000000u
#define VECTOR_NMI   2u
#define VECTORS      0x50u /* 16 of them */
#define NOBODY       7u    /* an APIC id */
#define BROADCAST    0xffu
#define DATA_LEVEL   0xc000u
#define DATA_SMI     0x200u
#define DATA_NMI     0x400u
#define DATA_INIT    0x500u
#define DATA_SIPI    0x600u
#define ARRIVE_TICKS 2000000000ul

static volatile unsigned taken, nmis;

static void message(struct isr_frame *frame)
{
	(void)frame;
	taken++;
	wrmsr(MSR_X2APIC_EOI, 0);
}

static void nmi(struct isr_frame *frame)
{
	(void)frame;
	__atomic_fetch_add(&nmis, 1, __ATOMIC_RELAXED);
}

unsigned messages_take(void)
{
	__asm__ volatile("sti; nop; cli" : : : "memory");
	return taken;
}

static void entry_set(struct target *t, unsigned n, uint64_t addr, uint32_t data)
{
	volatile uint32_t *entry = (volatile uint32_t *)(t->v.msix_table + n * 16ul);

	entry[0] = (uint32_t)addr;
	entry[1] = (uint32_t)(addr >> 32);
	entry[2] = data;
	entry[3] = 0;
}

void messages_tame(struct target *t)
{
	unsigned last = pci_read(t->v.slot, t->v.msix) >> 16 & 0x7ff;

	for (unsigned v = VECTORS; v < VECTORS + 16; v++)
		isr_set((uint8_t)v, message);
	isr_set(VECTOR_NMI, nmi);
	for (unsigned n = 0; n <= last; n++)
		entry_set(t, n, LAPIC, VECTORS + n % 16);
}

/* A request whose answer is told by this message; how it ended. */
static unsigned request_telling(struct target *t, uint64_t addr, uint32_t data)
{
	target_begin(t, 0);
	virtio_write(&t->v, COMMON_Q_SELECT, 2, t->ring.index);
	virtio_write(&t->v, COMMON_Q_MSIX, 2, 0);
	pci_write(t->v.slot, t->v.msix, MSIX_ENABLE);
	entry_set(t, 0, addr, data);
	target_request(t);
	vring_push(&t->ring, 0);
	return target_kick(t, USED);
}

static void vectors(struct target *t)
{
	bool refused = true;

	target_begin(t, 0);
	for (unsigned i = 64; i < 0xffff; i += 0x101) {
		virtio_write(&t->v, COMMON_MSIX, 2, i);
		refused &= virtio_read(&t->v, COMMON_MSIX, 2) == VIRTIO_NO_VECTOR;
		virtio_write(&t->v, COMMON_Q_MSIX, 2, i);
		refused &= virtio_read(&t->v, COMMON_Q_MSIX, 2) == VIRTIO_NO_VECTOR;
	}
	target_end(t, "MSI-X vectors that are none", refused ? NOTHING : USED, NOTHING);
}

static void addresses(struct target *t)
{
	const uint64_t places[] = {0, LAPIC, LAPIC | 1 << 12, LAPIC | NOBODY << 12, 0xfeeff000,
				   0xfeeffffc, LAPIC | 0xc, 0x1000000000 | LAPIC, SCRATCH, RAM_END,
				   ~0ul, t->v.common};

	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		unsigned end = request_telling(t, places[i],
					       (uint32_t)(dice() & 0xffff0000u) | VECTORS | (i & 15));

		messages_take();
		pci_write(t->v.slot, t->v.msix, 0);
		target_end(t, "messages to everywhere", end, USED);
	}
}

static void odd(struct target *t)
{
	static const uint32_t kinds[] = {0, 8, 14, 15, 0x100 | VECTORS, DATA_LEVEL | VECTORS, DATA_SMI,
					 0x300 | VECTORS, DATA_NMI, DATA_NMI | 0xff, DATA_INIT,
					 DATA_SIPI | 8};
	static const unsigned whom[] = {0, 1, NOBODY, BROADCAST};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		for (unsigned n = 0; n < sizeof(whom) / sizeof(whom[0]); n++) {
			unsigned to = kinds[i] == DATA_INIT ? NOBODY : whom[n];

			request_telling(t, LAPIC | to << 12, kinds[i]);
			messages_take();
			pci_write(t->v.slot, t->v.msix, 0);
		}
	}
	target_end(t, "messages of every kind", NOTHING, ANY);
}

/* After all that one that is right arrives. */
static void right(struct target *t)
{
	unsigned before = messages_take();
	uint64_t begin = rdtsc();
	unsigned end = request_telling(t, LAPIC, VECTORS);

	while (messages_take() == before && rdtsc() - begin < ARRIVE_TICKS)
		;
	if (messages_take() == before)
		end = NOTHING;
	pci_write(t->v.slot, t->v.msix, 0);
	target_end(t, "a message that is right", end, USED);
}

void attack_messages(struct target *t)
{
	messages_tame(t);
	vectors(t);
	addresses(t);
	odd(t);
	right(t);
	print("HOSTILE %s messages=%u nmis=%u\n", t->name, taken, nmis);
}
