// SPDX-License-Identifier: Apache-2.0
/* Virtual-processor identifiers, one per vCPU for its whole life. */
#include "hv/vmx/vmx_priv.h"
#include "kernel/sched/spinlock.h"

/* More than VM_MAX * VM_VCPU_MAX; number 0 is the host's. */
#define VPID_COUNT 1024u

static struct spinlock lock = SPINLOCK_INIT(LOCK_ORDER_NONE);
static uint64_t used[VPID_COUNT / 64] = { 1 };

uint16_t vmx_vpid_alloc(void)
{
	uint64_t flags = spin_lock_irqsave(&lock);
	uint16_t vpid = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(used); i++) {
		if (~used[i] == 0)
			continue;
		vpid = (uint16_t)(i * 64 + (unsigned int)__builtin_ctzll(~used[i]));
		used[i] |= BIT(vpid % 64);
		break;
	}
	spin_unlock_irqrestore(&lock, flags);
	return vpid;
}

void vmx_vpid_free(uint16_t vpid)
{
	uint64_t flags;

	if (vpid == 0)
		return;
	flags = spin_lock_irqsave(&lock);
	used[vpid / 64] &= ~BIT(vpid % 64);
	spin_unlock_irqrestore(&lock, flags);
}
