/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of the vector tables are interrupt handlers, which run with IRQs off: a handle is
 * freed after its CPU has been interrupted once more since it was taken out.
 */
#define LOG_TAG "irq"
#include "kernel/irq/irq.h"

#include <string.h>

#include "kernel/acpi/madt.h"
#include "kernel/acpi/tables.h"
#include "kernel/arch/lapic.h"
#include "kernel/arch/percpu.h"
#include "kernel/irq/ioapic.h"
#include "kernel/irq/irq_priv.h"
#include "kernel/irq/pic.h"
#include "kernel/lib/err.h"
#include "kernel/lib/list.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmap.h"
#include "kernel/panic.h"
#include "kernel/sched/spinlock.h"

enum irq_type { IRQ_TYPE_GSI, IRQ_TYPE_PIC, IRQ_TYPE_MSI };

struct irq_handle {
	struct irq_handle *next; /* shares the vector */
	irq_fn fn;
	void *arg;
	uint64_t count; /* written by its CPU only */
	enum irq_type type;
	uint32_t gsi;
	uint32_t cpu;
	uint32_t vector;
	unsigned int flags;
	bool masked;
	struct list_head all;
	char name[24];
};

static struct spinlock irq_lock = SPINLOCK_INIT(LOCK_ORDER_IRQ);
static struct list_head all_handles = LIST_HEAD_INIT(all_handles);
static struct irq_handle **tables[CPU_MAX]; /* by vector - IRQ_TABLE_FIRST */
static struct madt_info madt;
static bool use_pic;

/* Where chipsets without a table that says so have their IOAPIC. */
#define IOAPIC_HABIT_ADDR 0xfec00000u
#define IOAPIC_HABIT_PIT  2u /* the timer's interrupt arrives there, MPS 1.4 app. B */

/* Where messages go: SDM vol. 3 sec. 11.11. */
#define MSI_ADDR_BASE     0xfee00000ull
#define MSI_ADDR_DEST(id) ((uint64_t)(id) << 12)

struct irq_handle *irq_table_get(unsigned int cpu, unsigned int vector)
{
	return __atomic_load_n(&tables[cpu][vector - IRQ_TABLE_FIRST], __ATOMIC_ACQUIRE);
}

bool irq_handle_run(unsigned int cpu, unsigned int vector)
{
	struct irq_handle *h = irq_table_get(cpu, vector);

	if (!h)
		return false;
	for (; h; h = __atomic_load_n(&h->next, __ATOMIC_ACQUIRE)) {
		h->count++;
		h->fn(h->arg);
	}
	return true;
}

int irq_cpu_prepare(unsigned int cpu)
{
	if (!tables[cpu])
		tables[cpu] = kcalloc(IRQ_TABLE_LEN, sizeof(*tables[cpu]), MEM_IRQ);
	return tables[cpu] ? 0 : -RAY_ENOMEM;
}

/* A vector of @cpu nobody has, 0 when there is none. Lock held. */
static unsigned int vector_find(unsigned int cpu)
{
	for (unsigned int v = VECTOR_DYN_BASE; v < VECTOR_DYN_END; v++)
		if (!tables[cpu][v - IRQ_TABLE_FIRST])
			return v;
	return 0;
}

/* Lock held. */
static void handle_publish(struct irq_handle *h)
{
	list_add_tail(&h->all, &all_handles);
	__atomic_store_n(&tables[h->cpu][h->vector - IRQ_TABLE_FIRST], h, __ATOMIC_RELEASE);
}

static struct irq_handle *handle_alloc(irq_fn fn, void *arg, const char *name)
{
	struct irq_handle *h = kzalloc(sizeof(*h), MEM_IRQ);

	if (!h)
		return NULL;
	h->fn = fn;
	h->arg = arg;
	strlcpy(h->name, name, sizeof(h->name));
	return h;
}

/* Who has this GSI already; lock held. */
static struct irq_handle *gsi_find(uint32_t gsi)
{
	struct irq_handle *h;

	list_for_each_entry(h, &all_handles, all)
		if (h->type != IRQ_TYPE_MSI && h->gsi == gsi)
			return irq_table_get(h->cpu, h->vector);
	return NULL;
}

static void line_mask(const struct irq_handle *h, bool masked)
{
	if (h->type == IRQ_TYPE_GSI)
		ioapic_mask(h->gsi, masked);
	else if (h->type == IRQ_TYPE_PIC)
		pic_mask(h->gsi, masked);
}

/* Join the handlers of a line that is routed already. Lock held. */
static int gsi_share(struct irq_handle *h, struct irq_handle *first)
{
	if (!(h->flags & first->flags & IRQ_F_SHARED) ||
	    ((h->flags ^ first->flags) & (IRQ_F_LEVEL | IRQ_F_ACTIVE_LOW)))
		return -RAY_EBUSY;
	h->type = first->type;
	h->cpu = first->cpu;
	h->vector = first->vector;
	h->next = first;
	handle_publish(h);
	line_mask(h, false);
	return 0;
}

static unsigned int lines_of(unsigned int cpu)
{
	const struct irq_handle *h;
	unsigned int n = 0;

	list_for_each_entry(h, &all_handles, all)
		n += h->type == IRQ_TYPE_GSI && h->cpu == cpu;
	return n;
}

/* The CPU with the fewest lines: one after another, and what is released leaves no gap. An
 * IOAPIC entry names eight bits of APIC id. Lock held. */
static unsigned int line_cpu(void)
{
	unsigned int best = 0, fewest = lines_of(0);

	for (unsigned int cpu = 1; cpu < cpu_count() && fewest > 0; cpu++) {
		unsigned int n = lines_of(cpu);

		if (n < fewest && cpu_get(cpu)->apic_id <= LAPIC_ID_MAX_XAPIC) {
			best = cpu;
			fewest = n;
		}
	}
	return best;
}

/* Lock held. */
static int gsi_route(struct irq_handle *h)
{
	if (use_pic) {
		h->type = IRQ_TYPE_PIC;
		h->cpu = 0;
		h->vector = VECTOR_PIC_BASE + h->gsi;
		handle_publish(h);
		pic_level(h->gsi, h->flags & IRQ_F_LEVEL);
	} else {
		h->type = IRQ_TYPE_GSI;
		h->cpu = line_cpu();
		h->vector = vector_find(h->cpu);
		if (!h->vector)
			return -RAY_ENOSPC;
		handle_publish(h);
		ioapic_route(h->gsi, cpu_get(h->cpu)->apic_id, (uint8_t)h->vector,
			     h->flags & IRQ_F_LEVEL, h->flags & IRQ_F_ACTIVE_LOW);
	}
	line_mask(h, false);
	return 0;
}

int irq_gsi_request(struct irq_handle **out, uint32_t gsi, unsigned int flags, irq_fn fn,
		    void *arg, const char *name)
{
	struct irq_handle *h, *first;
	uint64_t irqs;
	int err;

	if (use_pic ? gsi >= MADT_ISA_IRQS : !ioapic_has(gsi))
		return -RAY_ENODEV;
	h = handle_alloc(fn, arg, name);
	if (!h)
		return -RAY_ENOMEM;
	h->gsi = gsi;
	h->flags = flags;
	irqs = spin_lock_irqsave(&irq_lock);
	first = gsi_find(gsi);
	err = first ? gsi_share(h, first) : gsi_route(h);
	/* A handler may run as soon as the lock is gone: it may use *out. */
	if (!err)
		*out = h;
	spin_unlock_irqrestore(&irq_lock, irqs);
	if (err)
		kfree(h);
	return err;
}

int irq_isa_request(struct irq_handle **out, unsigned int isa_irq, irq_fn fn, void *arg,
		    const char *name)
{
	const struct madt_isa *isa;
	unsigned int flags = 0;

	if (isa_irq >= MADT_ISA_IRQS)
		return -RAY_EINVAL;
	if (use_pic)
		return irq_gsi_request(out, isa_irq, 0, fn, arg, name);
	isa = &madt.isa[isa_irq];
	if (isa->level)
		flags |= IRQ_F_LEVEL;
	if (isa->active_low)
		flags |= IRQ_F_ACTIVE_LOW;
	return irq_gsi_request(out, isa->gsi, flags, fn, arg, name);
}

int irq_msi_request(struct irq_handle **out, unsigned int cpu, struct msi_msg *msg, irq_fn fn,
		    void *arg, const char *name)
{
	struct irq_handle *h;
	uint64_t irqs;
	int err = 0;

	/* Without an interrupt remapping unit a message names eight bits of APIC id. */
	if (cpu >= cpu_count() || cpu_get(cpu)->apic_id > LAPIC_ID_MAX_XAPIC)
		return -RAY_EINVAL;
	h = handle_alloc(fn, arg, name);
	if (!h)
		return -RAY_ENOMEM;
	h->type = IRQ_TYPE_MSI;
	h->gsi = UINT32_MAX;
	h->cpu = cpu;
	irqs = spin_lock_irqsave(&irq_lock);
	h->vector = vector_find(cpu);
	if (h->vector) {
		msg->addr = MSI_ADDR_BASE | MSI_ADDR_DEST(cpu_get(cpu)->apic_id);
		msg->data = h->vector;
		*out = h;
		handle_publish(h);
	} else {
		err = -RAY_ENOSPC;
	}
	spin_unlock_irqrestore(&irq_lock, irqs);
	if (err)
		kfree(h);
	return err;
}

/* Whether nobody on this line wants it open. Lock held. */
static bool line_all_masked(const struct irq_handle *of)
{
	for (const struct irq_handle *h = irq_table_get(of->cpu, of->vector); h; h = h->next)
		if (!h->masked)
			return false;
	return true;
}

void irq_mask(struct irq_handle *h)
{
	uint64_t irqs = spin_lock_irqsave(&irq_lock);

	h->masked = true;
	if (line_all_masked(h))
		line_mask(h, true);
	spin_unlock_irqrestore(&irq_lock, irqs);
}

void irq_unmask(struct irq_handle *h)
{
	uint64_t irqs = spin_lock_irqsave(&irq_lock);

	h->masked = false;
	line_mask(h, false);
	spin_unlock_irqrestore(&irq_lock, irqs);
}

static void nothing(void *arg)
{
	(void)arg;
}

void irq_release(struct irq_handle *h)
{
	struct irq_handle **link;
	uint64_t irqs = spin_lock_irqsave(&irq_lock);

	link = &tables[h->cpu][h->vector - IRQ_TABLE_FIRST];
	if (*link == h && !h->next)
		line_mask(h, true);
	while (*link != h)
		link = &(*link)->next;
	__atomic_store_n(link, h->next, __ATOMIC_RELEASE);
	list_del(&h->all);
	spin_unlock_irqrestore(&irq_lock, irqs);
	/* A handler that was running there has returned once that CPU takes a call. */
	ipi_call(h->cpu, nothing, NULL);
	kfree(h);
}

size_t irq_handles_list(struct irq_info *out, size_t max)
{
	static const char *const types[] = { "gsi", "8259", "msi" };
	uint64_t irqs = spin_lock_irqsave(&irq_lock);
	const struct irq_handle *h;
	size_t n = 0;

	list_for_each_entry(h, &all_handles, all) {
		if (n < max) {
			out[n] = (struct irq_info){
				.type = types[h->type],
				.gsi = h->gsi,
				.cpu = h->cpu,
				.vector = h->vector,
				.level = h->flags & IRQ_F_LEVEL,
				.masked = h->masked,
				.count = h->count,
			};
			memcpy(out[n].name, h->name, sizeof(out[n].name));
		}
		n++;
	}
	spin_unlock_irqrestore(&irq_lock, irqs);
	return n;
}

static void madt_read(void)
{
	size_t len;
	const void *table = acpi_table_find("APIC", 0, &len);

	madt_defaults(&madt);
	if (table) {
		if (madt_parse(table, len, &madt) != 0 || madt.ignored)
			log_warn("the MADT is damaged, ignored=%u", madt.ignored);
		return;
	}
	madt.has_8259 = true;
	madt.ioapic[0].addr = IOAPIC_HABIT_ADDR;
	madt.ioapic_count = 1;
	madt.isa[0].gsi = IOAPIC_HABIT_PIT;
}

void irq_init(void)
{
	void *mmio = vmap(HPA(lapic_phys_base()), PAGE_SIZE, VMAP_UC, true);

	if (!mmio || irq_cpu_prepare(0) != 0)
		panic("no memory for the interrupt controllers");
	madt_read();
	lapic_init(mmio);
	cpu_get(0)->apic_id = lapic_id();
	cpu_get(0)->online = 1;
	use_pic = ioapic_init(&madt) == 0;
	/* Its inputs are masked either way; firmware may have left one open. */
	if (use_pic || madt.has_8259)
		pic_init();
	if (use_pic)
		lapic_extint_enable();
	log_info("interrupts by %s and %s", lapic_is_x2apic() ? "x2APIC" : "xAPIC",
		 use_pic ? "8259" : "IOAPIC");
}
