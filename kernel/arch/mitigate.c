/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/arch/mitigate.h"

#include <string.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/arch/gdt.h"
#include "kernel/arch/msr_index.h"

/* IA32_ARCH_CAPABILITIES, SDM vol. 4 table 2-2. */
#define ARCH_RDCL_NO	    BIT(0)
#define ARCH_IBRS_ALL	    BIT(1)
#define ARCH_SKIP_L1D_FLUSH BIT(3)
#define ARCH_MDS_NO	    BIT(5)
#define ARCH_FB_CLEAR	    BIT(17)

#define SPEC_CTRL_IBRS BIT(0)
#define PRED_CMD_IBPB  BIT(0)
#define FLUSH_CMD_L1D  BIT(0)
#define EFER_AUTO_IBRS BIT(21) /* APM vol. 2 sec. 3.1.7 */

struct mitigations mitigations;

BUILD_ASSERT(offsetof(struct mitigations, on) == 0 && MITIGATE_RSB_FILL == 0,
	     "as kernel/arch/rsb_fill.h has it");

/* What would be done if the operator wants everything. */
static void needs(const struct cpu_features *f, struct mitigations *m)
{
	bool intel = strcmp(f->vendor, "GenuineIntel") == 0;
	uint64_t caps = f->arch_capabilities;
	enum mitigation_state *s = m->state;

	/* No CPU says that it cannot be led astray by returns; the fill needs nothing from it. */
	s[MITIGATE_RSB_FILL] = MITIGATION_ON;
	s[MITIGATE_IBPB] = f->ibpb ? MITIGATION_ON : MITIGATION_UNAVAILABLE;
	m->auto_ibrs = f->auto_ibrs;
	s[MITIGATE_IBRS] = f->auto_ibrs || f->spec_ctrl ? MITIGATION_ON : MITIGATION_UNAVAILABLE;

	if (!intel || (caps & ARCH_RDCL_NO) || (caps & ARCH_SKIP_L1D_FLUSH))
		s[MITIGATE_L1D_FLUSH] = MITIGATION_NOT_NEEDED;
	else
		s[MITIGATE_L1D_FLUSH] = f->l1d_flush ? MITIGATION_ON : MITIGATION_UNAVAILABLE;

	if (!intel || ((caps & ARCH_MDS_NO) && !(caps & ARCH_FB_CLEAR)))
		s[MITIGATE_VERW] = MITIGATION_NOT_NEEDED;
	else
		s[MITIGATE_VERW] = f->md_clear ? MITIGATION_ON : MITIGATION_UNAVAILABLE;
}

/* Of those a CPU may do without: does it offer them all the same? */
static bool offered(const struct cpu_features *f, enum mitigation m)
{
	switch (m) {
	case MITIGATE_L1D_FLUSH:
		return f->l1d_flush;
	case MITIGATE_VERW:
		return f->md_clear;
	default:
		return false;
	}
}

void mitigations_choose(const struct cpu_features *f, enum mitigate_mode mode,
			struct mitigations *m)
{
	memset(m, 0, sizeof(*m));
	needs(f, m);
	for (unsigned int i = 0; i < MITIGATION_COUNT; i++) {
		if (m->state[i] == MITIGATION_ON && mode == MITIGATE_OFF)
			m->state[i] = MITIGATION_OFF;
		if (m->state[i] == MITIGATION_NOT_NEEDED && mode == MITIGATE_ALL &&
		    offered(f, (enum mitigation)i))
			m->state[i] = MITIGATION_ON;
		if (m->state[i] == MITIGATION_ON)
			m->on |= 1u << i;
	}
	if (!(m->on & (1u << MITIGATE_IBRS)))
		m->auto_ibrs = false;
	else if (!m->auto_ibrs)
		m->host_spec_ctrl = SPEC_CTRL_IBRS;
}

void mitigate_vm_switch(void)
{
	if (mitigation_on(MITIGATE_IBPB))
		wrmsr(MSR_PRED_CMD, PRED_CMD_IBPB);
}

void mitigate_buffers(void)
{
	/* The flush clears the buffers as well. */
	if (mitigation_on(MITIGATE_L1D_FLUSH))
		wrmsr(MSR_FLUSH_CMD, FLUSH_CMD_L1D);
	else
		cpu_buffers_clear(SEL_KERNEL_DS);
}

void mitigations_cpu_init(void)
{
	if (mitigations.auto_ibrs)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_AUTO_IBRS);
	else if (mitigation_on(MITIGATE_IBRS))
		wrmsr(MSR_SPEC_CTRL, mitigations.host_spec_ctrl);
}

void mitigations_init(const struct cpu_features *f, enum mitigate_mode mode)
{
	mitigations_choose(f, mode, &mitigations);
	mitigations_cpu_init();
}

const char *mitigate_mode_name(enum mitigate_mode mode)
{
	static const char *const names[] = { "off", "auto", "on" };

	return names[mode];
}

const char *mitigation_name(enum mitigation m)
{
	static const char *const names[MITIGATION_COUNT] = {
		[MITIGATE_RSB_FILL] = "rsb-fill", [MITIGATE_IBRS] = "ibrs",
		[MITIGATE_IBPB] = "ibpb",	  [MITIGATE_VERW] = "verw",
		[MITIGATE_L1D_FLUSH] = "l1d-flush",
	};

	return names[m];
}

const char *mitigation_state_name(enum mitigation_state s)
{
	static const char *const names[] = {
		[MITIGATION_ON] = "on",
		[MITIGATION_OFF] = "off",
		[MITIGATION_NOT_NEEDED] = "not-needed",
		[MITIGATION_UNAVAILABLE] = "unavailable",
	};

	return names[s];
}
