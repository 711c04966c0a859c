/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC timer: one-shot, periodic and TSC-deadline (SDM vol. 3, 10.5.4). Its bus
 * clock is 1 GHz, so that a count of 1 is a nanosecond.
 * Owns: `expiry` and the kernel timer behind it. Must not know: other LVT entries.
 *
 * The callback runs in interrupt context on the CPU that armed the timer, perhaps while the
 * vCPU arms it anew elsewhere: it takes an expiry by compare-and-exchange, never one that lies
 * ahead, so a guest sees a timer late or dropped in favour of the new one, but never early.
 */
#include "hv/irqchip/irqchip_priv.h"

#include "hv/vm.h"

/* Shortest period the host is bothered with; a shorter one runs at this rate. */
#define PERIOD_MIN_NS 50000u

static unsigned int mode_of(const struct vlapic *l)
{
	return LVT_TIMER_MODE(l->lvt[LVT_TIMER]);
}

static void raise_timer(struct vlapic *l)
{
	uint32_t lvt = l->lvt[LVT_TIMER];

	if (!(lvt & LVT_MASKED))
		vlapic_set_irq(l->vcpu, (uint8_t)lvt, false);
}

/* Replace the expiry seen; false when somebody was faster. */
static bool expiry_take(struct vlapic *l, uint64_t seen, uint64_t next)
{
	return __atomic_compare_exchange_n(&l->expiry, &seen, next, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

static uint64_t next_period(const struct vlapic *l, uint64_t expiry, uint64_t now)
{
	uint64_t step = MAX(l->period, (uint64_t)PERIOD_MIN_NS);
	uint64_t late = now - expiry;

	/* Ticks nobody could have been given are not caught up on. */
	return expiry + (late / step + 1) * step;
}

static void timer_fn(struct timer *t)
{
	struct vlapic *l = container_of(t, struct vlapic, timer);
	uint64_t seen = __atomic_load_n(&l->expiry, __ATOMIC_SEQ_CST);
	uint64_t now, next = 0;

	if (!seen)
		return;
	if (mode_of(l) == TIMER_TSC_DEADLINE) {
		if (seen > vcpu_guest_tsc(l->vcpu)) {
			timer_set_tsc(t, vcpu_guest_to_host_tsc(l->vcpu, seen));
			return;
		}
	} else {
		now = time_now();
		if (seen > now) {
			timer_set_ns(t, seen);
			return;
		}
		if (mode_of(l) == TIMER_PERIODIC)
			next = next_period(l, seen, now);
	}
	if (!expiry_take(l, seen, next))
		return;
	raise_timer(l);
	if (next)
		timer_set_ns(t, next);
}

void vlapic_timer_init(struct vlapic *l)
{
	timer_init(&l->timer, timer_fn);
}

void vlapic_timer_stop(struct vlapic *l)
{
	__atomic_store_n(&l->expiry, 0, __ATOMIC_SEQ_CST);
	timer_cancel(&l->timer);
	l->frozen = 0;
}

/* A far deadline may wrap on its way to host TSC; it must then not fire today. */
static uint64_t host_deadline(const struct vlapic *l, uint64_t guest, uint64_t guest_now)
{
	uint64_t ahead = MIN(guest - guest_now, 1ull << 62);

	return vcpu_guest_to_host_tsc(l->vcpu, guest_now + ahead);
}

void vlapic_timer_deadline(struct vlapic *l, uint64_t guest_tsc)
{
	uint64_t now;

	if (mode_of(l) != TIMER_TSC_DEADLINE)
		return;
	__atomic_store_n(&l->expiry, guest_tsc, __ATOMIC_SEQ_CST);
	if (unlikely(!guest_tsc)) {
		timer_cancel(&l->timer);
		return;
	}
	now = vcpu_guest_tsc(l->vcpu);
	if (guest_tsc > now)
		timer_set_tsc(&l->timer, host_deadline(l, guest_tsc, now));
	else if (expiry_take(l, guest_tsc, 0))
		raise_timer(l);
}

unsigned int vlapic_timer_shift(uint32_t tdcr)
{
	/* Bits 3, 1, 0: 000 divides by 2, ... 110 by 128, 111 by 1. */
	return (((tdcr & 3) | (tdcr & 8) >> 1) + 1) & 7;
}

static void count_start(struct vlapic *l)
{
	uint64_t now;

	vlapic_timer_stop(l);
	l->period = (uint64_t)l->tmict << vlapic_timer_shift(l->tdcr);
	if (!l->period)
		return;
	now = time_now();
	__atomic_store_n(&l->expiry, now + l->period, __ATOMIC_SEQ_CST);
	timer_set_ns(&l->timer, now + l->period);
}

void vlapic_timer_count_set(struct vlapic *l, uint32_t count)
{
	if (mode_of(l) == TIMER_TSC_DEADLINE)
		return;
	l->tmict = count;
	count_start(l);
}

void vlapic_timer_divide(struct vlapic *l, uint32_t tdcr)
{
	uint64_t left;
	unsigned int old = vlapic_timer_shift(l->tdcr), new = vlapic_timer_shift(tdcr);

	l->tdcr = tdcr & 0xb;
	if (mode_of(l) == TIMER_TSC_DEADLINE || !l->expiry || old == new)
		return;
	/* The count stays what it is and goes on at the new rate. */
	left = (vlapic_timer_left(l) >> old) << new;
	l->period = (uint64_t)l->tmict << new;
	vlapic_timer_restart(l, MAX(left, 1ull));
}

uint32_t vlapic_timer_count(const struct vlapic *l)
{
	unsigned int shift = vlapic_timer_shift(l->tdcr);

	if (mode_of(l) == TIMER_TSC_DEADLINE)
		return 0;
	return (uint32_t)((vlapic_timer_left(l) + BIT(shift) - 1) >> shift);
}

void vlapic_timer_lvt(struct vlapic *l, uint32_t lvt)
{
	unsigned int old = mode_of(l), new = LVT_TIMER_MODE(lvt);

	/* Entering or leaving TSC-deadline mode disarms (SDM vol. 3, 10.5.4.1). */
	if (old != new && (old == TIMER_TSC_DEADLINE || new == TIMER_TSC_DEADLINE)) {
		vlapic_timer_stop(l);
		l->tmict = 0;
		l->period = 0;
	}
	l->lvt[LVT_TIMER] = lvt;
}

/** Nanoseconds to the expiry, or the guest TSC value of it; 0 when not armed. */
uint64_t vlapic_timer_left(const struct vlapic *l)
{
	uint64_t expiry = l->expiry, now;

	if (l->quiesced)
		return l->frozen;
	if (!expiry || mode_of(l) == TIMER_TSC_DEADLINE)
		return expiry;
	now = time_now();
	if (expiry > now)
		return expiry - now;
	if (mode_of(l) != TIMER_PERIODIC || !l->period)
		return 1;
	return l->period - (now - expiry) % l->period;
}

/** Arm with what vlapic_timer_left() said. */
void vlapic_timer_restart(struct vlapic *l, uint64_t left)
{
	if (l->quiesced) {
		l->frozen = left;
		return;
	}
	if (!left) {
		vlapic_timer_stop(l);
	} else if (mode_of(l) == TIMER_TSC_DEADLINE) {
		vlapic_timer_deadline(l, left);
	} else {
		uint64_t when = time_now() + left;

		vlapic_timer_stop(l);
		__atomic_store_n(&l->expiry, when, __ATOMIC_SEQ_CST);
		timer_set_ns(&l->timer, when);
	}
}

void vlapic_quiesce(struct vcpu *vcpu)
{
	struct vlapic *l = vcpu->lapic;
	uint64_t left = vlapic_timer_left(l);

	if (l->quiesced)
		return;
	vlapic_timer_stop(l);
	l->frozen = left;
	l->quiesced = true;
}

void vlapic_resume(struct vcpu *vcpu)
{
	struct vlapic *l = vcpu->lapic;

	if (!l->quiesced)
		return;
	l->quiesced = false;
	vlapic_timer_restart(l, l->frozen);
}
