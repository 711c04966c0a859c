/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/pv.h"

#include <string.h>

#include "hv/exit_priv.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/arch/cpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"
#include "kernel/time/time.h"

#define NS_PER_SEC 1000000000ull

/* Guest structures: Linux arch/x86/include/uapi/asm/{pvclock-abi,kvm_para}.h layouts. */
struct pv_clock_page {
	uint32_t version; /* odd while it is being written */
	uint32_t pad0;
	uint64_t tsc_timestamp;
	uint64_t system_time;
	uint32_t tsc_to_system_mul;
	int8_t tsc_shift;
	uint8_t flags;
	uint8_t pad[2];
};
BUILD_ASSERT(sizeof(struct pv_clock_page) == 32, "pvclock ABI");
#define PV_CLOCK_STABLE BIT(0)

struct pv_wall_clock {
	uint32_t version;
	uint32_t sec;
	uint32_t nsec;
};

struct pv_steal_page {
	uint64_t steal; /* ns */
	uint32_t version;
	uint32_t flags;
	uint8_t preempted;
	uint8_t pad[47];
};
BUILD_ASSERT(sizeof(struct pv_steal_page) == 64, "steal time ABI");
#define PV_PREEMPTED BIT(0)
#define PV_FLUSH_TLB BIT(1)

#define PV_MSR_ENABLE BIT(0)

struct pv_vcpu {
	uint64_t clock_msr;
	uint64_t wall_msr;
	uint64_t steal_msr;
	uint64_t eoi_msr;
	uint32_t clock_version;
	bool preempted;
	uint64_t preempted_at; /* ns */
	uint64_t steal;        /* ns */
};

int pv_vcpu_create(struct vcpu *v)
{
	v->pv = kzalloc(sizeof(*v->pv), MEM_VM);
	return v->pv != NULL ? 0 : -RAY_ENOMEM;
}

/* --- registered pages: pinned, so that they are there whenever the host writes them --- */

static gpa_t page_gpa(uint64_t msr)
{
	return GPA(msr & ~PV_MSR_ENABLE);
}

static void page_drop(struct vcpu *v, uint64_t *msr, size_t size)
{
	if ((*msr & PV_MSR_ENABLE) != 0)
		gmem_unpin(&v->vm->mem, page_gpa(*msr), size);
	*msr = 0;
}

static int page_set(struct vcpu *v, uint64_t *msr, uint64_t value, size_t size)
{
	int err = 0;

	if ((value & PV_MSR_ENABLE) != 0)
		err = vcpu_pin(v, page_gpa(value), size);
	if (err != 0)
		return err;
	page_drop(v, msr, size);
	*msr = value;
	return 0;
}

void pv_vcpu_reset(struct vcpu *v)
{
	page_drop(v, &v->pv->clock_msr, sizeof(struct pv_clock_page));
	page_drop(v, &v->pv->steal_msr, sizeof(struct pv_steal_page));
	memset(v->pv, 0, sizeof(*v->pv));
}

void pv_vcpu_destroy(struct vcpu *v)
{
	if (v->pv != NULL)
		pv_vcpu_reset(v);
	kfree(v->pv);
	v->pv = NULL;
}

/* --- clock --- */

/*
 * ns = ((ticks << shift) * mul) >> 32, with mul as large as 32 bits hold.
 */
static void clock_scale(uint64_t hz, uint32_t *mul, int8_t *shift)
{
	uint64_t target = NS_PER_SEC;
	int s = 0;

	while (hz > target * 2) {
		hz >>= 1;
		s--;
	}
	while (hz <= target) {
		hz <<= 1;
		s++;
	}
	*mul = (uint32_t)((target << 32) / hz);
	*shift = (int8_t)s;
}

void pv_clock_start(struct vm *vm, uint64_t tsc, uint64_t ns)
{
	/* One reference pair for all vCPUs, so that their clocks agree to the tick. */
	vm->clock_ref_tsc = tsc;
	vm->clock_ref_ns = ns;
	clock_scale(time_tsc_hz(), &vm->clock_mul, &vm->clock_shift);
}

static uint64_t scale(const struct vm *vm, uint64_t ticks)
{
	uint64_t t = vm->clock_shift >= 0 ? ticks << vm->clock_shift : ticks >> -vm->clock_shift;

	return (uint64_t)(((__uint128_t)t * vm->clock_mul) >> 32);
}

uint64_t pv_clock_at(const struct vm *vm, uint64_t tsc)
{
	return vm->clock_ref_ns + scale(vm, tsc - vm->clock_ref_tsc);
}

uint64_t pv_clock_now(const struct vm *vm)
{
	return pv_clock_at(vm, rdtsc() + vm->tsc_offset);
}

void pv_clock_update(struct vcpu *v)
{
	const struct vm *vm = v->vm;
	struct pv_vcpu *pv = v->pv;
	gpa_t gpa = page_gpa(pv->clock_msr);
	int err;
	struct pv_clock_page page = {
		.tsc_timestamp = vm->clock_ref_tsc,
		.system_time = vm->clock_ref_ns,
		.tsc_to_system_mul = vm->clock_mul,
		.tsc_shift = vm->clock_shift,
		.flags = time_tsc_stable() ? PV_CLOCK_STABLE : 0,
	};

	if ((pv->clock_msr & PV_MSR_ENABLE) == 0)
		return;
	/* Odd, then the body, then even: the guest's reader retries on a torn read. */
	page.version = pv->clock_version + 1;
	err = gmem_write(&v->vm->mem, gpa, &page, sizeof(page));
	pv->clock_version += 2;
	page.version = pv->clock_version;
	ASSERT(err == 0); /* pinned */
	err = gmem_write(&v->vm->mem, gpa, &page.version, sizeof(page.version));
	ASSERT(err == 0);
}

static int clock_set(struct vcpu *v, uint64_t value)
{
	int err = page_set(v, &v->pv->clock_msr, value, sizeof(struct pv_clock_page));

	if (err == 0)
		pv_clock_update(v);
	return err;
}

static int wall_clock_set(struct vcpu *v, uint64_t value)
{
	/* Time of day when the guest's clock was zero. */
	uint64_t wall_ns = time_wall_seconds() * NS_PER_SEC - pv_clock_now(v->vm);
	struct pv_wall_clock w = { .version = 2,
				   .sec = (uint32_t)(wall_ns / NS_PER_SEC),
				   .nsec = (uint32_t)(wall_ns % NS_PER_SEC) };

	int err;

	v->pv->wall_msr = value;
	do {
		err = gmem_write(&v->vm->mem, GPA(value), &w, sizeof(w));
	} while (err == -RAY_EAGAIN && (err = vcpu_populate(v, GPA(value), sizeof(w))) == 0);
	return err;
}

/* --- steal time and preemption --- */

static struct pv_steal_page *steal_page(struct vcpu *v)
{
	if ((v->pv->steal_msr & PV_MSR_ENABLE) == 0)
		return NULL;
	return gmem_span(&v->vm->mem, page_gpa(v->pv->steal_msr), sizeof(struct pv_steal_page));
}

static int steal_set(struct vcpu *v, uint64_t value)
{
	if ((value & PV_MSR_ENABLE) != 0 && (value & 0x3e) != 0)
		return -RAY_EFAULT;
	return page_set(v, &v->pv->steal_msr, value, sizeof(struct pv_steal_page));
}

void pv_sched_out(struct vcpu *v)
{
	struct pv_steal_page *p = steal_page(v);

	v->pv->preempted = !v->blocking;
	v->pv->preempted_at = time_now();
	if (p != NULL)
		__atomic_store_n(&p->preempted, (uint8_t)PV_PREEMPTED, __ATOMIC_SEQ_CST);
}

void pv_sched_in(struct vcpu *v)
{
	struct pv_vcpu *pv = v->pv;
	struct pv_steal_page *p = steal_page(v);

	if (pv->preempted)
		pv->steal += time_now() - pv->preempted_at;
	pv->preempted = false;
	if (p == NULL)
		return;
	if ((__atomic_exchange_n(&p->preempted, 0, __ATOMIC_SEQ_CST) & PV_FLUSH_TLB) != 0)
		__atomic_fetch_or(&v->requests, VCPU_REQ_TLB, __ATOMIC_SEQ_CST);
	uint32_t version = __atomic_load_n(&p->version, __ATOMIC_RELAXED) | 1u;
	__atomic_store_n(&p->version, version, __ATOMIC_RELEASE);
	__atomic_store_n(&p->steal, pv->steal, __ATOMIC_RELEASE);
	__atomic_store_n(&p->version, version + 1u, __ATOMIC_RELEASE);
}

/* --- MSRs --- */

int pv_msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	switch (msr) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		*value = v->pv->wall_msr;
		return 0;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		*value = v->pv->clock_msr;
		return 0;
	case MSR_KVM_STEAL_TIME:
		*value = v->pv->steal_msr;
		return 0;
	case MSR_KVM_PV_EOI_EN:
		*value = v->pv->eoi_msr;
		return 0;
	default:
		return -RAY_EFAULT;
	}
}

static bool is_pv_msr(uint32_t msr)
{
	return msr - MSR_KVM_WALL_CLOCK <= MSR_KVM_SYSTEM_TIME - MSR_KVM_WALL_CLOCK ||
	       msr - MSR_KVM_WALL_CLOCK_NEW <= MSR_KVM_PV_EOI_EN - MSR_KVM_WALL_CLOCK_NEW;
}

int pv_msr_write(struct vcpu *v, uint32_t msr, uint64_t value, bool fast)
{
	if (fast && is_pv_msr(msr))
		return -RAY_EAGAIN; /* the memory may have to come first */
	switch (msr) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		return wall_clock_set(v, value);
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		return clock_set(v, value);
	case MSR_KVM_STEAL_TIME:
		return steal_set(v, value);
	case MSR_KVM_PV_EOI_EN:
		if (vlapic_pv_eoi_set(v, value) != 0)
			return -RAY_EFAULT;
		v->pv->eoi_msr = value;
		return 0;
	default:
		return -RAY_EFAULT;
	}
}

/* --- hypercalls --- */

#define KVM_HC_VAPIC_POLL_IRQ 1u
#define KVM_HC_KICK_CPU       5u
#define KVM_HC_SEND_IPI       10u
#define KVM_HC_SCHED_YIELD    11u
#define KVM_EPERM             1
#define KVM_ENOSYS            1000

#define ICR_MODE_SHIFT 8
#define ICR_MODE_FIXED 0u
#define ICR_MODE_NMI   4u

static struct vcpu *by_apic_id(struct vm *vm, uint64_t id)
{
	return id < vm->vcpu_count ? vm->vcpu[id] : NULL;
}

static __noinline uint64_t send_ipi(struct vcpu *v)
{
	uint64_t map[2] = { v->gpr[GPR_RBX], v->gpr[GPR_RCX] };
	uint64_t min = (uint32_t)v->gpr[GPR_RDX];
	uint64_t icr = v->gpr[GPR_RSI];
	uint64_t mode = icr >> ICR_MODE_SHIFT & 7;
	uint64_t sent = 0;

	if (mode != ICR_MODE_FIXED && mode != ICR_MODE_NMI)
		return (uint64_t)-KVM_ENOSYS;
	for (unsigned int i = 0; i < 128; i++) {
		struct vcpu *to;

		if ((map[i / 64] & BIT(i % 64)) == 0)
			continue;
		to = by_apic_id(v->vm, min + i);
		if (to == NULL)
			continue;
		if (mode == ICR_MODE_NMI)
			vcpu_request(to, VCPU_REQ_NMI);
		else
			vlapic_set_irq(to, (uint8_t)icr, false);
		sent++;
	}
	return sent;
}

static __noinline uint64_t kick_cpu(struct vcpu *v)
{
	struct vcpu *to = by_apic_id(v->vm, v->gpr[GPR_RCX]);

	if (to != NULL)
		vcpu_request(to, VCPU_REQ_UNHALT);
	return 0;
}

/* Number in RAX, arguments in RBX, RCX, RDX, RSI; the result is for RAX. Trust: all of them. */
static __force_inline uint64_t hypercall(struct vcpu *v)
{
	if (hv_backend->cpl_get(v) != 0)
		return (uint64_t)-KVM_EPERM;
	switch ((uint32_t)v->gpr[GPR_RAX]) {
	case KVM_HC_VAPIC_POLL_IRQ:
		return 0;
	case KVM_HC_KICK_CPU:
		return kick_cpu(v);
	case KVM_HC_SEND_IPI:
		return send_ipi(v);
	case KVM_HC_SCHED_YIELD:
		/* The target is awake or waiting for a CPU: leave this one to whoever waits. */
		vcpu_request(v, VCPU_REQ_YIELD);
		return 0;
	default:
		return (uint64_t)-KVM_ENOSYS;
	}
}

enum hv_disposition exit_hypercall_fast(struct vcpu *v, struct hv_exit *e)
{
	if (vcpu_advance(v, e) == 0)
		v->gpr[GPR_RAX] = hypercall(v);
	return HV_RESUME;
}

void pv_save(struct vcpu *v, struct state_buf *b)
{
	state_put_u64(b, v->pv->clock_msr);
	state_put_u64(b, v->pv->wall_msr);
	state_put_u64(b, v->pv->steal_msr);
	state_put_u64(b, v->pv->eoi_msr);
	state_put_u32(b, v->pv->clock_version);
	state_put_u64(b, v->pv->steal);
}

void pv_load(struct vcpu *v, struct state_buf *b)
{
	uint64_t clock_msr = state_get_u64(b), steal_msr;

	v->pv->wall_msr = state_get_u64(b);
	steal_msr = state_get_u64(b);
	if (page_set(v, &v->pv->clock_msr, clock_msr, sizeof(struct pv_clock_page)) != 0 ||
	    steal_set(v, steal_msr) != 0)
		b->bad = true;
	v->pv->eoi_msr = state_get_u64(b);
	v->pv->clock_version = state_get_u32(b);
	v->pv->steal = state_get_u64(b);
	v->pv->preempted = false;
	vcpu_request(v, VCPU_REQ_CLOCK);
}
