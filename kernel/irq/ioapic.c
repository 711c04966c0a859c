/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_TAG "ioapic"
#include "kernel/irq/ioapic.h"

#include "kernel/acpi/madt.h"
#include "kernel/log.h"
#include "kernel/mm/vmap.h"
#include "kernel/sched/spinlock.h"

#define IOAPIC_LEN     0x20u
#define IOREGSEL       0u /* index of 32-bit words */
#define IOWIN          4u
#define REG_VERSION    1u
#define REG_REDIR(pin) (0x10u + 2u * (pin))

#define REDIR_ACTIVE_LOW BIT(13)
#define REDIR_LEVEL      BIT(15)
#define REDIR_MASKED     BIT(16)

#define PINS_MAX 240u

struct ioapic {
	volatile uint32_t *regs;
	uint32_t gsi_base, pins;
};

static struct ioapic ioapics[MADT_IOAPIC_MAX];
static unsigned int ioapic_count;
static struct spinlock lock = SPINLOCK_INIT(LOCK_ORDER_NONE);

static uint32_t reg_read(const struct ioapic *io, uint32_t reg)
{
	io->regs[IOREGSEL] = reg;
	return io->regs[IOWIN];
}

static void reg_write(const struct ioapic *io, uint32_t reg, uint32_t v)
{
	io->regs[IOREGSEL] = reg;
	io->regs[IOWIN] = v;
}

static const struct ioapic *find(uint32_t gsi)
{
	for (unsigned int i = 0; i < ioapic_count; i++)
		if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].pins)
			return &ioapics[i];
	return NULL;
}

/* An address nobody answers at reads as all ones, or as zero. */
static bool sane_version(uint32_t version)
{
	uint32_t pins = ((version >> 16) & 0xff) + 1;

	return version != 0 && version != UINT32_MAX && (version & 0xff) >= 0x10 &&
	       pins >= 16 && pins <= PINS_MAX;
}

static bool ioapic_add(const struct madt_ioapic *m)
{
	struct ioapic io = { .gsi_base = m->gsi_base };
	uint32_t version;

	io.regs = vmap(HPA(m->addr), IOAPIC_LEN, VMAP_UC, true);
	if (!io.regs)
		return false;
	version = reg_read(&io, REG_VERSION);
	if (!sane_version(version)) {
		log_warn("no IOAPIC answers addr=%#x version=%#x", m->addr, version);
		vunmap((void *)(uintptr_t)io.regs);
		return false;
	}
	io.pins = ((version >> 16) & 0xff) + 1;
	for (uint32_t pin = 0; pin < io.pins; pin++)
		reg_write(&io, REG_REDIR(pin), (uint32_t)REDIR_MASKED);
	ioapics[ioapic_count++] = io;
	log_info("IOAPIC addr=%#x gsi=%u..%u", m->addr, io.gsi_base, io.gsi_base + io.pins - 1);
	return true;
}

unsigned int ioapic_init(const struct madt_info *madt)
{
	for (uint32_t i = 0; i < madt->ioapic_count; i++)
		(void)ioapic_add(&madt->ioapic[i]);
	return ioapic_count;
}

bool ioapic_has(uint32_t gsi)
{
	return find(gsi) != NULL;
}

void ioapic_route(uint32_t gsi, uint32_t apic_id, uint8_t vector, bool level, bool active_low)
{
	const struct ioapic *io = find(gsi);
	uint32_t low = vector | (uint32_t)REDIR_MASKED, reg;
	uint64_t flags;

	if (level)
		low |= (uint32_t)REDIR_LEVEL;
	if (active_low)
		low |= (uint32_t)REDIR_ACTIVE_LOW;
	reg = REG_REDIR(gsi - io->gsi_base);
	flags = spin_lock_irqsave(&lock);
	reg_write(io, reg, low);
	reg_write(io, reg + 1, apic_id << 24);
	spin_unlock_irqrestore(&lock, flags);
}

void ioapic_mask(uint32_t gsi, bool masked)
{
	const struct ioapic *io = find(gsi);
	uint32_t reg = REG_REDIR(gsi - io->gsi_base), low;
	uint64_t flags = spin_lock_irqsave(&lock);

	low = reg_read(io, reg) & ~(uint32_t)REDIR_MASKED;
	reg_write(io, reg, masked ? low | (uint32_t)REDIR_MASKED : low);
	spin_unlock_irqrestore(&lock, flags);
}
