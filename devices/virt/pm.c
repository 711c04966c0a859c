/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware: PM1 event and control blocks, the 3.579545 MHz timer, the power button
 * and general-purpose events (ACPI 6.4, 4.8). The machine is always in ACPI mode: there is no SMI command port.
 * Owns: PM1 status, the SCI. Must not know: tables (devices/virt/acpi.c names the ports).
 * Locking: pm->lock; the timer register is read without it.
 */
#include "devices/virt/virt.h"

#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/time/time.h"

#define NSEC          1000000000ull
#define PM_HZ         3579545ull
#define STS_TMR       0x0001u
#define STS_GBL       0x0020u
#define STS_PWRBTN    0x0100u
#define EN_RTC        0x0400u /* can be set, never fires: the FADT sends RTC alarms by IRQ 8 */
#define STS_IMPLEMENTED (STS_TMR | STS_GBL | STS_PWRBTN)
#define EN_IMPLEMENTED  (STS_IMPLEMENTED | EN_RTC)
#define GPE_IMPLEMENTED (1u << VIRT_GPE_HOTPLUG)
#define CNT_SCI_EN    0x0001u
#define CNT_SLP_TYP(v) (((v) >> 10) & 7u)
#define CNT_SLP_EN    0x2000u
#define TOGGLE_TICKS  BIT(31) /* the 32-bit timer's MSB */

struct vpm {
	struct vdev dev;
	struct gbus_range port[4]; /* event, control, timer, general-purpose events */
	struct spinlock lock;
	struct timer timer; /* next toggle, armed while TMR_EN is set */
	uint16_t sts, en, cnt;
	uint16_t gpe_sts, gpe_en;
	uint64_t toggles; /* of the MSB, seen so far */
	volatile uint64_t base; /* ns at tick 0 */
	uint64_t frozen;  /* ns since tick 0, while quiesced */
	bool quiesced;
};

static struct vpm *vpm_of(struct vdev *d)
{
	return container_of(d, struct vpm, dev);
}

static uint64_t ticks_now(const struct vpm *p)
{
	uint64_t ns = time_now() - p->base;

	return ns / NSEC * PM_HZ + ns % NSEC * PM_HZ / NSEC;
}

static void catch_up(struct vpm *p)
{
	uint64_t toggles = ticks_now(p) / TOGGLE_TICKS;

	if (toggles != p->toggles)
		p->sts |= STS_TMR;
	p->toggles = toggles;
}

/* The SCI follows status and enable; the timer runs only for who asked. */
static void update(struct vpm *p)
{
	uint64_t next;

	virq_line_set(p->dev.vm, VIRT_IRQ_SCI, 0,
		      (p->sts & p->en) != 0 || (p->gpe_sts & p->gpe_en) != 0);
	if (!(p->en & STS_TMR) || p->quiesced)
		return;
	next = (p->toggles + 1) * TOGGLE_TICKS;
	timer_set_ns(&p->timer, p->base + next / PM_HZ * NSEC + next % PM_HZ * NSEC / PM_HZ + 1);
}

static void vpm_timer(struct timer *t)
{
	struct vpm *p = container_of(t, struct vpm, timer);
	uint64_t flags = spin_lock_irqsave(&p->lock);

	if (!p->quiesced) {
		catch_up(p);
		update(p);
	}
	spin_unlock_irqrestore(&p->lock, flags);
}

void vpm_power_button(struct vm *vm)
{
	struct vpm *p = vm->platform->pm;
	uint64_t flags = spin_lock_irqsave(&p->lock);

	p->sts |= STS_PWRBTN;
	update(p);
	spin_unlock_irqrestore(&p->lock, flags);
}

void vpm_gpe_raise(struct vm *vm, unsigned int n)
{
	struct vpm *p = vm->platform->pm;
	uint64_t flags = spin_lock_irqsave(&p->lock);

	p->gpe_sts |= (uint16_t)BIT(n);
	update(p);
	spin_unlock_irqrestore(&p->lock, flags);
}

bool vpm_gpe_enabled(const struct vm *vm, unsigned int n)
{
	return vm->platform->pm->gpe_en & BIT(n);
}

/* A status register, whose bits are cleared by writing them, and the enable register behind it,
 * as one. Gives what a read is to see. */
static uint32_t pair_access(uint16_t *sts, uint16_t *en, const struct gbus_access *a)
{
	unsigned int shift = a->offset * 8;
	uint32_t mask = a->size >= 4 ? UINT32_MAX : (1u << (a->size * 8)) - 1;
	uint32_t reg = (uint32_t)*en << 16 | *sts, value = ((uint32_t)a->data & mask) << shift;

	if (!a->write)
		return reg >> shift & mask;
	*sts &= (uint16_t)~value;
	reg = ((uint32_t)*en << 16 & ~(mask << shift)) | value;
	*en = (uint16_t)(reg >> 16);
	return 0;
}

/* A 4-byte access reaches both halves, as ACPICA may do. */
static bool event_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vpm *p = container_of(r, struct vpm, port[0]);
	uint64_t flags;
	uint32_t v;

	(void)vcpu;
	(void)fast;
	flags = spin_lock_irqsave(&p->lock);
	catch_up(p);
	v = pair_access(&p->sts, &p->en, a);
	p->en &= EN_IMPLEMENTED;
	if (!a->write)
		a->data = v;
	update(p);
	spin_unlock_irqrestore(&p->lock, flags);
	return true;
}

static bool gpe_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vpm *p = container_of(r, struct vpm, port[3]);
	uint64_t flags;
	uint32_t v;

	(void)vcpu;
	(void)fast;
	flags = spin_lock_irqsave(&p->lock);
	v = pair_access(&p->gpe_sts, &p->gpe_en, a);
	p->gpe_en &= GPE_IMPLEMENTED;
	if (!a->write)
		a->data = v;
	update(p);
	spin_unlock_irqrestore(&p->lock, flags);
	return true;
}

static bool control_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a,
			   bool fast)
{
	struct vpm *p = container_of(r, struct vpm, port[1]);
	uint64_t flags;
	uint32_t value;

	(void)fast;
	flags = spin_lock_irqsave(&p->lock);
	if (!a->write) {
		a->data = (uint32_t)p->cnt >> (a->offset * 8) & (a->size == 1 ? 0xff : 0xffff);
		spin_unlock_irqrestore(&p->lock, flags);
		return true;
	}
	value = a->size == 1 ? (p->cnt & ~(0xffu << a->offset * 8)) |
				       (uint32_t)(a->data & 0xff) << (a->offset * 8)
			     : (uint32_t)a->data & 0xffff;
	p->cnt = (uint16_t)((value & ~CNT_SLP_EN) | CNT_SCI_EN);
	spin_unlock_irqrestore(&p->lock, flags);
	/* Other sleep types are not in the DSDT; asking for them does nothing. */
	if ((value & CNT_SLP_EN) && CNT_SLP_TYP(value) == VIRT_S5_SLP_TYP)
		vm_end(vcpu->vm, VM_END_POWEROFF, "guest powered off");
	return true;
}

static bool timer_access(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	struct vpm *p = container_of(r, struct vpm, port[2]);

	(void)vcpu;
	(void)fast;
	if (!a->write)
		a->data = (uint32_t)ticks_now(p) >> (a->offset * 8);
	return true;
}

static void vpm_quiesce(struct vdev *d)
{
	struct vpm *p = vpm_of(d);
	uint64_t flags = spin_lock_irqsave(&p->lock);

	if (!p->quiesced) {
		catch_up(p);
		p->frozen = time_now() - p->base;
	}
	p->quiesced = true;
	spin_unlock_irqrestore(&p->lock, flags);
	timer_cancel(&p->timer);
}

static void vpm_resume(struct vdev *d)
{
	struct vpm *p = vpm_of(d);
	uint64_t flags = spin_lock_irqsave(&p->lock);

	if (p->quiesced) {
		p->quiesced = false;
		p->base = time_now() - p->frozen;
		update(p);
	}
	spin_unlock_irqrestore(&p->lock, flags);
}

static void vpm_reset(struct vdev *d)
{
	struct vpm *p = vpm_of(d);
	uint64_t flags = spin_lock_irqsave(&p->lock);

	p->sts = p->en = 0;
	p->gpe_sts = p->gpe_en = 0;
	p->cnt = CNT_SCI_EN;
	p->base = time_now();
	p->toggles = 0;
	update(p);
	spin_unlock_irqrestore(&p->lock, flags);
}

static void vpm_save(struct vdev *d, struct state_buf *b)
{
	const struct vpm *p = vpm_of(d);

	state_put_u16(b, p->sts);
	state_put_u16(b, p->en);
	state_put_u16(b, p->cnt);
	state_put_u16(b, p->gpe_sts);
	state_put_u16(b, p->gpe_en);
	state_put_u64(b, p->toggles);
	state_put_u64(b, p->quiesced ? p->frozen : time_now() - p->base);
}

static int vpm_load(struct vdev *d, struct state_buf *b, uint32_t version)
{
	struct vpm *p = vpm_of(d);
	uint16_t sts = state_get_u16(b), en = state_get_u16(b), cnt = state_get_u16(b);
	uint16_t gpe_sts = state_get_u16(b), gpe_en = state_get_u16(b);
	uint64_t toggles = state_get_u64(b), since = state_get_u64(b), flags;

	if (version != d->ops->state_version || b->bad || (sts & ~STS_IMPLEMENTED) ||
	    (en & ~EN_IMPLEMENTED) || !(cnt & CNT_SCI_EN) || (cnt & CNT_SLP_EN) ||
	    ((gpe_sts | gpe_en) & ~GPE_IMPLEMENTED) || since >= 1ull << 62 || toggles > since)
		return -RAY_EINVAL;
	flags = spin_lock_irqsave(&p->lock);
	p->sts = sts;
	p->en = en;
	p->cnt = cnt;
	p->gpe_sts = gpe_sts;
	p->gpe_en = gpe_en;
	p->toggles = toggles;
	p->frozen = since;
	p->base = time_now() - since;
	update(p);
	spin_unlock_irqrestore(&p->lock, flags);
	return 0;
}

static void vpm_destroy(struct vdev *d)
{
	struct vpm *p = vpm_of(d);

	vpm_quiesce(d);
	vdev_ports_del(d->vm, p->port, ARRAY_SIZE(p->port));
	list_del(&d->node);
	d->vm->platform->pm = NULL;
	kfree(p);
}

static const struct vdev_ops vpm_ops = {
	.name = "acpi-pm",
	.state_version = 2,
	.quiesce = vpm_quiesce,
	.resume = vpm_resume,
	.save = vpm_save,
	.load = vpm_load,
	.reset = vpm_reset,
	.destroy = vpm_destroy,
};

int vpm_create(struct vm *vm)
{
	struct vpm *p = kzalloc(sizeof(*p), MEM_VDEV);
	int err;

	if (!p)
		return -RAY_ENOMEM;
	spin_lock_init(&p->lock, LOCK_ORDER_VDEV);
	timer_init(&p->timer, vpm_timer);
	p->port[0] = (struct gbus_range){
		.base = VIRT_PORT_PM1_EVT, .len = 4, .fn = event_access, .name = "pm1-event"};
	p->port[1] = (struct gbus_range){
		.base = VIRT_PORT_PM1_CNT, .len = 2, .fn = control_access, .name = "pm1-control"};
	p->port[2] = (struct gbus_range){.base = VIRT_PORT_PM_TMR, .len = 4, .fn = timer_access,
					 .flags = GBUS_F_FAST, .name = "pm-timer"};
	p->port[3] = (struct gbus_range){
		.base = VIRT_PORT_GPE0, .len = 4, .fn = gpe_access, .name = "gpe0"};
	err = vdev_ports_add(vm, p->port, ARRAY_SIZE(p->port));
	if (err) {
		kfree(p);
		return err;
	}
	vm->platform->pm = p;
	vdev_register(vm, &p->dev, &vpm_ops, 0);
	vpm_reset(&p->dev);
	return 0;
}
