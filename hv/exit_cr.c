/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control-register accesses that the hardware did not let pass (VMX guest/host masks; CR8).
 */
#include "hv/cpuid.h"
#include "hv/exit_priv.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

#define CR0_KNOWN                                                                                  \
	(HV_CR0_PE | HV_CR0_MP | HV_CR0_EM | HV_CR0_TS | HV_CR0_ET | HV_CR0_NE | HV_CR0_WP |       \
	 BIT(18) | HV_CR0_NW | HV_CR0_CD | HV_CR0_PG)

#define PDPTE_RESERVED 0x1e6ull /* below the address */

/*
 * SDM vol. 3, 4.4.1: under PAE paging the write faults on a bad pointer and changes nothing.
 * The backend loads them for the entry; what is outside RAM reads as ones.
 */
static bool pdptes_ok(struct vcpu *v, uint64_t cr0, uint64_t cr4)
{
	uint64_t reserved = PDPTE_RESERVED | ~(BIT(v->cpuid->maxphyaddr) - 1);
	uint64_t pdpte[4];
	gpa_t at = GPA(hv_backend->reg_get(v, HV_REG_CR3) & 0xffffffe0u);

	if ((cr0 & HV_CR0_PG) == 0 || (cr4 & HV_CR4_PAE) == 0 ||
	    (hv_backend->reg_get(v, HV_REG_EFER) & HV_EFER_LME) != 0)
		return true;
	if (gmem_read(&v->vm->mem, at, pdpte, sizeof(pdpte)) != 0)
		return false;
	for (unsigned int i = 0; i < ARRAY_SIZE(pdpte); i++) {
		if ((pdpte[i] & BIT(0)) != 0 && (pdpte[i] & reserved) != 0)
			return false;
	}
	return true;
}

/* SDM vol. 3, 2.5 and 4.1.2. False: #GP. */
static bool cr0_write(struct vcpu *v, uint64_t value)
{
	uint64_t old = hv_backend->reg_get(v, HV_REG_CR0);
	uint64_t cr4 = hv_backend->reg_get(v, HV_REG_CR4);
	uint64_t efer = hv_backend->reg_get(v, HV_REG_EFER);

	if (value >> 32 != 0)
		return false;
	value = (value & CR0_KNOWN) | HV_CR0_ET;
	if ((value & HV_CR0_PG) != 0 && (value & HV_CR0_PE) == 0)
		return false;
	if ((value & HV_CR0_NW) != 0 && (value & HV_CR0_CD) == 0)
		return false;
	if ((value & ~old & HV_CR0_PG) != 0 && (efer & HV_EFER_LME) != 0) {
		struct hv_segment cs;

		hv_backend->seg_get(v, HV_SEG_CS, &cs);
		if ((cr4 & HV_CR4_PAE) == 0 || (cs.attr & HV_SEG_ATTR_L) != 0)
			return false;
	}
	if (((value ^ old) & HV_CR0_PDPTE_LOAD) != 0 && !pdptes_ok(v, value, cr4))
		return false;
	hv_backend->reg_set(v, HV_REG_CR0, value);
	return true;
}

static bool cr4_write(struct vcpu *v, uint64_t value)
{
	uint64_t efer = hv_backend->reg_get(v, HV_REG_EFER);

	if ((value & ~v->cpuid->cr4_mask) != 0)
		return false;
	if ((efer & HV_EFER_LMA) != 0 && (value & HV_CR4_PAE) == 0)
		return false;
	if (((value ^ hv_backend->reg_get(v, HV_REG_CR4)) & HV_CR4_PDPTE_LOAD) != 0 &&
	    !pdptes_ok(v, hv_backend->reg_get(v, HV_REG_CR0), value))
		return false;
	hv_backend->reg_set(v, HV_REG_CR4, value);
	return true;
}

static bool cr_write(struct vcpu *v, const struct hv_exit_cr *c)
{
	uint64_t value = v->gpr[c->gpr];
	uint64_t cr0;

	if (c->is_clts || c->is_lmsw) {
		cr0 = hv_backend->reg_get(v, HV_REG_CR0);
		if (c->is_clts)
			return cr0_write(v, cr0 & ~HV_CR0_TS);
		/* LMSW sets PE, MP, EM, TS and cannot clear PE (SDM vol. 2, LMSW). */
		return cr0_write(v, (cr0 & ~0xeull) | (c->lmsw_source & 0xf));
	}
	switch (c->cr) {
	case 0:
		return cr0_write(v, value);
	case 3:
		hv_backend->reg_set(v, HV_REG_CR3, value & ~BIT(63));
		return true;
	case 4:
		return cr4_write(v, value);
	case 8:
		if (value > 15)
			return false;
		vlapic_cr8_set(v, value);
		return true;
	default:
		return false;
	}
}

static uint64_t cr_read(struct vcpu *v, uint8_t cr)
{
	switch (cr) {
	case 0:
		return hv_backend->reg_get(v, HV_REG_CR0);
	case 3:
		return hv_backend->reg_get(v, HV_REG_CR3);
	case 4:
		return hv_backend->reg_get(v, HV_REG_CR4);
	default:
		return vlapic_cr8_get(v);
	}
}

enum hv_disposition exit_cr_fast(struct vcpu *v, struct hv_exit *e)
{
	const struct hv_exit_cr *c = &e->u.cr;

	if (!c->write) {
		if (vcpu_advance(v, e) == 0)
			v->gpr[c->gpr] = cr_read(v, c->cr);
	} else if (!cr_write(v, c)) {
		vcpu_inject_gp(v);
	} else {
		int err = vcpu_advance(v, e);

		(void)err; /* a fault is queued */
	}
	return HV_RESUME;
}
