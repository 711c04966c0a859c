/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vendor-neutral VM exit: what a backend's run() reports and what the one dispatch table
 * in hv/exit.c takes. Must not know: VMCS or VMCB encodings.
 */
#ifndef RAYOS_HV_EXIT_H
#define RAYOS_HV_EXIT_H

#include "kernel/lib/types.h"

struct vcpu;

enum hv_exit_kind {
	HV_EXIT_EXTINT,        /* host interrupt pending; taken as soon as IRQs are on */
	HV_EXIT_NMI,           /* host NMI arrived in the guest; backend has delivered it */
	HV_EXIT_MCE,           /* host machine check; backend has delivered it */
	HV_EXIT_INTR_WINDOW,   /* guest can take an interrupt now */
	HV_EXIT_NMI_WINDOW,    /* guest can take an NMI now */
	HV_EXIT_CPUID,
	HV_EXIT_HLT,
	HV_EXIT_PAUSE,
	HV_EXIT_HYPERCALL,     /* VMCALL or VMMCALL */
	HV_EXIT_IO,
	HV_EXIT_MSR_READ,
	HV_EXIT_MSR_WRITE,
	HV_EXIT_STAGE2,        /* EPT violation or nested page fault */
	HV_EXIT_STAGE2_BROKEN, /* EPT misconfiguration: our own tables are wrong */
	HV_EXIT_CR,
	HV_EXIT_DR,
	HV_EXIT_EXCEPTION,     /* an intercepted guest exception */
	HV_EXIT_TRIPLE_FAULT,
	HV_EXIT_INIT,          /* INIT or SIPI seen by the CPU */
	HV_EXIT_CACHE,         /* INVD, WBINVD, WBNOINVD */
	HV_EXIT_XSETBV,
	HV_EXIT_RDPMC,
	HV_EXIT_MONITOR,       /* MONITOR, MWAIT */
	HV_EXIT_VIRT_INSN,     /* guest used VMX or SVM instructions: #UD */
	HV_EXIT_TASK_SWITCH,
	HV_EXIT_PREEMPT_TIMER,
	HV_EXIT_ENTRY_FAILED,  /* hardware refused the guest state */
	HV_EXIT_UNKNOWN,
	HV_EXIT_KIND_COUNT
};

/* access bits of a stage-2 exit */
#define HV_ACCESS_READ  (1u << 0)
#define HV_ACCESS_WRITE (1u << 1)
#define HV_ACCESS_EXEC  (1u << 2)
/* set when the fault came from walking the guest's own page tables */
#define HV_ACCESS_PTWALK (1u << 3)

#define HV_INSN_MAX 15u

struct hv_exit_io {
	uint16_t port;
	uint8_t size; /* 1, 2, 4 bytes */
	bool in;
	bool string;  /* INS, OUTS: handled through the decoder */
	bool rep;
};

struct hv_exit_stage2 {
	gpa_t gpa;
	gva_t gva;          /* valid when gva_valid */
	uint32_t access;    /* HV_ACCESS_* */
	bool gva_valid;
};

struct hv_exit_cr {
	uint8_t cr;       /* 0, 3, 4, 8 */
	uint8_t gpr;      /* register number, encoding order */
	bool write;
	bool is_clts, is_lmsw;
	uint16_t lmsw_source;
};

struct hv_exit_exception {
	uint8_t vector;
	bool has_error;
	uint32_t error;
	uint64_t addr; /* #PF: faulting linear address */
};

/*
 * Everything here is copied from hardware before any handler runs. insn_len is 0 when the
 * CPU does not tell it; the handler then asks vcpu_insn_len(). RIP is vcpu->rip.
 */
struct hv_exit {
	enum hv_exit_kind kind;
	uint8_t insn_len;      /* bytes, 0 = unknown */
	bool shadow;           /* an interrupt shadow held; it ends with the instruction */
	uint8_t insn_bytes_len; /* valid bytes of insn_bytes (SVM decode assists) */
	uint8_t insn_bytes[HV_INSN_MAX];
	/* For reports only, and only of kinds that end a VM: vendor code; qualification or
	 * EXITINFO1, EXITINFO2. */
	uint64_t raw_reason;
	uint64_t raw_info[2];
	union {
		struct hv_exit_io io;
		struct hv_exit_stage2 s2;
		struct hv_exit_cr cr;
		struct hv_exit_exception exc;
		struct {
			uint8_t dr, gpr;
			bool write;
		} dr;
	} u;
};

enum hv_disposition {
	HV_RESUME,   /* go back in; no lock, no sleep needed */
	HV_THREAD,   /* a fast handler hands over: call the thread handler, IRQs on */
	HV_BLOCK,    /* the vCPU halts until kicked */
	HV_STOP,     /* the vCPU leaves its loop: VM stopping, crashed or paused */
};

/**
 * A handler. `fast` ones run with IRQs off right after the exit: no lock, no allocation, no
 * log. `thread` ones run with IRQs on, may sleep and take locks.
 */
typedef enum hv_disposition (*hv_exit_fn)(struct vcpu *vcpu, struct hv_exit *exit);

struct hv_exit_desc {
	const char *name; /* for `vm stats` */
	hv_exit_fn fast;
	hv_exit_fn thread; /* NULL: fast handles all */
};

/** The table, indexed by kind; every entry has a name and a fast handler, which for an exit
 *  that always needs the thread says just that. */
extern const struct hv_exit_desc hv_exit_table[HV_EXIT_KIND_COUNT];

/** Name of a kind, "?" outside the range. */
const char *hv_exit_name(enum hv_exit_kind kind);

#endif
