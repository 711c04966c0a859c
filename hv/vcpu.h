/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual CPU: its registers, its thread and the loop that runs it.
 * Owns: the request bits and the kick protocol. Must not know: VMCS, VMCB, devices.
 *
 * The kick protocol (the order is the point):
 *   sender:  write what the vCPU must see; set request bit (atomic OR, full barrier); read
 *            mode: IN_GUEST -> ipi_kick(cpu); BLOCKED -> thread_wake(thread).
 *   vCPU:    IRQs off; mode = IN_GUEST (full barrier); read requests and irq_hint; if any,
 *            mode = OUTSIDE and handle; else enter. A kick that arrives after IRQs went off
 *            stays pending and exits the guest at once.
 *
 * BLOCKED and AWAY also say that the thread holds no pointer into guest memory (hv/gmem.h).
 */
#ifndef RAYOS_HV_VCPU_H
#define RAYOS_HV_VCPU_H

#include "hv/backend.h"
#include "hv/decode.h"
#include "hv/exit.h"
#include "hv/gbus.h"
#include "hv/mov.h"
#include "hv/regs.h"
#include "hv/vdev.h"
#include "kernel/lib/err.h"
#include "kernel/lib/types.h"
#include "kernel/sched/thread.h"
#include "kernel/sched/wait.h"
#include "kernel/time/time.h"

struct vm;
struct vlapic;
struct svm_vcpu;
struct vmx_vcpu;
struct fake_vcpu;
struct pv_vcpu;
struct cpuid_model;
struct cpuid_out;

/* AWAY: in a device's call or asleep on the way, or there is no thread; looks before it enters. */
enum vcpu_mode { VCPU_OUTSIDE, VCPU_IN_GUEST, VCPU_BLOCKED, VCPU_AWAY };
enum vcpu_mp { VCPU_MP_RUNNING, VCPU_MP_HALTED, VCPU_MP_WAIT_SIPI };

/* Request bits: handled with IRQs on before the next entry. */
#define VCPU_REQ_STOP       BIT(0)  /* leave the loop (pause, stop, kill) */
#define VCPU_REQ_INIT       BIT(1)
#define VCPU_REQ_SIPI       BIT(2)  /* vector in sipi_vector */
#define VCPU_REQ_NMI        BIT(3)
#define VCPU_REQ_TLB        BIT(4)  /* backend tlb_flush */
#define VCPU_REQ_CLOCK      BIT(5)  /* rewrite kvm-clock and steal time */
#define VCPU_REQ_UNHALT     BIT(6)  /* PV kick: leave HLT once */
#define VCPU_REQ_YIELD      BIT(7)  /* let another thread run first */
#define VCPU_REQ_MEM        BIT(8)  /* forget host pointers into guest memory */

/* Decoded instruction forms by bytes and mode. */
#define INSN_CACHE_SIZE 4u
struct insn_cache_entry {
	uint8_t b[HV_INSN_MAX + 1];
	enum insn_mode mode;
	struct insn insn; /* len 0: empty */
};
struct insn_cache {
	struct insn_cache_entry entry[INSN_CACHE_SIZE];
	uint32_t next;
};

/*
 * The way through the guest's tables to a page of its code: where each entry lies and what it
 * said. While CR3 is the same and all of them say the same, they lead to the same page.
 */
#define CODE_WALKS       4u
#define CODE_WALK_LEVELS 4u
struct code_walk {
	uint64_t page; /* linear address / 4 KiB * 2 + 1; 0: empty */
	uint64_t cr3;
	const volatile uint64_t *at[CODE_WALK_LEVELS];
	uint64_t entry[CODE_WALK_LEVELS];
	const uint8_t *code; /* the page's beginning */
};

struct vcpu {
	/* First cache lines: what the entry assembly and the fast path touch. hv/vcpu_asm.h has
	 * the offsets for assembly, checked there. */
	uint64_t gpr[GPR_COUNT]; /* encoding order; RSP is the guest's */
	uint64_t host_rsp;       /* the thread's, while the guest runs; VMX only */
	uint64_t rip;
	uint64_t rflags;
	volatile uint64_t requests; /* VCPU_REQ_* */
	volatile uint32_t mode;     /* enum vcpu_mode */
	uint32_t id;                /* index in the VM = initial APIC ID */
	/* What makes the next entry more than a plain one; the loop looks at all at once. */
	union {
		struct {
			volatile bool irq_hint; /* vlapic_pending() may have something new to say */
			bool window_on;         /* an interrupt window was asked for */
			bool nmi_pending;
		};
		volatile uint32_t entry_work;
	};
	struct vm *vm;
	struct vlapic *lapic;
	uint8_t cr8;              /* task priority as the guest's CR8 has it; the vLAPIC keeps it */
	struct hv_event inject;   /* what the next entry delivers */
	struct hv_event exitint;  /* what the last exit interrupted, as the backend reports it */
	struct hv_event reinject; /* such an event, waiting for its turn */
	union {
		struct svm_vcpu *svm;
		struct vmx_vcpu *vmx;
		struct fake_vcpu *fake;
	};
	struct hv_exit exit;
	uint64_t exits[HV_EXIT_KIND_COUNT]; /* written by the vCPU's CPU only */
	uint64_t tsc_offset;

	/* Rarely touched. */
	uint32_t mp;            /* enum vcpu_mp; own thread, or stopped */
	uint8_t sipi_vector;
	volatile uint64_t mem_seen; /* the last vm->mem_round it has passed */
	bool loaded;            /* state is on cpu `cpu` */
	unsigned int cpu;
	struct thread *thread;
	struct thread_hooks hooks;
	void *xsave;            /* 64-byte aligned area of xsave_size bytes */
	uint64_t xcr0, xss;
	uint64_t dr[4], dr6;
	uint64_t tsc_aux;       /* IA32_TSC_AUX */
	uint64_t tsc_adjust;    /* IA32_TSC_ADJUST */
	uint64_t spec_ctrl;
	uint64_t misc_enable;
	uint64_t mtrr_def_type, mtrr_fixed[11], mtrr_var[16];
	struct pv_vcpu *pv;     /* kvm-clock, steal time, PV EOI, async state */
	uint64_t msr_denied;    /* accesses to unknown MSRs */
	uint64_t io_unknown;    /* accesses nobody answered */
	uint64_t halt_count;
	struct insn_cache insn_cache;
	struct code_walk code_walks[CODE_WALKS]; /* slots by page */
	struct gbus_hit port_hit, mmio_hit;
	struct gbus_access access; /* of the exit being handled, IRQs off (hv/access.h) */
	struct mov_form mov_forms[MOV_FORMS]; /* slots by RIP, valid by bytes (hv/mov.h) */
	struct cpuid_model *cpuid;
	struct waitq wait;      /* the thread sleeps here: halted, waiting for SIPI, parked */
	bool blocking;          /* asleep of its own will, not preempted */
	bool nmi_window_on;
	hpa_t lost_page;        /* valid when page_lost: a machine check took it from the guest */
	bool page_lost;
	bool parked;            /* paused or stopped: the thread waits, holds no state */
	volatile bool dying;    /* the thread is to end */
};

int __must_check vcpu_create(struct vm *vm, unsigned int id);
/** Pre: its thread has ended. */
void vcpu_destroy(struct vcpu *v);
/** Start the thread. The BSP begins RUNNING, the others in WAIT_SIPI. */
int __must_check vcpu_start(struct vcpu *v);

/** The vCPU whose state is on the calling CPU, NULL for none. Context: any, NMI included;
 *  preemption off, or the answer is old. */
struct vcpu *vcpu_here(void);

/** Cheap hint: something may be pending since the last vlapic_pending() said no. */
static inline bool vlapic_maybe_pending(const struct vcpu *v)
{
	return v->irq_hint;
}

/** Set request bits and make the vCPU see them soon. Context: any but NMI; lock-free. */
void vcpu_request(struct vcpu *v, uint64_t bits);
/** Make it look at its interrupt controller, whose hint the caller has set with a full barrier
 *  behind it. Context: any but NMI; lock-free. */
void vcpu_kick(struct vcpu *v);

/* --- guest memory that comes and goes (hv/vcpu_mem.c) --- */

/**
 * Make all vCPUs flush their TLBs and forget their pointers into guest memory, and wait until
 * each has, or holds none until it will.
 * Context: thread; what gmem_release() says about locks.
 */
void vcpu_mem_settle(struct vm *vm);
/** The vCPU's side: VCPU_REQ_MEM is being handled. Context: its thread, holding no pointer. */
void vcpu_mem_seen(struct vcpu *v);

/**
 * gmem_populate() that waits for the host to have memory; if that takes too long, the VM ends
 * as crashed. Returns: 0, -RAY_EFAULT, -RAY_ENOMEM (the VM ends).
 * Context: thread, IRQs on, no lock; the vCPU's own, or the vCPU is stopped; no pointer into
 * guest memory is held across it. Trust: gpa, len.
 */
int vcpu_populate(struct vcpu *v, gpa_t gpa, uint64_t len);
/** gmem_pin() of RAM that is made present first. Returns and context as vcpu_populate(), and
 *  -RAY_ENOSPC. */
int __must_check vcpu_pin(struct vcpu *v, gpa_t gpa, uint64_t len);

/** Around what may sleep, on the vCPU's thread: no pointer into guest memory is held across. */
static inline void vcpu_away(struct vcpu *v)
{
	__atomic_store_n(&v->mode, (uint32_t)VCPU_AWAY, __ATOMIC_RELEASE);
}
void vcpu_back(struct vcpu *v);

/* --- for exit handlers; context: the vCPU's own thread, loaded --- */

/** Length of the instruction at RIP: from the exit, else by fetching and decoding it.
 *  0 when it cannot be fetched (a fault was queued for the guest). */
unsigned int vcpu_insn_len(struct vcpu *v, struct hv_exit *e);

/** What vcpu_advance() leaves for the few cases: IP that wraps, a shadow that ends, TF. */
void vcpu_advance_unusual(struct vcpu *v, const struct hv_exit *e, unsigned int len);

/** Move RIP over the exiting instruction and end the interrupt shadow. 0 or -RAY_EFAULT. */
static inline int vcpu_advance(struct vcpu *v, struct hv_exit *e)
{
	unsigned int len = e->insn_len;
	uint64_t next;

	if (unlikely(len == 0)) {
		len = vcpu_insn_len(v, e);
		if (unlikely(len == 0))
			return -RAY_EFAULT;
	}
	next = v->rip + len;
	/* The low half smaller than what was added: over a multiple of 4 GiB. */
	if (unlikely(e->shadow) || unlikely((v->rflags & HV_RFLAGS_TF) != 0) ||
	    unlikely((uint32_t)next < len))
		vcpu_advance_unusual(v, e, len);
	else
		v->rip = next;
	return 0;
}

/** Queue an exception for the next entry; contributory pairs become #DF, a fault during #DF
 *  a triple fault (SDM vol. 3, 6.15). */
void vcpu_inject_exception(struct vcpu *v, uint8_t vector, bool has_error, uint32_t error);
void vcpu_inject_gp(struct vcpu *v);
void vcpu_inject_ud(struct vcpu *v);
void vcpu_inject_pf(struct vcpu *v, uint64_t addr, uint32_t error);

/** Translate a linear address through the guest's own tables.
 *  @access HV_ACCESS_*; @user: supervisor or user access. 0 and *out, or -RAY_EFAULT with
 *  *pf_error for a #PF. Trust: guest tables are read once per level. */
int vcpu_gva_to_gpa(struct vcpu *v, gva_t gva, uint32_t access, bool user, gpa_t *out,
		    uint32_t *pf_error);
/** Copy through the guest's tables with the rights of its present mode. 0, -RAY_EFAULT (a #PF
 *  with *pf_error; earlier pages may be copied), -RAY_EIO (not RAM). */
int __must_check vcpu_gva_read(struct vcpu *v, gva_t gva, void *dst, size_t len, uint32_t *pf_error);
/** vcpu_gva_read with the rights of an instruction fetch. */
int __must_check vcpu_fetch(struct vcpu *v, gva_t gva, void *dst, size_t len, uint32_t *pf_error);
/** Context: IRQs on; may sleep for memory that is absent. */
int __must_check vcpu_gva_write(struct vcpu *v, gva_t gva, const void *src, size_t len, uint32_t *pf_error);

/** Guest TSC now / conversion of a guest TSC value to the host's. */
uint64_t vcpu_guest_tsc(const struct vcpu *v);
uint64_t vcpu_guest_to_host_tsc(const struct vcpu *v, uint64_t guest_tsc);

/* State record of the CPU (registers, MSRs, XSAVE, vLAPIC, PV), of this version. Its TSC is
 * counted from the VM's (vm->tsc_offset). Pre: stopped. */
#define VCPU_STATE_VERSION 2u
void vcpu_save(struct vcpu *v, struct state_buf *b);
int __must_check vcpu_load_state(struct vcpu *v, struct state_buf *b);

/* The MSR and CPUID model (hv/msr.c, hv/cpuid.c). */
void vcpu_cpuid(struct vcpu *v, uint32_t leaf, uint32_t subleaf, struct cpuid_out *out);
/** 0, -RAY_EFAULT (#GP), -RAY_EAGAIN (fast only: call again from the thread). */
int vcpu_msr_read(struct vcpu *v, uint32_t msr, uint64_t *value, bool fast);
int vcpu_msr_write(struct vcpu *v, uint32_t msr, uint64_t value, bool fast);

/** One port access through the bus; unanswered reads give all ones. Context: IRQs on. */
void vcpu_port_access(struct vcpu *v, uint16_t port, unsigned int size, bool write, uint64_t *data);
/** The same for MMIO: 0, or -RAY_EFAULT: nobody there. */
int vcpu_mmio_access(struct vcpu *v, gpa_t gpa, unsigned int size, bool write, uint64_t *data);

#endif
