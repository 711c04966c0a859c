/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/host/fake_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/cpuid.h"
#include "hv/pv.h"
#include "hv/run_loop.h"
#include "hv/stage2.h"
#include "kernel/arch/percpu.h"
#include "kernel/lib/err.h"
#include "kernel/mm/heap.h"

#define CHECK(c)                                                                                   \
	do {                                                                                       \
		if (!(c)) {                                                                        \
			fprintf(stderr, "fake_backend: %s at line %d\n", #c, __LINE__);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct fake_vcpu {
	uint64_t reg[HV_REG_COUNT];
	struct hv_segment seg[HV_SEG_COUNT];
	uint64_t tsc_offset;
	uint64_t spec_ctrl;
	bool loaded, window, nmi_window;
};

static const struct fake_step *script;
static unsigned int script_len, script_at;
static struct hv_event injected;

/* --- tagged TLB --- */

struct tlb_entry {
	bool valid;
	unsigned int cpu;
	const struct vcpu *tag;
	uint64_t gpa_page, hpa_page;
	unsigned int prot;
};
static struct tlb_entry tlb[4096];

static struct tlb_entry *tlb_find(const struct vcpu *v, uint64_t page)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(tlb); i++) {
		struct tlb_entry *e = &tlb[i];

		if (e->valid && e->cpu == v->cpu && e->tag == v && e->gpa_page == page)
			return e;
	}
	return NULL;
}

static void tlb_fill(const struct vcpu *v, uint64_t page, uint64_t hpa, unsigned int prot)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(tlb); i++) {
		if (!tlb[i].valid) {
			tlb[i] = (struct tlb_entry){ true, v->cpu, v, page, hpa, prot };
			return;
		}
	}
	CHECK(!"TLB model full");
}

bool fake_touch(struct vcpu *v, uint64_t gpa, unsigned int prot)
{
	uint64_t page = gpa / PAGE_SIZE;
	struct tlb_entry *e = tlb_find(v, page);
	unsigned int now = 0;
	hpa_t hpa = HPA(0);
	bool mapped = stage2_lookup(&v->vm->mem.s2, GPA(gpa), &hpa, &now, NULL) == 0;

	if (e != NULL) {
		/* Hardware would use the entry as it is. A right it has and the tables no longer
		 * give, or another page, is a stale translation. */
		CHECK(mapped && e->hpa_page == hpa.v / PAGE_SIZE && (e->prot & ~now) == 0);
		if ((e->prot & prot) == prot)
			return true;
	}
	if (!mapped || (now & prot) != prot)
		return false;
	if (e != NULL)
		e->prot = now;
	else
		tlb_fill(v, page, hpa.v / PAGE_SIZE, now);
	return true;
}

static void fake_tlb_flush(struct vcpu *v)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(tlb); i++) {
		if (tlb[i].tag == v)
			tlb[i].valid = false;
	}
}

/* --- script --- */

void fake_script(const struct fake_step *steps, unsigned int count)
{
	script = steps;
	script_len = count;
	script_at = 0;
	injected = (struct hv_event){ 0 };
	memset(tlb, 0, sizeof(tlb));
}

unsigned int fake_steps_run(void)
{
	return script_at;
}

struct hv_event fake_injected(void)
{
	return injected;
}

static struct vcpu *enter(struct vcpu *v)
{
	CHECK(v->fake->loaded);
	injected = v->inject;
	v->inject.valid = false;
	v->exitint.valid = false;
	if (script_at == script_len) {
		v->exit = (struct hv_exit){ .kind = HV_EXIT_TRIPLE_FAULT };
		return v;
	}
	const struct fake_step *s = &script[script_at++];
	if (s->guest != NULL)
		s->guest(v);
	v->exit = s->exit;
	v->exit.shadow = v->fake->reg[HV_REG_INTR_SHADOW] != 0;
	v->exitint = s->exitint;
	return v;
}

static void fake_run(struct vcpu *v)
{
	enter(v);
}

/* For tests of parts, which link no exits and run nothing. */
__attribute__((weak)) const struct hv_exit_desc hv_exit_table[HV_EXIT_KIND_COUNT];

__attribute__((weak)) void vcpu_events_prepare(struct vcpu *v)
{
	(void)v;
}

static enum hv_disposition fake_run_loop(struct vcpu *v)
{
	return hv_run_loop(v, enter);
}

/* --- the rest of the table --- */

static int fake_probe(struct hv_caps *caps)
{
	*caps = (struct hv_caps){ .unrestricted = true, .asid_count = 16 };
	return 0;
}

static int fake_cpu_enable(void)
{
	return 0;
}

static void fake_cpu_disable(void)
{
}

static int fake_vcpu_init(struct vcpu *v)
{
	v->fake = calloc(1, sizeof(*v->fake));
	CHECK(v->fake != NULL);
	return 0;
}

static void fake_vcpu_fini(struct vcpu *v)
{
	free(v->fake);
	v->fake = NULL;
}

static void fake_vcpu_reset(struct vcpu *v)
{
	struct hv_segment cs = { .base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .attr = 0x9b };
	struct hv_segment data = { .limit = 0xffff, .attr = 0x93 };

	memset(v->fake->reg, 0, sizeof(v->fake->reg));
	v->fake->reg[HV_REG_CR0] = HV_CR0_ET | HV_CR0_NW | HV_CR0_CD;
	v->fake->reg[HV_REG_PAT] = 0x0007040600070406ull;
	for (unsigned int i = 0; i < HV_SEG_COUNT; i++)
		v->fake->seg[i] = data;
	v->fake->seg[HV_SEG_CS] = cs;
}

static void fake_load(struct vcpu *v)
{
	CHECK(!v->fake->loaded);
	v->fake->loaded = true;
}

static void fake_unload(struct vcpu *v)
{
	CHECK(v->fake->loaded);
	v->fake->loaded = false;
}

static uint64_t fake_reg_get(struct vcpu *v, enum hv_reg r)
{
	return v->fake->reg[r];
}

static void fake_reg_set(struct vcpu *v, enum hv_reg r, uint64_t value)
{
	v->fake->reg[r] = value;
}

static void fake_seg_get(struct vcpu *v, enum hv_seg s, struct hv_segment *out)
{
	*out = v->fake->seg[s];
}

static void fake_seg_set(struct vcpu *v, enum hv_seg s, const struct hv_segment *in)
{
	v->fake->seg[s] = *in;
}

static void fake_paging_get(struct vcpu *v, struct hv_paging *out)
{
	*out = (struct hv_paging){
		.cr0 = v->fake->reg[HV_REG_CR0],
		.cr3 = v->fake->reg[HV_REG_CR3],
		.cr4 = v->fake->reg[HV_REG_CR4],
		.efer = v->fake->reg[HV_REG_EFER],
		.cs_base = v->fake->seg[HV_SEG_CS].base,
		.cs_attr = v->fake->seg[HV_SEG_CS].attr,
		.cpl = HV_SEG_ATTR_DPL(v->fake->seg[HV_SEG_SS].attr),
	};
}

static unsigned int fake_cpl_get(struct vcpu *v)
{
	return HV_SEG_ATTR_DPL(v->fake->seg[HV_SEG_SS].attr);
}

static uint64_t fake_code64_cr3(struct vcpu *v)
{
	bool code64 = (v->fake->reg[HV_REG_EFER] & HV_EFER_LMA) != 0 &&
		      (v->fake->seg[HV_SEG_CS].attr & HV_SEG_ATTR_L) != 0;

	return code64 ? v->fake->reg[HV_REG_CR3] : HV_NOT_64BIT;
}

static bool fake_intr_allowed(struct vcpu *v)
{
	return (v->rflags & HV_RFLAGS_IF) != 0 && v->fake->reg[HV_REG_INTR_SHADOW] == 0;
}

static bool fake_nmi_allowed(struct vcpu *v)
{
	return v->fake->reg[HV_REG_NMI_BLOCKED] == 0 && v->fake->reg[HV_REG_INTR_SHADOW] == 0;
}

static void fake_intr_window(struct vcpu *v, bool on)
{
	v->fake->window = on;
}

static void fake_nmi_window(struct vcpu *v, bool on)
{
	v->fake->nmi_window = on;
}

static void fake_tsc_offset_set(struct vcpu *v, uint64_t offset)
{
	v->fake->tsc_offset = offset;
}

static void fake_spec_ctrl_set(struct vcpu *v, uint64_t value)
{
	v->fake->spec_ctrl = value;
}

/* Two bits for each of the first MSRs. */
static int fake_msr_bits(uint32_t msr, uint32_t *read, uint32_t *write)
{
	if (msr >= PAGE_SIZE * 8 / 2)
		return -RAY_ERANGE;
	*read = msr * 2;
	*write = msr * 2 + 1;
	return 0;
}

static const struct msr_map_format fake_msr_map = { .order = 0, .bits = fake_msr_bits };

static void fake_dump(struct vcpu *v, void (*emit)(void *ctx, const char *line), void *ctx)
{
	(void)v;
	emit(ctx, "fake");
}

/* Entries: bit 0 present, bits 1..3 RWX, bit 7 leaf, address above. */
static uint64_t fmt_table(hpa_t next)
{
	return next.v | 0xf;
}

static uint64_t fmt_leaf(hpa_t page, unsigned int prot, unsigned int level)
{
	return page.v | 1 | prot << 1 | (level > 0 ? 0x80 : 0);
}

static bool fmt_present(uint64_t e)
{
	return (e & 1) != 0;
}

static bool fmt_is_leaf(uint64_t e, unsigned int level)
{
	return level == 0 || (e & 0x80) != 0;
}

static hpa_t fmt_addr(uint64_t e)
{
	return HPA(e & 0x000ffffffffff000ull);
}

static unsigned int fmt_prot(uint64_t e)
{
	return (unsigned int)(e >> 1) & 7;
}

static bool fmt_dirty(uint64_t e)
{
	(void)e;
	return false;
}

static const struct stage2_format fake_format = {
	.name = "fake", .table = fmt_table, .leaf = fmt_leaf, .present = fmt_present,
	.is_leaf = fmt_is_leaf, .addr = fmt_addr, .prot = fmt_prot, .dirty = fmt_dirty,
};

const struct hv_backend fake_backend = {
	.name = "fake",
	.probe = fake_probe,
	.cpu_enable = fake_cpu_enable,
	.cpu_disable = fake_cpu_disable,
	.vcpu_init = fake_vcpu_init,
	.vcpu_fini = fake_vcpu_fini,
	.vcpu_reset = fake_vcpu_reset,
	.load = fake_load,
	.unload = fake_unload,
	.run = fake_run,
	.run_loop = fake_run_loop,
	.reg_get = fake_reg_get,
	.reg_set = fake_reg_set,
	.seg_get = fake_seg_get,
	.paging_get = fake_paging_get,
	.cpl_get = fake_cpl_get,
	.code64_cr3 = fake_code64_cr3,
	.seg_set = fake_seg_set,
	.intr_allowed = fake_intr_allowed,
	.nmi_allowed = fake_nmi_allowed,
	.intr_window = fake_intr_window,
	.nmi_window = fake_nmi_window,
	.tsc_offset_set = fake_tsc_offset_set,
	.spec_ctrl_set = fake_spec_ctrl_set,
	.tlb_flush = fake_tlb_flush,
	.dump = fake_dump,
	.stage2 = &fake_format,
	.msr_map = &fake_msr_map,
};

/* Where the real one is not linked, hv_init() finds this in its place. */
extern const struct hv_backend vmx_backend __attribute__((weak, alias("fake_backend")));
