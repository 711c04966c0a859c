/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818 real-time clock with 128 bytes of CMOS at 0x70/0x71, IRQ 8. The time is the host's
 * wall clock plus what the guest has set it off by, in UTC.
 * Owns: clock registers, alarm and periodic interrupt, CMOS bytes. Must not know: calendars of
 * the host. Locking: rtc->lock.
 */
#include <string.h>

#include "devices/virt/rtc_date.h"
#include "devices/virt/virt.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"

#define NSEC          1000000000ull
#define PORT_RTC      0x70u
#define CMOS_SIZE     128u
/* Registers (MC146818 data sheet, figure 10). */
#define RTC_SEC       0x00u
#define RTC_SEC_ALARM 0x01u
#define RTC_MIN       0x02u
#define RTC_MIN_ALARM 0x03u
#define RTC_HOUR      0x04u
#define RTC_HOUR_ALARM 0x05u
#define RTC_WDAY      0x06u
#define RTC_DAY       0x07u
#define RTC_MONTH     0x08u
#define RTC_YEAR      0x09u
#define RTC_A         0x0au
#define RTC_B         0x0bu
#define RTC_C         0x0cu
#define RTC_D         0x0du
#define RTC_CENTURY   0x32u
#define A_UIP         0x80u
#define A_DEFAULT     0x26u /* 32,768 Hz time base, 1,024 Hz */
#define B_SET         0x80u
#define B_PIE         0x40u
#define B_AIE         0x20u
#define B_UIE         0x10u
#define B_BINARY      0x04u
#define B_24H         0x02u
#define C_IRQ         0x80u
#define C_PF          0x40u
#define C_AF          0x20u
#define C_UF          0x10u
#define D_VALID       0x80u
#define UIP_NS        244000ull
#define ALARM_ANY     0xc0u
#define ALARM_LOOKBACK 3u /* seconds */

struct vrtc {
	struct vdev dev;
	struct gbus_range port;
	struct spinlock lock;
	struct timer timer;
	bool quiesced;
	uint8_t index;
	uint8_t flags;       /* register C without IRQF */
	int64_t offset;      /* guest seconds - host seconds */
	uint64_t set_time;   /* seconds shown while SET holds the clock */
	uint64_t period_at;  /* ns of the last periodic event seen */
	uint64_t second_at;  /* guest second of the last update seen */
	uint8_t cmos[CMOS_SIZE];
};

static struct vrtc *vrtc_of(struct vdev *d)
{
	return container_of(d, struct vrtc, dev);
}

static uint64_t guest_seconds(const struct vrtc *r)
{
	if (r->cmos[RTC_B] & B_SET)
		return r->set_time;
	return time_wall_seconds() + (uint64_t)r->offset;
}

static uint8_t encode(const struct vrtc *r, unsigned int v)
{
	return (uint8_t)(r->cmos[RTC_B] & B_BINARY ? v : v / 10 << 4 | v % 10);
}

static unsigned int decode(const struct vrtc *r, uint8_t v)
{
	return r->cmos[RTC_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 0xf);
}

static uint8_t encode_hour(const struct vrtc *r, unsigned int hour)
{
	unsigned int h12 = hour % 12 ? hour % 12 : 12;

	if (r->cmos[RTC_B] & B_24H)
		return encode(r, hour);
	return (uint8_t)(encode(r, h12) | (hour >= 12 ? 0x80 : 0));
}

static unsigned int decode_hour(const struct vrtc *r, uint8_t v)
{
	unsigned int h;

	if (r->cmos[RTC_B] & B_24H)
		return decode(r, v);
	h = decode(r, v & 0x7f) % 12;
	return v & 0x80 ? h + 12 : h;
}

/* Nanoseconds per periodic event, 0 when off (data sheet, table 5). */
static uint64_t period_ns(const struct vrtc *r)
{
	unsigned int rate = r->cmos[RTC_A] & 0xf;

	if (rate == 0)
		return 0;
	if (rate < 3)
		rate += 7;
	return (NSEC << (rate - 1)) / 32768;
}

static bool alarm_matches(const struct vrtc *r, const struct rtc_date *d)
{
	uint8_t s = r->cmos[RTC_SEC_ALARM], m = r->cmos[RTC_MIN_ALARM];
	uint8_t h = r->cmos[RTC_HOUR_ALARM];

	return (s >= ALARM_ANY || s == encode(r, d->sec)) &&
	       (m >= ALARM_ANY || m == encode(r, d->min)) &&
	       (h >= ALARM_ANY || h == encode_hour(r, d->hour));
}

/* Note what has happened since we last looked. */
static void catch_up(struct vrtc *r)
{
	uint64_t period = period_ns(r), now = time_now(), sec = guest_seconds(r);
	struct rtc_date date;

	if (period && now - r->period_at >= period) {
		r->period_at += (now - r->period_at) / period * period;
		r->flags |= C_PF;
	}
	if ((r->cmos[RTC_B] & B_SET) || sec == r->second_at)
		return;
	r->flags |= C_UF;
	/* With AIE on the timer looks every second; else only who polls would miss one. */
	for (uint64_t s = MAX(MIN(r->second_at, sec - 1), sec - ALARM_LOOKBACK) + 1; s <= sec; s++) {
		rtc_date_from(s, &date);
		if (alarm_matches(r, &date))
			r->flags |= C_AF;
	}
	r->second_at = sec;
}

static void update_line(struct vrtc *r)
{
	virq_line_set(r->dev.vm, VIRT_IRQ_RTC, 0, (r->flags & r->cmos[RTC_B] & 0x70) != 0);
}

/* The host is interrupted only for what the guest has enabled. */
static void schedule(struct vrtc *r)
{
	uint64_t next = UINT64_MAX, now = time_now();

	if (r->quiesced)
		return;
	if ((r->cmos[RTC_B] & B_PIE) && period_ns(r))
		next = r->period_at + period_ns(r);
	if ((r->cmos[RTC_B] & (B_AIE | B_UIE)) && !(r->cmos[RTC_B] & B_SET))
		next = MIN(next, now + NSEC - time_wall_ns() % NSEC);
	if (next != UINT64_MAX)
		timer_set_ns(&r->timer, MAX(next, now + 1));
}

static void vrtc_timer(struct timer *t)
{
	struct vrtc *r = container_of(t, struct vrtc, timer);
	uint64_t flags = spin_lock_irqsave(&r->lock);

	if (!r->quiesced) {
		catch_up(r);
		update_line(r);
		schedule(r);
	}
	spin_unlock_irqrestore(&r->lock, flags);
}

/* The clock as registers. */
static uint8_t clock_read(const struct vrtc *r, unsigned int index)
{
	struct rtc_date d;

	rtc_date_from(guest_seconds(r), &d);
	switch (index) {
	case RTC_SEC:
		return encode(r, d.sec);
	case RTC_MIN:
		return encode(r, d.min);
	case RTC_HOUR:
		return encode_hour(r, d.hour);
	case RTC_WDAY:
		return encode(r, d.wday);
	case RTC_DAY:
		return encode(r, d.day);
	case RTC_MONTH:
		return encode(r, d.month);
	case RTC_YEAR:
		return encode(r, d.year % 100);
	default:
		return encode(r, d.year / 100);
	}
}

static void clock_write(struct vrtc *r, unsigned int index, uint8_t value)
{
	uint64_t was = guest_seconds(r), is;
	struct rtc_date d;

	rtc_date_from(was, &d);
	switch (index) {
	case RTC_SEC:
		d.sec = decode(r, value);
		break;
	case RTC_MIN:
		d.min = decode(r, value);
		break;
	case RTC_HOUR:
		d.hour = decode_hour(r, value);
		break;
	case RTC_WDAY: /* follows from the date */
		return;
	case RTC_DAY:
		d.day = decode(r, value);
		break;
	case RTC_MONTH:
		d.month = decode(r, value);
		break;
	case RTC_YEAR:
		d.year = d.year / 100 * 100 + decode(r, value);
		break;
	default:
		d.year = decode(r, value) * 100 + d.year % 100;
		break;
	}
	is = rtc_date_to(&d);
	if (r->cmos[RTC_B] & B_SET)
		r->set_time = is;
	else
		r->offset += (int64_t)(is - was);
	r->second_at = is;
}

static bool is_clock(unsigned int index)
{
	return index == RTC_CENTURY ||
	       (index <= RTC_YEAR && index != RTC_SEC_ALARM && index != RTC_MIN_ALARM &&
		index != RTC_HOUR_ALARM);
}

static void reg_b_write(struct vrtc *r, uint8_t value)
{
	uint8_t old = r->cmos[RTC_B];

	if ((value & B_SET) && !(old & B_SET)) {
		r->set_time = guest_seconds(r);
		value &= (uint8_t)~B_UIE;
	}
	r->cmos[RTC_B] = value;
	if (!(value & B_SET) && (old & B_SET)) {
		r->offset = (int64_t)(r->set_time - time_wall_seconds());
		r->second_at = r->set_time;
	}
	if ((value & B_PIE) && !(old & B_PIE))
		r->period_at = time_now();
}

static void cmos_write(struct vrtc *r, uint8_t value)
{
	unsigned int index = r->index;

	catch_up(r);
	if (is_clock(index))
		clock_write(r, index, value);
	else if (index == RTC_A)
		r->cmos[RTC_A] = value & (uint8_t)~A_UIP;
	else if (index == RTC_B)
		reg_b_write(r, value);
	else if (index != RTC_C && index != RTC_D)
		r->cmos[index] = value;
	update_line(r);
	schedule(r);
}

static uint8_t cmos_read(struct vrtc *r)
{
	unsigned int index = r->index;
	uint8_t value;

	if (is_clock(index))
		return clock_read(r, index);
	switch (index) {
	case RTC_A:
		value = r->cmos[RTC_A];
		if (!(r->cmos[RTC_B] & B_SET) && time_wall_ns() % NSEC >= NSEC - UIP_NS)
			value |= A_UIP;
		return value;
	case RTC_C:
		catch_up(r);
		value = r->flags;
		if (value & r->cmos[RTC_B] & 0x70)
			value |= C_IRQ;
		r->flags = 0;
		update_line(r);
		return value;
	case RTC_D:
		return D_VALID;
	default:
		return r->cmos[index];
	}
}

static bool vrtc_access(struct gbus_range *range, struct vcpu *vcpu, struct gbus_access *a,
			bool fast)
{
	struct vrtc *r = container_of(range, struct vrtc, port);
	uint64_t flags;

	(void)vcpu;
	(void)fast;
	flags = spin_lock_irqsave(&r->lock);
	if (a->offset == 0) {
		if (a->write)
			r->index = a->data & (CMOS_SIZE - 1); /* bit 7 masks NMI on a PC */
		else
			a->data = 0xff;
	} else if (a->write) {
		cmos_write(r, (uint8_t)a->data);
	} else {
		a->data = cmos_read(r);
	}
	spin_unlock_irqrestore(&r->lock, flags);
	return true;
}

/* Memory sizes where PC firmware leaves them, for kernels that look there. */
static void memory_sizes(struct vrtc *r, uint64_t memory)
{
	uint64_t below = MIN(memory, VIRT_HOLE_BASE);
	uint64_t ext_kib = MIN((below - MIB(1)) >> 10, 0xffffull);
	uint64_t ext_64k = below > MIB(16) ? (below - MIB(16)) >> 16 : 0;
	uint64_t high_64k = (memory - below) >> 16;

	r->cmos[0x15] = 640 & 0xff;
	r->cmos[0x16] = 640 >> 8;
	r->cmos[0x17] = r->cmos[0x30] = (uint8_t)ext_kib;
	r->cmos[0x18] = r->cmos[0x31] = (uint8_t)(ext_kib >> 8);
	r->cmos[0x34] = (uint8_t)ext_64k;
	r->cmos[0x35] = (uint8_t)(ext_64k >> 8);
	for (unsigned int i = 0; i < 3; i++)
		r->cmos[0x5b + i] = (uint8_t)(high_64k >> (8 * i));
}

static void vrtc_quiesce(struct vdev *d)
{
	struct vrtc *r = vrtc_of(d);
	uint64_t flags = spin_lock_irqsave(&r->lock);

	r->quiesced = true;
	spin_unlock_irqrestore(&r->lock, flags);
	timer_cancel(&r->timer);
}

static void vrtc_resume(struct vdev *d)
{
	struct vrtc *r = vrtc_of(d);
	uint64_t flags = spin_lock_irqsave(&r->lock);

	r->quiesced = false;
	r->period_at = time_now();
	schedule(r);
	spin_unlock_irqrestore(&r->lock, flags);
}

/* A reset clears the enables and leaves the clock going (data sheet, RESET pin). */
static void vrtc_reset(struct vdev *d)
{
	struct vrtc *r = vrtc_of(d);
	uint64_t flags = spin_lock_irqsave(&r->lock);

	if (r->cmos[RTC_B] & B_SET)
		reg_b_write(r, r->cmos[RTC_B] & (uint8_t)~B_SET);
	r->cmos[RTC_A] = A_DEFAULT;
	r->cmos[RTC_B] = B_24H;
	r->flags = 0;
	r->index = 0;
	r->second_at = guest_seconds(r);
	r->period_at = time_now();
	update_line(r);
	spin_unlock_irqrestore(&r->lock, flags);
}

static void vrtc_save(struct vdev *d, struct state_buf *b)
{
	const struct vrtc *r = vrtc_of(d);

	state_put_u8(b, r->index);
	state_put_u8(b, r->flags);
	state_put_u64(b, (uint64_t)r->offset);
	state_put_u64(b, r->set_time);
	state_put_u64(b, r->second_at);
	state_put(b, r->cmos, sizeof(r->cmos));
}

static int vrtc_load(struct vdev *d, struct state_buf *b, uint32_t version)
{
	struct vrtc *r = vrtc_of(d);
	uint8_t index = state_get_u8(b), c = state_get_u8(b), cmos[CMOS_SIZE];
	uint64_t offset = state_get_u64(b), set_time = state_get_u64(b);
	uint64_t second_at = state_get_u64(b), flags;

	state_get(b, cmos, sizeof(cmos));
	if (version != d->ops->state_version || b->bad || index >= CMOS_SIZE || (c & ~0x70u) ||
	    (cmos[RTC_A] & A_UIP))
		return -RAY_EINVAL;
	flags = spin_lock_irqsave(&r->lock);
	r->index = index;
	r->flags = c;
	r->offset = (int64_t)offset;
	r->set_time = set_time;
	r->second_at = second_at;
	r->period_at = time_now();
	memcpy(r->cmos, cmos, sizeof(r->cmos));
	schedule(r);
	spin_unlock_irqrestore(&r->lock, flags);
	return 0;
}

static void vrtc_destroy(struct vdev *d)
{
	struct vrtc *r = vrtc_of(d);

	vrtc_quiesce(d);
	vdev_ports_del(d->vm, &r->port, 1);
	list_del(&d->node);
	kfree(r);
}

static const struct vdev_ops vrtc_ops = {
	.name = "mc146818",
	.state_version = 1,
	.quiesce = vrtc_quiesce,
	.resume = vrtc_resume,
	.save = vrtc_save,
	.load = vrtc_load,
	.reset = vrtc_reset,
	.destroy = vrtc_destroy,
};

int vrtc_create(struct vm *vm)
{
	struct vrtc *r = kzalloc(sizeof(*r), MEM_VDEV);
	int err;

	if (!r)
		return -RAY_ENOMEM;
	spin_lock_init(&r->lock, LOCK_ORDER_VDEV);
	timer_init(&r->timer, vrtc_timer);
	r->port = (struct gbus_range){.base = PORT_RTC, .len = 2, .fn = vrtc_access,
				      .name = "mc146818"};
	err = vdev_ports_add(vm, &r->port, 1);
	if (err) {
		kfree(r);
		return err;
	}
	memory_sizes(r, vm->def.memory);
	vdev_register(vm, &r->dev, &vrtc_ops, 0);
	vrtc_reset(&r->dev);
	return 0;
}
