// SPDX-License-Identifier: Apache-2.0
/*
 * Nested page tables: the ordinary long-mode format (APM vol. 2, 15.25.3), every entry a user
 * one because nested walks count as user accesses.
 */
#include "hv/stage2.h"
#include "hv/svm/svm_priv.h"

#define NPT_P    BIT(0)
#define NPT_W    BIT(1)
#define NPT_U    BIT(2)
#define NPT_A    BIT(5)
#define NPT_D    BIT(6)
#define NPT_PS   BIT(7)
#define NPT_NX   BIT(63)
#define NPT_ADDR 0x000ffffffffff000ull

static uint64_t npt_table(hpa_t next)
{
	return next.v | NPT_P | NPT_W | NPT_U | NPT_A;
}

static uint64_t npt_leaf(hpa_t page, unsigned int prot, unsigned int level)
{
	uint64_t e = page.v | NPT_U | NPT_A;

	/* Without read nothing else can be granted: not present. */
	if (prot & STAGE2_R)
		e |= NPT_P;
	if (prot & STAGE2_W)
		e |= NPT_W;
	if (!(prot & STAGE2_X))
		e |= NPT_NX;
	if (level > 0)
		e |= NPT_PS;
	return e;
}

static bool npt_present(uint64_t e)
{
	return (e & NPT_P) != 0;
}

static bool npt_is_leaf(uint64_t e, unsigned int level)
{
	return level == 0 || (e & NPT_PS) != 0;
}

static hpa_t npt_addr(uint64_t e)
{
	return HPA(e & NPT_ADDR);
}

static unsigned int npt_prot(uint64_t e)
{
	unsigned int prot = 0;

	if (!(e & NPT_P))
		return 0;
	prot |= STAGE2_R;
	if (e & NPT_W)
		prot |= STAGE2_W;
	if (!(e & NPT_NX))
		prot |= STAGE2_X;
	return prot;
}

static bool npt_dirty(uint64_t e)
{
	return (e & NPT_D) != 0;
}

const struct stage2_format svm_npt_format = {
	.name = "npt",
	.table = npt_table,
	.leaf = npt_leaf,
	.present = npt_present,
	.is_leaf = npt_is_leaf,
	.addr = npt_addr,
	.prot = npt_prot,
	.dirty = npt_dirty,
};
