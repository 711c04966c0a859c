// SPDX-License-Identifier: Apache-2.0
/* Life of a vCPU's VMX state: creation, moving between CPUs, flushing. */
#define LOG_TAG "vmx"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "hv/vmx/vmx_priv.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/mitigate.h"
#include "kernel/arch/msr_index.h"
#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/page.h"
#include "kernel/panic.h"

#define VTPR_OFFSET 0x80u /* SDM vol. 3, 30.1.1 */

const uint32_t vmx_msr_index[VMX_MSR_COUNT] = {
	[VMX_MSR_STAR] = 0xc0000081,
	[VMX_MSR_LSTAR] = 0xc0000082,
	[VMX_MSR_CSTAR] = 0xc0000083,
	[VMX_MSR_SFMASK] = 0xc0000084,
	[VMX_MSR_KERNEL_GS_BASE] = 0xc0000102,
};

static void make_current(struct vmx_cpu *c, struct vmx_vcpu *vx)
{
	if (!vmx_ptrld(vx->vmcs_pa))
		panic("VMPTRLD of a VMCS of ours failed: pa=0x%llx",
		      (unsigned long long)vx->vmcs_pa);
	c->current = vx;
}

static void make_clear(struct vmx_cpu *c, struct vmx_vcpu *vx)
{
	(void)vmx_clear(vx->vmcs_pa);
	vx->extra |= VMX_EXTRA_LAUNCH;
	c->current = NULL;
}

void vmx_access_begin(struct vmx_vcpu *vx, struct vmx_access *a)
{
	struct vmx_cpu *c;

	a->switched = !vx->loaded;
	if (likely(!a->switched))
		return;
	a->irq_flags = irq_save();
	c = &vmx_cpus[this_cpu()->id];
	a->previous = c->current;
	make_current(c, vx);
}

void vmx_access_end(struct vmx_vcpu *vx, const struct vmx_access *a)
{
	struct vmx_cpu *c;

	if (likely(!a->switched))
		return;
	c = &vmx_cpus[this_cpu()->id];
	make_clear(c, vx);
	if (a->previous)
		make_current(c, a->previous);
	irq_restore(a->irq_flags);
}

static int page_take(void **out)
{
	hpa_t page;
	int err = page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO, &page);

	if (!err)
		*out = hpa_to_va(page);
	return err;
}

int vmx_vcpu_init(struct vcpu *vcpu)
{
	struct vmx_vcpu *vx = kzalloc(sizeof(*vx), MEM_VM);
	struct vmx_access a;
	int err;

	if (!vx)
		return -RAY_ENOMEM;
	vcpu->vmx = vx;
	err = page_take(&vx->vmcs);
	if (!err)
		err = page_take(&vx->vapic);
	if (err) {
		vmx_vcpu_fini(vcpu);
		return err;
	}
	vx->vtpr = (uint8_t *)vx->vapic + VTPR_OFFSET;
	vx->extra = VMX_EXTRA_LAUNCH | (mitigate_guest_wanted() ? VMX_EXTRA_BUFFERS : 0);
	vcpu->exit.insn_bytes_len = 0; /* and stays so: SVM's decode assists alone give any */
	*(uint32_t *)vx->vmcs = vmx_config.revision;
	vx->vmcs_pa = va_to_hpa(vx->vmcs).v;
	vx->eptp = vmx_eptp(vcpu->vm->mem.s2.root);
	vx->msr_bitmap_pa = vcpu->vm->msr_map.pa;
	vx->vpid = vmx_config.vpid ? vmx_vpid_alloc() : 0;
	(void)vmx_clear(vx->vmcs_pa);
	vmx_access_begin(vx, &a);
	vmx_vmcs_init(vcpu);
	vmx_access_end(vx, &a);
	return 0;
}

void vmx_vcpu_fini(struct vcpu *vcpu)
{
	struct vmx_vcpu *vx = vcpu->vmx;

	if (!vx)
		return;
	ASSERT(!vx->loaded);
	vmx_vpid_free(vx->vpid);
	if (vx->vmcs)
		page_free_dirty(va_to_hpa(vx->vmcs), PAGE_ORDER_4K);
	if (vx->vapic)
		page_free_dirty(va_to_hpa(vx->vapic), PAGE_ORDER_4K);
	kfree(vx);
	vcpu->vmx = NULL;
}

void vmx_tlb_drop(const struct vmx_vcpu *vx)
{
	uint64_t cap = vmx_config.ept_vpid_cap;

	if (cap & VMX_CAP_INVEPT_ONE)
		vmx_invept(VMX_INV_ONE, vx->eptp);
	else
		vmx_invept(VMX_INV_ALL, 0);
	if (vx->vpid == 0)
		return;
	if (cap & VMX_CAP_INVVPID_ONE)
		vmx_invvpid(VMX_INV_ONE, vx->vpid);
	else
		vmx_invvpid(VMX_INV_ALL, 0);
}

void vmx_vcpu_load(struct vcpu *vcpu)
{
	struct vmx_vcpu *vx = vcpu->vmx;
	struct vmx_cpu *c = &vmx_cpus[this_cpu()->id];

	make_current(c, vx);
	vx->loaded = true;
	if (vx->cpu != c) {
		/* This CPU may hold translations from the vCPU's last stay, or its forerunner's. */
		vx->cpu = c;
		vmx_host_state_set();
		vmx_tlb_drop(vx);
	}
	if (vx->msr_bitmap_pa != vcpu->vm->msr_map.pa) {
		vx->msr_bitmap_pa = vcpu->vm->msr_map.pa;
		vmx_write(VMCS_MSR_BITMAP, vx->msr_bitmap_pa);
	}
	for (unsigned int i = 0; i < VMX_MSR_COUNT; i++)
		wrmsr(vmx_msr_index[i], vx->msr[i]);
	dr6_write(vcpu->dr6);
	cr2_write(vx->cr2);
}

void vmx_vcpu_unload(struct vcpu *vcpu)
{
	struct vmx_vcpu *vx = vcpu->vmx;

	for (unsigned int i = 0; i < VMX_MSR_COUNT; i++)
		vx->msr[i] = rdmsr(vmx_msr_index[i]);
	vcpu->dr6 = dr6_read();
	vx->cr2 = cr2_read();
	vx->loaded = false;
	make_clear(&vmx_cpus[this_cpu()->id], vx);
}

void vmx_tlb_flush(struct vcpu *vcpu)
{
	struct vmx_vcpu *vx = vcpu->vmx;
	uint64_t eptp = vmx_eptp(vcpu->vm->mem.s2.root);
	struct vmx_access a;

	if (eptp != vx->eptp) {
		vx->eptp = eptp;
		vmx_access_begin(vx, &a);
		vmx_write(VMCS_EPTP, eptp);
		vmx_access_end(vx, &a);
	}
	vx->extra |= VMX_EXTRA_FLUSH;
}

void vmx_tsc_offset_set(struct vcpu *vcpu, uint64_t offset)
{
	struct vmx_access a;

	vmx_access_begin(vcpu->vmx, &a);
	vmx_write(VMCS_TSC_OFFSET, offset);
	vmx_access_end(vcpu->vmx, &a);
}

/* The CPU itself switches it by its MSR-load areas; their length is 0 while there is nothing to
 * switch. What the guest writes exits, so nothing has to be stored. */
void vmx_spec_ctrl_set(struct vcpu *vcpu, uint64_t value)
{
	struct vmx_vcpu *vx = vcpu->vmx;
	uint64_t guest = mitigate_guest_spec_ctrl(value);
	uint32_t count = guest != mitigations.host_spec_ctrl;
	struct vmx_access a;

	vx->spec_guest = (struct vmx_msr_load){ MSR_SPEC_CTRL, 0, guest };
	vx->spec_host = (struct vmx_msr_load){ MSR_SPEC_CTRL, 0, mitigations.host_spec_ctrl };
	vmx_access_begin(vx, &a);
	vmx_write(VMCS_ENTRY_MSR_LOAD_ADDR, va_to_hpa(&vx->spec_guest).v);
	vmx_write(VMCS_EXIT_MSR_LOAD_ADDR, va_to_hpa(&vx->spec_host).v);
	vmx_write(VMCS_ENTRY_MSR_LOAD, count);
	vmx_write(VMCS_EXIT_MSR_LOAD, count);
	vmx_access_end(vx, &a);
}
