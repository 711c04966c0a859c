/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction at the guest's RIP: its bytes, its length, stepping over it.
 */
#include <string.h>

#include "hv/decode.h"
#include "hv/insn.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"

static bool is_long64(const struct hv_paging *p)
{
	return (p->efer & HV_EFER_LMA) != 0 && (p->cs_attr & HV_SEG_ATTR_L) != 0;
}

static enum insn_mode mode_of(const struct hv_paging *p)
{
	if (is_long64(p))
		return INSN_MODE_64;
	if ((p->cr0 & HV_CR0_PE) == 0)
		return INSN_MODE_16;
	return (p->cs_attr & HV_SEG_ATTR_DB) != 0 ? INSN_MODE_32 : INSN_MODE_16;
}

enum insn_mode vcpu_insn_mode(struct vcpu *v)
{
	struct hv_paging p;

	hv_backend->paging_get(v, &p);
	return mode_of(&p);
}

static gva_t rip_linear(const struct vcpu *v, const struct hv_paging *p)
{
	return is_long64(p) ? GVA(v->rip) : GVA((p->cs_base + v->rip) & 0xffffffffu);
}

int vcpu_insn_fetch(struct vcpu *v, const struct hv_exit *e, struct insn_bytes *out)
{
	struct hv_paging p;
	uint32_t pf;

	hv_backend->paging_get(v, &p);
	out->mode = mode_of(&p);
	memset(out->b, 0, sizeof(out->b));
	if (e->insn_bytes_len > 0) {
		out->n = e->insn_bytes_len;
		memcpy(out->b, e->insn_bytes, out->n);
		return 0;
	}
	gva_t at = rip_linear(v, &p);
	size_t to_page_end = PAGE_SIZE - (at.v & (PAGE_SIZE - 1));
	size_t first = MIN((size_t)HV_INSN_MAX, to_page_end);
	int err = vcpu_fetch(v, at, out->b, first, &pf);
	if (err == -RAY_EFAULT)
		vcpu_inject_pf(v, at.v, pf);
	if (err != 0)
		return err;
	out->n = (uint8_t)first;
	/* The rest may lie on a page that is not there; only the decoder knows whether it is needed. */
	if (first < HV_INSN_MAX && vcpu_fetch(v, GVA(at.v + first), out->b + first,
					      HV_INSN_MAX - first, &pf) == 0)
		out->n = HV_INSN_MAX;
	return 0;
}

/*
 * A decoded form depends on the bytes and the mode alone, so those are the key (never RIP:
 * code changes under it).
 */
int vcpu_insn_decode(struct vcpu *v, const struct insn_bytes *in, struct insn *out)
{
	struct insn_cache *c = &v->insn_cache;

	for (unsigned int i = 0; i < INSN_CACHE_SIZE; i++) {
		const struct insn_cache_entry *e = &c->entry[i];

		if (e->insn.len != 0 && e->mode == in->mode && memcmp(e->b, in->b, e->insn.len) == 0) {
			*out = e->insn;
			return 0;
		}
	}
	int err = insn_decode(in->b, in->n, in->mode, out);
	if (err == 0) {
		struct insn_cache_entry *e = &c->entry[c->next++ % INSN_CACHE_SIZE];

		memcpy(e->b, in->b, sizeof(e->b));
		e->mode = in->mode;
		e->insn = *out;
	}
	return err;
}

const uint8_t *vcpu_code_here(struct vcpu *v, unsigned int n)
{
	uint64_t cr3;

	if (unlikely((v->rip & (PAGE_SIZE - 1)) > PAGE_SIZE - n))
		return NULL;
	cr3 = hv_backend->code64_cr3(v);
	return likely(cr3 != HV_NOT_64BIT) ? vcpu_code_ptr(v, cr3, v->rip) : NULL;
}

/* The usual: 64-bit code, an instruction without prefixes, not at a page's end. 0: not so. */
static unsigned int len_usual(struct vcpu *v, const struct hv_exit *e)
{
	const uint8_t *code;
	uint32_t word;

	if (insn_plain[e->kind].len == 0)
		return 0;
	code = vcpu_code_here(v, sizeof(word));
	if (code == NULL)
		return 0;
	word = code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 | (uint32_t)code[3] << 24;
	return insn_len_plain(e->kind, word);
}

static __noinline unsigned int len_decoded(struct vcpu *v, const struct hv_exit *e)
{
	struct insn_bytes in;
	struct insn insn;
	int err = vcpu_insn_fetch(v, e, &in);

	if (err == -RAY_EIO)
		vm_end(v->vm, VM_END_CRASH, "executes-outside-ram vcpu=%u rip=0x%lx", v->id,
		       (unsigned long)v->rip);
	if (err != 0)
		return 0;
	if (vcpu_insn_decode(v, &in, &insn) != 0) {
		vcpu_inject_ud(v);
		return 0;
	}
	return insn.len;
}

unsigned int vcpu_insn_len(struct vcpu *v, struct hv_exit *e)
{
	unsigned int len = e->insn_len;

	if (len == 0)
		len = len_usual(v, e);
	if (unlikely(len == 0))
		len = len_decoded(v, e);
	e->insn_len = (uint8_t)len;
	return len;
}

void vcpu_advance_unusual(struct vcpu *v, const struct hv_exit *e, unsigned int len)
{
	uint64_t next = v->rip + len;

	/* Only crossing 4 GiB needs to know the mode: IP wraps outside 64-bit code. */
	if ((next ^ v->rip) >> 32 != 0 && vcpu_insn_mode(v) != INSN_MODE_64)
		next &= 0xffffffffu;
	v->rip = next;
	if (e->shadow)
		hv_backend->reg_set(v, HV_REG_INTR_SHADOW, 0);
	if ((v->rflags & HV_RFLAGS_TF) != 0) {
		hv_backend->reg_set(v, HV_REG_DR6, hv_backend->reg_get(v, HV_REG_DR6) | BIT(14)); /* BS */
		vcpu_inject_exception(v, HV_VEC_DB, false, 0);
	}
}
