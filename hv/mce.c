/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/mce.h"

#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/mce.h"

/* Called in NMI context, so it only notes the loss; the vCPU's own exit acts on it. */
static bool page_is_guests(hpa_t page)
{
	struct vcpu *v = vcpu_here();

	if (v == NULL || !gmem_owns(&v->vm->mem, page))
		return false;
	v->lost_page = page;
	v->page_lost = true;
	return true;
}

void hv_mce_init(void)
{
	mce_page_hook_set(page_is_guests);
}

enum hv_disposition hv_mce_fast(struct vcpu *v, struct hv_exit *e)
{
	(void)e;
	return v->page_lost ? HV_THREAD : HV_RESUME;
}

enum hv_disposition hv_mce_thread(struct vcpu *v, struct hv_exit *e)
{
	(void)e;
	vm_end(v->vm, VM_END_CRASH, "machine-check vcpu=%u page=0x%lx", v->id,
	       (unsigned long)v->lost_page.v);
	return HV_STOP;
}
