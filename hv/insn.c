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

enum insn_mode vcpu_insn_mode(struct vcpu *v)
{
	struct hv_segment cs;

	if ((hv_backend->reg_get(v, HV_REG_CR0) & HV_CR0_PE) == 0)
		return INSN_MODE_16;
	hv_backend->seg_get(v, HV_SEG_CS, &cs);
	if ((hv_backend->reg_get(v, HV_REG_EFER) & HV_EFER_LMA) != 0 && (cs.attr & HV_SEG_ATTR_L) != 0)
		return INSN_MODE_64;
	return (cs.attr & HV_SEG_ATTR_DB) != 0 ? INSN_MODE_32 : INSN_MODE_16;
}

static gva_t rip_linear(struct vcpu *v, enum insn_mode mode)
{
	struct hv_segment cs;

	if (mode == INSN_MODE_64)
		return GVA(v->rip);
	hv_backend->seg_get(v, HV_SEG_CS, &cs);
	return GVA((cs.base + v->rip) & 0xffffffffu);
}

int vcpu_insn_fetch(struct vcpu *v, const struct hv_exit *e, struct insn_bytes *out)
{
	uint32_t pf;

	out->mode = vcpu_insn_mode(v);
	memset(out->b, 0, sizeof(out->b));
	if (e->insn_bytes_len > 0) {
		out->n = e->insn_bytes_len;
		memcpy(out->b, e->insn_bytes, out->n);
		return 0;
	}
	gva_t at = rip_linear(v, out->mode);
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

unsigned int vcpu_insn_len(struct vcpu *v, struct hv_exit *e)
{
	struct insn_bytes in;
	struct insn insn;

	if (e->insn_len != 0)
		return e->insn_len;
	int err = vcpu_insn_fetch(v, e, &in);
	if (err == -RAY_EIO)
		vm_end(v->vm, VM_END_CRASH, "executes-outside-ram vcpu=%u rip=0x%lx", v->id,
		       (unsigned long)v->rip);
	if (err != 0)
		return 0;
	unsigned int len = insn_len_plain(e->kind, in.b, in.n);
	if (len == 0) {
		if (vcpu_insn_decode(v, &in, &insn) != 0) {
			vcpu_inject_ud(v);
			return 0;
		}
		len = insn.len;
	}
	e->insn_len = (uint8_t)len;
	return len;
}

int vcpu_advance(struct vcpu *v, struct hv_exit *e)
{
	unsigned int len = e->insn_len != 0 ? e->insn_len : vcpu_insn_len(v, e);

	if (len == 0)
		return -RAY_EFAULT;
	uint64_t next = v->rip + len;
	/* Only crossing 4 GiB needs to know the mode: IP wraps outside 64-bit code. */
	if (unlikely((next ^ v->rip) >> 32 != 0) && vcpu_insn_mode(v) != INSN_MODE_64)
		next &= 0xffffffffu;
	v->rip = next;
	if (unlikely(e->shadow))
		hv_backend->reg_set(v, HV_REG_INTR_SHADOW, 0);
	if (unlikely((v->rflags & HV_RFLAGS_TF) != 0)) {
		hv_backend->reg_set(v, HV_REG_DR6, hv_backend->reg_get(v, HV_REG_DR6) | BIT(14)); /* BS */
		vcpu_inject_exception(v, HV_VEC_DB, false, 0);
	}
	return 0;
}
