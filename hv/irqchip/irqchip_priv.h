/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the interrupt controllers: the three structs and what their files ask of each
 * other. Only hv/irqchip includes this.
 *
 * Who writes what of a vLAPIC: any CPU sets bits of irr and tmr, the
 * vCPU's `irq_hint`, `ext_intr` and
 * `esr_new`, atomically; everything else belongs to the vCPU's own thread (or to whoever has
 * stopped it). `expiry` is shared with the timer callback by compare-and-exchange.
 *
 * 8259 pair and IOAPIC share one spinlock (order VIRQ), vioapic->lock, taken with IRQs off and
 * held for a bounded time only.
 */
#ifndef RAYOS_HV_IRQCHIP_PRIV_H
#define RAYOS_HV_IRQCHIP_PRIV_H

#include "hv/gbus.h"
#include "hv/vcpu.h"
#include "hv/vdev.h"
#include "hv/virq.h"
#include "kernel/lib/types.h"
#include "kernel/sched/spinlock.h"
#include "kernel/time/time.h"

struct vm;

/* Register numbers: xAPIC offset / 16, x2APIC MSR - 0x800 (SDM vol. 3, table 10-6). */
enum lapic_reg {
	LAPIC_ID = 0x02,
	LAPIC_VERSION = 0x03,
	LAPIC_TPR = 0x08,
	LAPIC_APR = 0x09,
	LAPIC_PPR = 0x0a,
	LAPIC_EOI = 0x0b,
	LAPIC_RRD = 0x0c,
	LAPIC_LDR = 0x0d,
	LAPIC_DFR = 0x0e,
	LAPIC_SVR = 0x0f,
	LAPIC_ISR = 0x10,
	LAPIC_TMR = 0x18,
	LAPIC_IRR = 0x20,
	LAPIC_ESR = 0x28,
	LAPIC_ICR = 0x30,
	LAPIC_ICR2 = 0x31,
	LAPIC_LVT0 = 0x32, /* first of the LVT entries, enum lapic_lvt */
	LAPIC_TMICT = 0x38,
	LAPIC_TMCCT = 0x39,
	LAPIC_TDCR = 0x3e,
	LAPIC_SELF_IPI = 0x3f,
	LAPIC_REG_COUNT = 0x40,
};

enum lapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

#define LAPIC_MSR_BASE     0x800u
#define LAPIC_MSR_LAST     0x8ffu
#define MSR_APIC_BASE      0x1bu
#define MSR_TSC_DEADLINE   0x6e0u
#define APIC_BASE_BSP      BIT(8)
#define APIC_BASE_EXTD     BIT(10)
#define APIC_BASE_EN       BIT(11)
#define APIC_BASE_DEFAULT  0xfee00000ull
#define LAPIC_SVR_ENABLE   (1u << 8)
#define LVT_MASKED         (1u << 16)
#define LVT_TIMER_MODE(v)  (((v) >> 17) & 3u)
#define LVT_DELIVERY(v)    (((v) >> 8) & 7u)
#define TIMER_ONE_SHOT     0u
#define TIMER_PERIODIC     1u
#define TIMER_TSC_DEADLINE 2u
#define ESR_SEND_ILLEGAL   (1u << 5)
#define ESR_RECV_ILLEGAL   (1u << 6)
#define ESR_ILLEGAL_REG    (1u << 7)

/* Delivery modes (SDM vol. 3, 10.6.1); the IOAPIC and MSI use the same numbers. */
enum lapic_delivery {
	DELIVER_FIXED = 0,
	DELIVER_LOWEST = 1,
	DELIVER_SMI = 2,
	DELIVER_NMI = 4,
	DELIVER_INIT = 5,
	DELIVER_SIPI = 6,
	DELIVER_EXTINT = 7,
};

enum lapic_mode { LAPIC_DISABLED, LAPIC_XAPIC, LAPIC_X2APIC };

#define VEC_WORDS   4u
#define VEC_CLASSES 16u
/* What vlapic_pending() answers for an 8259 interrupt, whose vector only INTA tells. */
#define VLAPIC_EXTINT 256

struct vlapic {
	uint8_t mode;           /* enum lapic_mode */
	uint8_t tpr;
	volatile bool ext_intr; /* an ExtINT message came */
	bool pv_armed;          /* the guest may end the highest by clearing *pv_eoi */
	uint8_t depth;          /* vectors in service */
	int16_t candidate;      /* the last yes of vlapic_pending() */
	uint8_t stack[VEC_CLASSES]; /* those in service, the highest last: one per class at most */
	uint8_t *pv_eoi;        /* guest byte, NULL while off */
	struct vcpu *vcpu;
	uint64_t irr[VEC_WORDS];
	uint64_t isr[VEC_WORDS];
	uint64_t tmr[VEC_WORDS];

	/* Timer. expiry: 0 not armed; a guest TSC value in TSC-deadline mode, else ns. */
	volatile uint64_t expiry;
	struct timer timer;
	uint64_t period; /* ns, count modes */
	uint64_t frozen; /* quiesced: what was left, ns; or the guest TSC value */
	bool quiesced;

	uint64_t base;
	uint64_t pv_eoi_msr;
	uint32_t svr, ldr, dfr;
	uint32_t esr;
	volatile uint32_t esr_new; /* latched into esr by a write of it */
	uint32_t icr, icr2;
	uint32_t lvt[LVT_COUNT];
	uint32_t tmict, tdcr;
};

struct vpic_chip {
	uint8_t irr, isr, imr;
	uint8_t elcr;      /* 1: level */
	uint8_t elcr_mask; /* lines that may be level */
	uint8_t line;      /* inputs as they are */
	uint8_t base;      /* vector of IR0 */
	uint8_t prio;      /* IR with the highest priority */
	uint8_t init_step; /* 0: ready, 1..3: waits for ICW2..4 */
	bool icw4, read_isr, poll, special_mask, auto_eoi, rotate_auto, special_nested;
};

struct vpic {
	struct vdev dev;
	struct gbus_range port[3]; /* 0x20, 0xA0, 0x4D0 */
	struct vpic_chip chip[2];
	volatile bool out; /* INTR */
};

struct vioapic {
	struct vdev dev;
	struct gbus_range mmio;
	struct spinlock lock; /* this, the 8259 pair and the lines */
	uint32_t source[VIRQ_GSI_COUNT];
	uint64_t redir[VIRQ_GSI_COUNT];
	uint32_t line; /* pins as they are */
	uint32_t select, id;
	volatile uint32_t rotate; /* lowest-priority arbitration */
};

static inline uint64_t vec_word(const uint64_t w[VEC_WORDS], unsigned int n)
{
	return __atomic_load_n(&w[n], __ATOMIC_RELAXED);
}

static inline bool vec_any(const uint64_t w[VEC_WORDS])
{
	return (vec_word(w, 0) | vec_word(w, 1) | vec_word(w, 2) | vec_word(w, 3)) != 0;
}

static inline int vec_highest(const uint64_t w[VEC_WORDS])
{
	uint64_t x;
	int base;

	/* Unrolled: this runs at every interrupt. */
	if ((x = vec_word(w, 3)) != 0)
		base = 192;
	else if ((x = vec_word(w, 2)) != 0)
		base = 128;
	else if ((x = vec_word(w, 1)) != 0)
		base = 64;
	else if ((x = vec_word(w, 0)) != 0)
		base = 0;
	else
		return -1;
	return base + 63 - __builtin_clzll(x);
}

static inline bool vec_test(const uint64_t w[VEC_WORDS], unsigned int vec)
{
	return (__atomic_load_n(&w[vec >> 6], __ATOMIC_RELAXED) >> (vec & 63)) & 1;
}

/** Highest vector in service, 0 when none (which no vector can be). */
static inline unsigned int vlapic_in_service(const struct vlapic *l)
{
	return l->depth ? l->stack[l->depth - 1] : 0;
}

/** Priority class the guest works at: the higher of TPR and the highest ISR (SDM 10.8.3.1). */
static inline unsigned int vlapic_ppr_class(const struct vlapic *l)
{
	unsigned int tpr = l->tpr >> 4, isr = vlapic_in_service(l) >> 4;

	return tpr >= isr ? tpr : isr;
}

static inline bool vlapic_sw_enabled(const struct vlapic *l)
{
	return l->mode != LAPIC_DISABLED && (l->svr & LAPIC_SVR_ENABLE);
}

/** Whether the INTR output of the 8259 pair reaches this CPU: LINT0 as ExtINT, or no APIC. */
static inline bool vlapic_takes_extint(const struct vlapic *l)
{
	uint32_t lint0 = l->lvt[LVT_LINT0];

	return l->mode == LAPIC_DISABLED ||
	       (!(lint0 & LVT_MASKED) && LVT_DELIVERY(lint0) == DELIVER_EXTINT);
}

/** Logical ID in x2APIC mode (SDM vol. 3, 10.12.10.2). */
static inline uint32_t vlapic_x2_ldr(uint32_t id)
{
	return (id >> 4) << 16 | 1u << (id & 15);
}

/* A sender's store must be visible before it looks at the vCPU's mode (hv/vcpu.h). */
static inline void vlapic_hint(struct vlapic *l)
{
	__atomic_store_n(&l->vcpu->irq_hint, true, __ATOMIC_SEQ_CST);
}

/** vlapic_set_irq() of an edge with a vector that may be one (16 and up). */
static __force_inline void vlapic_set_edge(struct vcpu *vcpu, unsigned int vector)
{
	struct vlapic *l = vcpu->lapic;
	uint64_t *tmr = &l->tmr[vector >> 6], *irr = &l->irr[vector >> 6];
	uint64_t bit = BIT(vector & 63);

	if (unlikely(__atomic_load_n(tmr, __ATOMIC_RELAXED) & bit))
		__atomic_fetch_and(tmr, ~bit, __ATOMIC_RELAXED);
	/* Set already: whoever set it kicks. */
	if (__atomic_fetch_or(irr, bit, __ATOMIC_SEQ_CST) & bit)
		return;
	vlapic_hint(l);
	/* Outside, as when its own exit is being handled, it looks before it enters. */
	if (vcpu->mode != VCPU_OUTSIDE)
		vcpu_kick(vcpu);
}

/* vlapic.c */
/** End of interrupt. 0, or -RAY_EAGAIN: @fast, but the IOAPIC has to know. */
int vlapic_eoi(struct vlapic *l, bool fast);
void vlapic_tpr_set(struct vlapic *l, uint8_t tpr);
void vlapic_error(struct vlapic *l, uint32_t esr_bit);
/** INTR of the 8259 pair rose. Context: VIRQ lock. */
void vlapic_lint0(struct vcpu *vcpu);

/* vlapic_ipi.c */
struct virq_msg {
	uint32_t dest;
	uint8_t delivery; /* enum lapic_delivery */
	uint8_t vector;
	bool logical, level, broadcast;
};
unsigned int vlapic_send(struct vm *vm, const struct virq_msg *msg, const struct vcpu *except);

/* vlapic_timer.c */
void vlapic_timer_init(struct vlapic *l);
unsigned int vlapic_timer_shift(uint32_t tdcr);
void vlapic_timer_stop(struct vlapic *l);
void vlapic_timer_lvt(struct vlapic *l, uint32_t lvt);
void vlapic_timer_count_set(struct vlapic *l, uint32_t count);
uint32_t vlapic_timer_count(const struct vlapic *l);
void vlapic_timer_divide(struct vlapic *l, uint32_t tdcr);
void vlapic_timer_deadline(struct vlapic *l, uint64_t guest_tsc);
uint64_t vlapic_timer_left(const struct vlapic *l);
void vlapic_timer_restart(struct vlapic *l, uint64_t left);

/* vpic.c, vioapic.c. Context: VIRQ lock held. */
int __must_check vpic_create(struct vm *vm);
void vpic_line(struct vm *vm, unsigned int irq, bool level);
int __must_check vioapic_create(struct vm *vm);
void vioapic_line(struct vm *vm, unsigned int pin, bool level);

#endif
