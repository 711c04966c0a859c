// SPDX-License-Identifier: Apache-2.0
/* Finding SVM, turning it on per CPU, and the backend table. */
#define LOG_TAG "svm"
#include "hv/svm/svm_insn.h"
#include "hv/svm/svm_priv.h"
#include "kernel/arch/cpu.h"
#include "kernel/arch/msr_index.h"
#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/lib/fmt.h"
#include "kernel/log.h"
#include "kernel/mm/page.h"

#define MSR_VM_CR       0xc0010114u /* APM vol. 2, 15.30.1 */
#define MSR_VM_HSAVE_PA 0xc0010117u /* 15.30.4 */
#define VM_CR_SVMDIS    BIT(4)

/* CPUID 0x8000000A EDX (APM vol. 3, appendix E.4.9) */
#define FEAT_NP             (1u << 0)
#define FEAT_NRIP           (1u << 3)
#define FEAT_TSC_RATE       (1u << 4)
#define FEAT_CLEAN          (1u << 5)
#define FEAT_FLUSH_ASID     (1u << 6)
#define FEAT_DECODE_ASSISTS (1u << 7)
#define FEAT_PAUSE_FILTER   (1u << 10)

struct svm_cpu svm_cpus[CPU_MAX];
struct svm_features svm_features;

static void caps_describe(struct hv_caps *caps, uint32_t edx)
{
	static const struct {
		uint32_t bit;
		const char *word;
	} words[] = {
		{ FEAT_NP, "nested-paging" },
		{ FEAT_NRIP, "next-rip" },
		{ FEAT_TSC_RATE, "tsc-scaling" },
		{ FEAT_CLEAN, "clean-bits" },
		{ FEAT_FLUSH_ASID, "flush-by-asid" },
		{ FEAT_DECODE_ASSISTS, "decode-assists" },
		{ FEAT_PAUSE_FILTER, "pause-filter" },
	};
	size_t n = ray_scnprintf(caps->detail, sizeof(caps->detail), "asids=%u", caps->asid_count);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (edx & words[i].bit)
			n += ray_scnprintf(caps->detail + n, sizeof(caps->detail) - n, " %s",
					   words[i].word);
	}
}

/*
 * QEMU's TCG names itself. Up to 7.2 its VMRUN forgets the interrupt shadow of the VMCB, and
 * notes a V_IRQ in the word of pending interrupts that other threads of QEMU write at any time.
 * An interrupt of EVENTINJ stays behind as the exception to be raised until the next exit, and
 * is raised, masked or not, when the emulator's loop is left before that.
 *
 * And its first CPU is no place for guests while there are others: whoever restores x87 state
 * without a pending exception (FXRSTOR, XRSTOR), on any CPU, clears IGNNE of the first, in the
 * word that says there whether GIF is set and whether addresses go through nested tables, by a
 * read and a write that meet those of VMRUN and #VMEXIT.
 */
static bool under_tcg(void)
{
	struct cpuid_regs r;

	if (!(cpuid(1, 0).ecx & (1u << 31)))
		return false;
	r = cpuid(0x40000000, 0);
	return r.ebx == 0x54474354 && r.ecx == 0x43544743 && r.edx == 0x47435447;
}

static int svm_probe(struct hv_caps *caps)
{
	struct cpuid_regs r;
	uint64_t vm_cr;
	bool page_1g, tcg = under_tcg();

	if (cpuid(0x80000000, 0).eax < 0x8000000a || !(cpuid(0x80000001, 0).ecx & (1u << 2)))
		return -RAY_ENODEV;
	page_1g = (cpuid(0x80000001, 0).edx & (1u << 26)) != 0;
	r = cpuid(0x8000000a, 0);
	if (!(r.edx & FEAT_NP) || r.ebx < 2) {
		log_warn("SVM without nested paging or ASIDs cannot be used: edx=0x%x asids=%u",
			 r.edx, r.ebx);
		return -RAY_ENODEV;
	}
	if (rdmsr_safe(MSR_VM_CR, &vm_cr) == 0 && (vm_cr & VM_CR_SVMDIS)) {
		log_warn("SVM is switched off by firmware: vm_cr=0x%llx", (unsigned long long)vm_cr);
		return -RAY_EPERM;
	}
	*caps = (struct hv_caps){
		.next_rip = (r.edx & FEAT_NRIP) != 0,
		.decode_assists = (r.edx & FEAT_DECODE_ASSISTS) != 0,
		.tagged_tlb = true,
		.unrestricted = true,
		.pause_filter = (r.edx & FEAT_PAUSE_FILTER) != 0,
		.page_1g = page_1g,
		.dirty_bits = true,
		.tsc_scaling = (r.edx & FEAT_TSC_RATE) != 0,
		.boot_cpu_unfit = tcg,
		.asid_count = r.ebx,
	};
	svm_features.rdpru = cpuid(0x80000000, 0).eax >= 0x80000008 &&
			     (cpuid(0x80000008, 0).ebx & (1u << 4)) != 0;
	svm_features.shadow_lost = svm_features.intr_lost = svm_features.intr_twice = tcg;
	svm_features.flush_by_asid = (r.edx & FEAT_FLUSH_ASID) != 0;
	caps_describe(caps, r.edx);
	return svm_iopm_init();
}

static int page_take(void **out)
{
	hpa_t page;
	int err;

	if (*out)
		return 0;
	err = page_alloc(PAGE_ORDER_4K, PAGE_F_ZERO, &page);
	if (!err)
		*out = hpa_to_va(page);
	return err;
}

static int svm_cpu_enable(void)
{
	struct svm_cpu *c = &svm_cpus[this_cpu()->id];
	int err = page_take(&c->hsave);

	if (!err)
		err = page_take(&c->host);
	if (err)
		return err;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, va_to_hpa(c->hsave).v);
	c->host_pa = va_to_hpa(c->host).v;
	svm_vmsave(c->host_pa);
	svm_asid_init(&c->asids, cpuid(0x8000000a, 0).ebx);
	return 0;
}

static void svm_cpu_disable(void)
{
	wrmsr(MSR_VM_HSAVE_PA, 0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
}

const struct hv_backend svm_backend = {
	.name = "svm",
	.probe = svm_probe,
	.cpu_enable = svm_cpu_enable,
	.cpu_disable = svm_cpu_disable,
	.vcpu_init = svm_vcpu_init,
	.vcpu_fini = svm_vcpu_fini,
	.vcpu_reset = svm_vcpu_reset,
	.load = svm_vcpu_load,
	.unload = svm_vcpu_unload,
	.run = svm_run,
	.run_loop = svm_run_loop,
	.reg_get = svm_reg_get,
	.reg_set = svm_reg_set,
	.seg_get = svm_seg_get,
	.paging_get = svm_paging_get,
	.cpl_get = svm_cpl_get,
	.code64_cr3 = svm_code64_cr3,
	.seg_set = svm_seg_set,
	.intr_allowed = svm_intr_allowed,
	.nmi_allowed = svm_nmi_allowed,
	.intr_window = svm_intr_window,
	.nmi_window = svm_nmi_window,
	.tsc_offset_set = svm_tsc_offset_set,
	.spec_ctrl_set = svm_spec_ctrl_set,
	.tlb_flush = svm_tlb_flush,
	.dump = svm_dump,
	.stage2 = &svm_npt_format,
	.msr_map = &svm_msr_map_format,
};
