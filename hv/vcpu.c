/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vCPU's thread: the loop around run(), blocking, and what the scheduler's hooks save.
 */
#include "hv/vcpu.h"

#include <string.h>

#include "hv/cpuid.h"
#include "hv/hv.h"
#include "hv/msr.h"
#include "hv/pv.h"
#include "hv/run_loop.h"
#include "hv/vcpu_priv.h"
#include "hv/vm.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/mitigate.h"
#include "kernel/arch/percpu.h"
#include "kernel/irq/irq.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/err.h"

/* --- the kick protocol, sender's side (vcpu.h) --- */

/* Pre: what the vCPU must see is written, with a full barrier behind it. */
static void notify(struct vcpu *v)
{
	switch (v->mode) {
	case VCPU_IN_GUEST:
		ipi_kick(v->cpu);
		break;
	case VCPU_BLOCKED:
		waitq_wake_all(&v->wait);
		break;
	default:
		break; /* outside or away: it looks before it enters */
	}
}

void vcpu_request(struct vcpu *v, uint64_t bits)
{
	__atomic_fetch_or(&v->requests, bits, __ATOMIC_SEQ_CST);
	notify(v);
}

/* The vLAPIC's hint says what there is; it is looked at like the request bits. */
void vcpu_kick(struct vcpu *v)
{
	notify(v);
}

/* --- state that moves with the thread --- */

static void fpu_in(struct vcpu *v)
{
	/* All components travel, whatever the guest enabled: XSAVE skips those not in XCR0. */
	if (v->xcr0 != hv_host_xcr0())
		xsetbv0(hv_host_xcr0());
	xrstor64(v->xsave, hv_host_xcr0());
	if (v->xcr0 != hv_host_xcr0())
		xsetbv0(v->xcr0);
}

static void fpu_out(struct vcpu *v)
{
	/* QEMU 7.2 lets a guest execute XSETBV without the exit that is asked for. */
	v->xcr0 = xgetbv0();
	if (v->xcr0 != hv_host_xcr0())
		xsetbv0(hv_host_xcr0());
	xsave64(v->xsave, hv_host_xcr0());
}

static void debug_in(const struct vcpu *v)
{
	dr0_write(v->dr[0]);
	dr1_write(v->dr[1]);
	dr2_write(v->dr[2]);
	dr3_write(v->dr[3]);
	dr6_write(v->dr6);
}

static void debug_out(struct vcpu *v)
{
	v->dr[0] = dr0_read();
	v->dr[1] = dr1_read();
	v->dr[2] = dr2_read();
	v->dr[3] = dr3_read();
	v->dr6 = dr6_read();
}

/* What one VM trained the predictors with must not steer another. */
static void predictors_in(const struct vcpu *v)
{
	static uint32_t last_vm[CPU_MAX];
	uint32_t *last = &last_vm[v->cpu];

	if (*last != v->vm->id)
		mitigate_vm_switch();
	*last = v->vm->id;
}

static struct vcpu *on_cpu[CPU_MAX];

struct vcpu *vcpu_here(void)
{
	return on_cpu[this_cpu()->id];
}

void vcpu_state_in(struct vcpu *v)
{
	v->cpu = this_cpu()->id;
	predictors_in(v);
	fpu_in(v);
	debug_in(v);
	if (v->cpuid->rdtscp)
		wrmsr(MSR_TSC_AUX, v->tsc_aux);
	hv_backend->load(v);
	v->loaded = true;
	on_cpu[v->cpu] = v;
}

void vcpu_state_out(struct vcpu *v)
{
	on_cpu[v->cpu] = NULL;
	hv_backend->unload(v);
	v->loaded = false;
	debug_out(v);
	fpu_out(v);
}

static void hook_in(struct thread *t, void *arg)
{
	struct vcpu *v = arg;

	(void)t;
	if (v->parked)
		return;
	vcpu_state_in(v);
	pv_sched_in(v);
}

static void hook_out(struct thread *t, void *arg)
{
	struct vcpu *v = arg;

	(void)t;
	if (!v->loaded)
		return;
	pv_sched_out(v);
	vcpu_state_out(v);
}

/* --- before an entry --- */

static void window_want(struct vcpu *v, bool on)
{
	if (v->window_on != on) {
		hv_backend->intr_window(v, on);
		v->window_on = on;
	}
}

static void inject_nmi(struct vcpu *v)
{
	if (hv_backend->nmi_allowed(v)) {
		v->nmi_pending = false;
		if (v->nmi_window_on) {
			hv_backend->nmi_window(v, false);
			v->nmi_window_on = false;
		}
		v->inject = (struct hv_event){ .valid = true, .type = HV_EVENT_NMI,
					       .vector = HV_VEC_NMI };
	} else if (!v->nmi_window_on) {
		hv_backend->nmi_window(v, true);
		v->nmi_window_on = true;
	}
}

static void inject_interrupt(struct vcpu *v)
{
	int vector = vlapic_pending(v);

	if (vector < 0) {
		window_want(v, false);
		return;
	}
	if (v->inject.valid || !hv_backend->intr_allowed(v)) {
		window_want(v, true);
		return;
	}
	v->inject = (struct hv_event){ .valid = true, .type = HV_EVENT_EXTINT,
				       .vector = (uint8_t)vlapic_ack(v) };
	window_want(v, vlapic_maybe_pending(v) && vlapic_pending(v) >= 0);
}

/*
 * What was interrupted goes first; then NMI, then the interrupt controller. An interrupt that did
 * not reach the guest, which went on all the same, waits until it may.
 */
void vcpu_events_prepare(struct vcpu *v)
{
	if (unlikely(v->reinject.valid) && !v->inject.valid) {
		if (unlikely(v->reinject.type == HV_EVENT_EXTINT && !hv_backend->intr_allowed(v))) {
			window_want(v, true);
			return;
		}
		v->inject = v->reinject;
		v->reinject.valid = false;
	}
	if (unlikely(v->nmi_pending) && !v->inject.valid)
		inject_nmi(v);
	if (vlapic_maybe_pending(v) || v->window_on)
		inject_interrupt(v);
}

/* --- requests: with IRQs on, before the next entry --- */

static void do_init(struct vcpu *v)
{
	/* INIT of the BSP restarts it; an AP waits for its SIPI (SDM vol. 3, 8.4.4). */
	vcpu_arch_reset(v, true);
	v->mp = VCPU_MP_WAIT_SIPI;
}

static void do_sipi(struct vcpu *v)
{
	struct hv_segment cs;

	if (v->mp != VCPU_MP_WAIT_SIPI)
		return;
	hv_backend->seg_get(v, HV_SEG_CS, &cs);
	cs.selector = (uint16_t)(v->sipi_vector << 8);
	cs.base = (uint64_t)v->sipi_vector << 12;
	hv_backend->seg_set(v, HV_SEG_CS, &cs);
	v->rip = 0;
	v->mp = VCPU_MP_RUNNING;
}

static uint64_t take_requests(struct vcpu *v)
{
	return __atomic_exchange_n(&v->requests, 0, __ATOMIC_SEQ_CST);
}

static void requests_handle(struct vcpu *v)
{
	uint64_t r = take_requests(v);

	if ((r & VCPU_REQ_INIT) != 0)
		do_init(v);
	if ((r & VCPU_REQ_SIPI) != 0)
		do_sipi(v);
	if ((r & VCPU_REQ_NMI) != 0)
		v->nmi_pending = true;
	if ((r & VCPU_REQ_UNHALT) != 0 && v->mp == VCPU_MP_HALTED)
		v->mp = VCPU_MP_RUNNING;
	if ((r & VCPU_REQ_CLOCK) != 0)
		pv_clock_update(v);
	if ((r & VCPU_REQ_TLB) != 0)
		hv_backend->tlb_flush(v);
	if ((r & VCPU_REQ_MEM) != 0)
		vcpu_mem_seen(v);
	if ((r & VCPU_REQ_YIELD) != 0)
		thread_yield();
	/* STOP: the loop looks at what the VM wants anyway. */
}

/* --- blocking --- */

/* An interrupt or NMI ends HLT; a request ends the wait only. */
static bool halt_over(struct vcpu *v)
{
	if (v->mp == VCPU_MP_HALTED &&
	    (v->nmi_pending || v->reinject.valid ||
	     (vlapic_maybe_pending(v) && vlapic_pending(v) >= 0)))
		v->mp = VCPU_MP_RUNNING;
	return v->mp == VCPU_MP_RUNNING || v->requests != 0 || v->dying;
}

static void vcpu_block(struct vcpu *v)
{
	v->blocking = true;
	__atomic_store_n(&v->mode, (uint32_t)VCPU_BLOCKED, __ATOMIC_SEQ_CST);
	wait_event(&v->wait, halt_over(v), UINT64_MAX);
	v->mode = VCPU_OUTSIDE;
	v->blocking = false;
}

/* --- outer loop --- */

static bool may_run(const struct vcpu *v)
{
	return !v->dying && v->vm->state == VM_RUNNING && v->vm->ending == VM_END_NONE;
}

/* Paused or over: the state goes back to memory, and the VM learns that we stand. */
static void vcpu_park(struct vcpu *v)
{
	uint64_t flags = irq_save();

	if (v->loaded)
		vcpu_state_out(v);
	v->parked = true;
	irq_restore(flags);
	if (__atomic_sub_fetch(&v->vm->running_vcpus, 1, __ATOMIC_SEQ_CST) == 0)
		waitq_wake_all(&v->vm->idle_wait);

	v->blocking = true;
	__atomic_store_n(&v->mode, (uint32_t)VCPU_BLOCKED, __ATOMIC_SEQ_CST);
	wait_event(&v->wait, v->dying || !v->parked, UINT64_MAX);
	v->mode = VCPU_OUTSIDE;
	v->blocking = false;
}

/* Told to go on: vcpu_unpark() cleared `parked` and counted us in. */
static void vcpu_continue(struct vcpu *v)
{
	uint64_t flags = irq_save();

	if (!v->loaded)
		vcpu_state_in(v);
	irq_restore(flags);
	pv_clock_update(v);
}

void vcpu_unpark(struct vcpu *v)
{
	__atomic_add_fetch(&v->vm->running_vcpus, 1, __ATOMIC_SEQ_CST);
	v->parked = false;
	waitq_wake_all(&v->wait);
}

static void vcpu_step(struct vcpu *v)
{
	enum hv_disposition d;

	if (v->requests != 0)
		requests_handle(v);
	if (v->mp != VCPU_MP_RUNNING) {
		vcpu_block(v);
		return;
	}
	irq_disable();
	d = hv_backend->run_loop(v);
	irq_enable();
	if (d == HV_THREAD)
		d = hv_exit_table[v->exit.kind].thread(v, &v->exit);
	/* HV_BLOCK and HV_STOP need nothing here: the next round sees mp and may_run(). */
	(void)d;
	sched_point();
}

static void vcpu_thread(void *arg)
{
	struct vcpu *v = arg;

	vcpu_back(v);
	vcpu_continue(v);
	while (!v->dying) {
		if (!may_run(v)) {
			vcpu_park(v);
			if (!v->dying)
				vcpu_continue(v);
			continue;
		}
		vcpu_step(v);
	}
	vcpu_away(v);
}

int vcpu_start(struct vcpu *v)
{
	struct thread_attr attr = { .cls = THREAD_CLASS_NORMAL, .cpu = -1, .hooks = &v->hooks };
	char name[32];

	v->hooks = (struct thread_hooks){ .sched_in = hook_in, .sched_out = hook_out, .arg = v };
	ray_snprintf(name, sizeof(name), "%.24s/%u", v->vm->def.name, v->id);
	__atomic_add_fetch(&v->vm->running_vcpus, 1, __ATOMIC_SEQ_CST);
	int err = thread_create(&v->thread, name, vcpu_thread, v, &attr);
	if (err != 0)
		__atomic_sub_fetch(&v->vm->running_vcpus, 1, __ATOMIC_SEQ_CST);
	return err;
}

void vcpu_end(struct vcpu *v)
{
	if (v->thread == NULL)
		return;
	v->dying = true;
	waitq_wake_all(&v->wait);
	thread_join(v->thread);
	v->thread = NULL;
}

uint64_t vcpu_guest_tsc(const struct vcpu *v)
{
	return rdtsc() + v->tsc_offset;
}

uint64_t vcpu_guest_to_host_tsc(const struct vcpu *v, uint64_t guest_tsc)
{
	return guest_tsc - v->tsc_offset;
}
