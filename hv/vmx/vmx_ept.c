// SPDX-License-Identifier: Apache-2.0
/* Extended page tables (SDM vol. 3, 29.3.2). */
#include "hv/stage2.h"
#include "hv/vmx/vmx_priv.h"

#define EPT_R     BIT(0)
#define EPT_W     BIT(1)
#define EPT_X     BIT(2)
#define EPT_RWX   (EPT_R | EPT_W | EPT_X)
#define EPT_WB    (6ull << 3)
#define EPT_LARGE BIT(7)
#define EPT_D     BIT(9)
#define EPT_ADDR  0x000ffffffffff000ull

#define EPTP_WB    6ull
#define EPTP_WALK4 (3ull << 3)
#define EPTP_AD    BIT(6)

BUILD_ASSERT(STAGE2_R == EPT_R && STAGE2_W == EPT_W && STAGE2_X == EPT_X,
	     "permissions have EPT's bits");

static uint64_t ept_table(hpa_t next)
{
	return next.v | EPT_RWX;
}

static uint64_t ept_leaf(hpa_t page, unsigned int prot, unsigned int level)
{
	uint64_t e = page.v | EPT_WB | (level > 0 ? EPT_LARGE : 0);

	/* Write or execute without read is a misconfiguration (29.3.3.1): not present. */
	return (prot & STAGE2_R) ? e | (prot & STAGE2_RWX) : e;
}

static bool ept_present(uint64_t e)
{
	return (e & EPT_RWX) != 0;
}

static bool ept_is_leaf(uint64_t e, unsigned int level)
{
	return level == 0 || (e & EPT_LARGE) != 0;
}

static hpa_t ept_addr(uint64_t e)
{
	return HPA(e & EPT_ADDR);
}

static unsigned int ept_prot(uint64_t e)
{
	return (unsigned int)(e & EPT_RWX);
}

static bool ept_dirty(uint64_t e)
{
	return (e & EPT_D) != 0;
}

uint64_t vmx_eptp(hpa_t root)
{
	return root.v | EPTP_WB | EPTP_WALK4 | (vmx_config.ept_ad ? EPTP_AD : 0);
}

const struct stage2_format vmx_ept_format = {
	.name = "ept",
	.table = ept_table,
	.leaf = ept_leaf,
	.present = ept_present,
	.is_leaf = ept_is_leaf,
	.addr = ept_addr,
	.prot = ept_prot,
	.dirty = ept_dirty,
};
