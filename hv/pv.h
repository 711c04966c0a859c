/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KVM paravirtual interface (Linux Documentation/virt/kvm/x86/{msr,hypercalls}.rst):
 * kvm-clock, steal time, PV TLB flush, IPIs, unhalt and yield. PV EOI is the vLAPIC's.
 * Owns: struct pv_vcpu. Inside hv/ only.
 */
#ifndef RAYOS_HV_PV_H
#define RAYOS_HV_PV_H

#include "hv/vdev.h"
#include "kernel/lib/types.h"

struct vcpu;
struct vm;

#define MSR_KVM_WALL_CLOCK      0x11u
#define MSR_KVM_SYSTEM_TIME     0x12u
#define MSR_KVM_WALL_CLOCK_NEW  0x4b564d00u
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01u
#define MSR_KVM_STEAL_TIME      0x4b564d03u
#define MSR_KVM_PV_EOI_EN       0x4b564d04u

int __must_check pv_vcpu_create(struct vcpu *v);
void pv_vcpu_destroy(struct vcpu *v);
void pv_vcpu_reset(struct vcpu *v);

/** 0; -RAY_EFAULT: not ours or a bad value (#GP); fast: -RAY_EAGAIN (call again from the
 *  thread). Trust: value. */
int pv_msr_read(struct vcpu *v, uint32_t msr, uint64_t *value);
int pv_msr_write(struct vcpu *v, uint32_t msr, uint64_t value, bool fast);

/** Rewrite the vCPU's clock page (VCPU_REQ_CLOCK). Context: own thread. */
void pv_clock_update(struct vcpu *v);
/** Let the VM's clock read @ns when its TSC (host TSC + vm->tsc_offset) reads @tsc. */
void pv_clock_start(struct vm *vm, uint64_t tsc, uint64_t ns);
/** The guest's monotonic nanoseconds when the VM's TSC reads @tsc / now. */
uint64_t pv_clock_at(const struct vm *vm, uint64_t tsc);
uint64_t pv_clock_now(const struct vm *vm);

/* The scheduler took the CPU away / gave it back. Context: sched hooks, IRQs off. */
void pv_sched_out(struct vcpu *v);
void pv_sched_in(struct vcpu *v);

void pv_save(struct vcpu *v, struct state_buf *b);
void pv_load(struct vcpu *v, struct state_buf *b);

#endif
