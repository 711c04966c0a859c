/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mitigations of speculation attacks by guests: one table, decided once from CPUID and the
 * configuration, read on every way into and out of a guest.
 * Owns: the decision, and the instructions that need no place in the world switch. The RSB
 * fill stands in the backends' entry code, before the first return after an exit.
 */
#ifndef RAYOS_KERNEL_ARCH_MITIGATE_H
#define RAYOS_KERNEL_ARCH_MITIGATE_H

#include "kernel/lib/types.h"

struct cpu_features;

/* What the operator asks for: `mitigations = ` in rayos.conf. */
enum mitigate_mode {
	MITIGATE_OFF,
	MITIGATE_AUTO, /* where the CPU is affected, for all it says */
	MITIGATE_ALL,  /* also where it says that it is not */
};

enum mitigation {
	MITIGATE_RSB_FILL, /* after an exit: returns must not follow what the guest left */
	MITIGATE_IBRS,	   /* the host runs with IBRS, or the CPU does it by itself */
	MITIGATE_IBPB,	   /* a barrier when another VM's vCPU takes the CPU */
	MITIGATE_VERW,	   /* before an entry: CPU buffers hold nothing of the host's */
	MITIGATE_L1D_FLUSH, /* before an entry: the L1 cache neither */
	MITIGATION_COUNT
};

enum mitigation_state {
	MITIGATION_ON,
	MITIGATION_OFF,		/* the operator said so */
	MITIGATION_NOT_NEEDED,	/* the CPU says it is not affected */
	MITIGATION_UNAVAILABLE, /* affected, for all we know, and the CPU offers no help */
};

struct mitigations {
	uint32_t on; /* bit per enum mitigation; kernel/arch/rsb_fill.h knows it is first */
	bool auto_ibrs;
	uint64_t host_spec_ctrl; /* value while the host runs */
	enum mitigation_state state[MITIGATION_COUNT];
};

/* Zero, that is everything off, until mitigations_init(). */
extern struct mitigations mitigations;

/** Decide. Pure. */
void mitigations_choose(const struct cpu_features *f, enum mitigate_mode mode,
			struct mitigations *m);

/** Decide for this machine and set up the calling CPU. Context: once, boot processor. */
void mitigations_init(const struct cpu_features *f, enum mitigate_mode mode);
/** Set up the calling CPU as decided. Context: each further CPU, IRQs off. */
void mitigations_cpu_init(void);

/** "off", "auto", "on". */
const char *mitigate_mode_name(enum mitigate_mode mode);
/** "rsb-fill", "on" and so on. */
const char *mitigation_name(enum mitigation m);
const char *mitigation_state_name(enum mitigation_state s);

static inline bool mitigation_on(enum mitigation m)
{
	return unlikely(mitigations.on & (1u << m));
}

/** SPEC_CTRL while a guest runs that asks for @guest: what the host keeps on is not lost. */
static inline uint64_t mitigate_guest_spec_ctrl(uint64_t guest)
{
	return guest | mitigations.host_spec_ctrl;
}

/** The CPU's predictors forget: when a vCPU of another VM than last is about to run here. */
void mitigate_vm_switch(void);

/** Clear what the host left in the CPU's buffers; through mitigate_guest_enter(). */
void mitigate_buffers(void);

/** Whether mitigate_guest_enter() has anything to do; constant after mitigations_init(). */
static inline bool mitigate_guest_wanted(void)
{
	return (mitigations.on & ((1u << MITIGATE_L1D_FLUSH) | (1u << MITIGATE_VERW))) != 0;
}

/** The last thing before guest state is loaded. Context: IRQs off. */
static inline void mitigate_guest_enter(void)
{
	if (unlikely(mitigate_guest_wanted()))
		mitigate_buffers();
}

#endif
