/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts for guests: one routing layer in front of the 8259 pair, the IOAPIC and the
 * local APICs.
 *
 *   device line --> virq_line_set(gsi) --> 8259 (gsi < 16), IOAPIC (gsi < 24)
 *   IOAPIC, MSI --> virq_msi_send() --> vlapic_deliver() --> IRR bit + vcpu_kick()
 *
 * IRR bits are set with atomic operations by any CPU; only the vCPU's own loop moves them on.
 */
#ifndef RAYOS_HV_VIRQ_H
#define RAYOS_HV_VIRQ_H

#include "hv/vdev.h"
#include "kernel/lib/types.h"

struct vm;
struct vcpu;
struct vlapic;

#define VIRQ_GSI_COUNT 24u

/** Create 8259 pair, IOAPIC and routing for a VM (vLAPICs come with their vCPUs). */
int __must_check virq_create(struct vm *vm);

/**
 * Drive an interrupt line. Level semantics: callers set 1 and later 0; a pulse is 1 then 0.
 * Lines are ISA numbers up to 15: line 0 (8254) reaches 8259 input 0 and IOAPIC pin 2, as the
 * MADT override says; line 2 reaches nothing.
 * Several devices may share a line: each passes its own @source (0..31), levels are ORed.
 * Context: any but NMI; takes a spinlock (order VIRQ).
 */
void virq_line_set(struct vm *vm, unsigned int gsi, unsigned int source, bool level);

/**
 * Deliver a message-signalled interrupt (SDM vol. 3, 10.11).
 * Returns: number of vCPUs reached, 0 when nobody matched. Context: any but NMI; lock-free.
 * Trust: addr and data are guest-controlled.
 */
unsigned int virq_msi_send(struct vm *vm, uint64_t addr, uint32_t data);

/* --- local APIC of one vCPU --- */

int __must_check vlapic_create(struct vcpu *vcpu);
void vlapic_destroy(struct vcpu *vcpu);
void vlapic_reset(struct vcpu *vcpu); /* power-on; INIT keeps the APIC ID and base */
void vlapic_init_signal(struct vcpu *vcpu);

/** Set an IRR bit (and TMR when level) and kick. Context: any but NMI, lock-free. */
void vlapic_set_irq(struct vcpu *vcpu, uint8_t vector, bool level);

/**
 * Highest vector that can be delivered now by priority (IRR above PPR), ExtINT from the 8259
 * included when LINT0 or the disabled APIC lets it through; -1 when none. For the 8259 the
 * answer is 256: only vlapic_ack() learns its vector.
 * Context: vCPU's own loop, IRQs off. Does not change state.
 */
int vlapic_pending(struct vcpu *vcpu);
/** Accept what vlapic_pending() said last (not -1): IRR to ISR (or 8259 INTA cycle). Returns the vector to inject. */
int vlapic_ack(struct vcpu *vcpu);

/** Highest vector that only TPR keeps out, -1 when none: the backend then must see the guest
 *  lower CR8. Context: as vlapic_pending(). */
int vlapic_tpr_blocked(struct vcpu *vcpu);

/** Task priority as CR8 has it (bits 7:4 of TPR). */
uint64_t vlapic_cr8_get(const struct vcpu *vcpu);
void vlapic_cr8_set(struct vcpu *vcpu, uint64_t cr8);

/**
 * x2APIC register as an MSR (0x800..0x8FF) and IA32_APIC_BASE, IA32_TSC_DEADLINE.
 * `fast` calls run with IRQs off in the exit handler and may return -RAY_EAGAIN to be repeated
 * from the thread. Returns: 0, -RAY_EFAULT (inject #GP). Trust: index and value.
 */
int vlapic_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value, bool fast);
int vlapic_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value, bool fast);
/** xAPIC page access at the APIC base. @off 0..0xFFF. */
bool vlapic_mmio(struct vcpu *vcpu, uint32_t off, bool write, uint32_t *value, bool fast);
/** IA32_APIC_BASE: page address, BSP, EXTD and EN bits. */
uint64_t vlapic_base(const struct vcpu *vcpu);

/** Send an IPI as if ICR had been written (KVM PV IPI, SDM 10.6.1). Trust: icr. */
void vlapic_icr(struct vcpu *vcpu, uint64_t icr, uint32_t dest);
/** EOI by the paravirtual bit: guest cleared it. */
void vlapic_pv_eoi_sync(struct vcpu *vcpu);
/** KVM PV EOI enabled with the MSR value given (gpa | 1) or 0. */
int vlapic_pv_eoi_set(struct vcpu *vcpu, uint64_t msr);

/** Stop the timer with the VM (pause, save) and let it go on. Pre: the vCPU is stopped. */
void vlapic_quiesce(struct vcpu *vcpu);
void vlapic_resume(struct vcpu *vcpu);

/* vcpu state records: written with the vCPU, which is stopped. A record loads whole or not at
 * all (-RAY_EINVAL); the loaded timer runs at once unless vlapic_quiesce() came before. */
#define VLAPIC_STATE_VERSION 1u
void vlapic_save(struct vcpu *vcpu, struct state_buf *b);
int vlapic_load(struct vcpu *vcpu, struct state_buf *b, uint32_t version);

/* The EOI broadcast of a level-triggered vector to the IOAPIC. */
void vioapic_eoi(struct vm *vm, uint8_t vector);
/** The 8259 pair's INTA cycle. */
int vpic_ack(struct vm *vm);

#endif
