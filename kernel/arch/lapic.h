/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC of each CPU, by MMIO (xAPIC) or by MSR (x2APIC).
 * Owns: its registers, the vectors of its own sources, its timer's conversion factor.
 * Must not know: who handles which vector. SDM vol. 3 ch. 11; AMD APM vol. 2 ch. 16.
 */
#ifndef RAYOS_KERNEL_ARCH_LAPIC_H
#define RAYOS_KERNEL_ARCH_LAPIC_H

#include "kernel/lib/types.h"

#define LAPIC_DEFAULT_BASE 0xfee00000ull
#define LAPIC_ID_MAX_XAPIC 0xfeu

/* Vectors. A higher number is served first; 0x20 to 0x2f belong to the 8259 pair. */
#define VECTOR_PIC_BASE 0x20u
#define VECTOR_DYN_BASE 0x30u /* devices */
#define VECTOR_DYN_END  0xf0u
#define VECTOR_TIMER    0xfau
#define VECTOR_CALL     0xfbu
#define VECTOR_RESCHED  0xfcu
#define VECTOR_KICK     0xfdu
#define VECTOR_ERROR    0xfeu
#define VECTOR_SPURIOUS 0xffu

/** Physical address of the registers, as the BSP's MSR has it. */
uint64_t lapic_phys_base(void);

/**
 * Choose the mode for all CPUs and enable the boot processor's APIC.
 * @mmio  mapping of lapic_phys_base(), uncached; not used where x2APIC is there
 * Context: boot processor, IRQs off, once
 */
void lapic_init(volatile void *mmio);
/** The same mode on another CPU. Context: that CPU, IRQs off. */
void lapic_init_ap(void);
bool lapic_is_x2apic(void);

/** Whether lapic_init() has run. */
bool lapic_ready(void);

uint32_t lapic_id(void);
/** End of interrupt. Context: any, IRQs off. */
void lapic_eoi(void);
/** Accept the 8259's interrupts on LINT0 (no IOAPIC). Context: boot processor. */
void lapic_extint_enable(void);

/** Error status, cleared by reading. */
uint32_t lapic_error_read(void);

/**
 * Make the APIC of this CPU look again whether it has an interrupt to deliver, by writing the
 * task priority it has anyway (sec. 11.8.3.1). Only an emulator needs that. Context: IRQs off.
 */
void lapic_look_again(void);

/** A fixed interrupt. @apic_id  up to LAPIC_ID_MAX_XAPIC unless x2APIC. Context: any. */
void lapic_ipi(uint32_t apic_id, uint8_t vector);
/** Context: any, NMI included. */
void lapic_ipi_nmi(uint32_t apic_id);
void lapic_ipi_init(uint32_t apic_id);
/** @page  physical page number of the start address, below 0x100. */
void lapic_ipi_startup(uint32_t apic_id, uint8_t page);

/*
 * The timer: at VECTOR_TIMER, one shot, at a TSC value. Where the CPU cannot compare with the
 * TSC itself, the value is converted to a count; then it may fire early by the error of the
 * conversion, and a deadline that is far away fires first after 2^32 counts.
 */
/** Begin counting down from the largest value, for calibration. Context: boot processor. */
void lapic_timer_calibrate_begin(void);
/** Counts since then, less than 2^32. */
uint32_t lapic_timer_calibrate_read(void);
/** @counts counts passed in @ticks TSC ticks. Not called: the timer compares with the TSC. */
void lapic_timer_calibrate_end(uint64_t counts, uint64_t ticks);
bool lapic_timer_has_deadline(void);
/** Arm for @tsc; in the past: at once. Context: IRQs off. */
void lapic_timer_arm(uint64_t tsc);
void lapic_timer_disarm(void);

#endif
