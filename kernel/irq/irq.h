/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host interrupts: vectors, the local APIC, IOAPICs (8259 when there is none), MSI, IPIs.
 * Owns: vector allocation per CPU, routing, counters. Must not know: what devices do.
 */
#ifndef RAYOS_KERNEL_IRQ_IRQ_H
#define RAYOS_KERNEL_IRQ_IRQ_H

#include "kernel/lib/types.h"

/* Runs with IRQs off; EOI is sent by the caller after it returns. Must not sleep. */
typedef void (*irq_fn)(void *arg);

struct irq_handle; /* one requested interrupt */

#define IRQ_F_LEVEL      (1u << 0)
#define IRQ_F_ACTIVE_LOW (1u << 1)
#define IRQ_F_SHARED     (1u << 2)

/**
 * Route a global system interrupt (ISA IRQ numbers after MADT overrides) to a handler, on the
 * started CPU that serves the fewest lines.
 * Returns: 0, -RAY_EBUSY, -RAY_ENOSPC, -RAY_ENODEV (no such GSI). Context: thread or init.
 */
int __must_check irq_gsi_request(struct irq_handle **out, uint32_t gsi, unsigned int flags,
				 irq_fn fn, void *arg, const char *name);
/** ISA interrupt 0..15 with its override from the MADT. */
int __must_check irq_isa_request(struct irq_handle **out, unsigned int isa_irq, irq_fn fn,
				 void *arg, const char *name);

struct msi_msg {
	uint64_t addr;
	uint32_t data;
};
/** Reserve a vector on @cpu for a message-signalled interrupt; *msg is what the device gets. */
int __must_check irq_msi_request(struct irq_handle **out, unsigned int cpu, struct msi_msg *msg,
				 irq_fn fn, void *arg, const char *name);
/** On return the handler runs nowhere any more. */
void irq_release(struct irq_handle *h);
void irq_mask(struct irq_handle *h);
void irq_unmask(struct irq_handle *h);

/* Inter-processor. */
/** Make @cpu leave a guest or its idle loop and look at its request bits. Context: any. */
void ipi_kick(unsigned int cpu);
/** Run fn(arg) on @cpu with IRQs off and wait for it. Context: IRQs on, no spinlocks. */
void ipi_call(unsigned int cpu, void (*fn)(void *arg), void *arg);
/** The same on every online CPU, the caller included. */
void ipi_call_all(void (*fn)(void *arg), void *arg);
/** NMI to all other CPUs (panic). */
void ipi_nmi_others(void);

/** Whether an interrupt is being handled on this CPU. */
bool irq_in_handler(void);

/**
 * Bring up the local APIC, IOAPICs (as the MADT or the chipset's habit has them) or the 8259.
 * Interrupts stay off. Context: init, boot processor, after mm and acpi_tables_init().
 */
void irq_init(void);
/** Make room for @cpu's handlers before it starts. Returns: 0, -RAY_ENOMEM. */
int __must_check irq_cpu_prepare(unsigned int cpu);

/**
 * Handle a vector that the CPU has acknowledged, as on a VM exit that does so: what the IDT
 * would have led to, except that threads are not switched.
 * Context: IRQs off
 */
void irq_deliver(unsigned int vector);

/** One line of `irq`. */
struct irq_info {
	const char *type; /* "gsi", "msi", "8259", "system" */
	uint32_t gsi;     /* or UINT32_MAX */
	unsigned int cpu;
	unsigned int vector;
	bool level, masked;
	uint64_t count;
	char name[24];
};
/** Copy up to @max entries. Returns: how many there are. Context: any but NMI. */
size_t irq_list(struct irq_info *out, size_t max);
/** Interrupts of that vector on that CPU since boot. */
uint64_t irq_count(unsigned int cpu, unsigned int vector);

#endif
