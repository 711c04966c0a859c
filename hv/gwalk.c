/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's own page tables, walked from the host side (SDM vol. 3, ch. 4). Each entry is
 * read once and that copy decides. Five-level paging is not offered to guests.
 */
#include <string.h>

#include "hv/insn.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"

#define PTE_P   BIT(0)
#define PTE_RW  BIT(1)
#define PTE_US  BIT(2)
#define PTE_PS  BIT(7)
#define PTE_NX  BIT(63)
#define PTE_ADDR 0x000ffffffffff000ull

#define PF_P    BIT(0)
#define PF_WR   BIT(1)
#define PF_US   BIT(2)
#define PF_RSVD BIT(3)
#define PF_ID   BIT(4)

#define RFLAGS_AC BIT(18)

/* One walk: what was asked, the mode, and the rights collected on the way. */
struct walk {
	uint64_t va;
	struct hv_paging p;
	uint32_t access;
	bool user;
	bool writable, user_page, nx;
};

static int walk_fault(const struct walk *w, uint32_t bits, uint32_t *pf_error)
{
	uint32_t code = bits;

	if ((w->access & HV_ACCESS_WRITE) != 0)
		code |= PF_WR;
	if (w->user)
		code |= PF_US;
	if ((w->access & HV_ACCESS_EXEC) != 0 &&
	    ((w->p.efer & HV_EFER_NXE) != 0 || (w->p.cr4 & HV_CR4_SMEP) != 0))
		code |= PF_ID;
	*pf_error = code;
	return -RAY_EFAULT;
}

/* SDM vol. 3, 4.6: determination of access rights. */
static int walk_rights(struct vcpu *v, const struct walk *w, uint32_t *pf_error)
{
	bool write = (w->access & HV_ACCESS_WRITE) != 0;
	bool exec = (w->access & HV_ACCESS_EXEC) != 0;

	if (w->user && !w->user_page)
		return walk_fault(w, PF_P, pf_error);
	if (write && !w->writable && (w->user || (w->p.cr0 & HV_CR0_WP) != 0))
		return walk_fault(w, PF_P, pf_error);
	if (exec && w->nx && (w->p.efer & HV_EFER_NXE) != 0)
		return walk_fault(w, PF_P, pf_error);
	if (!w->user && w->user_page) {
		if (exec && (w->p.cr4 & HV_CR4_SMEP) != 0)
			return walk_fault(w, PF_P, pf_error);
		if (!exec && (w->p.cr4 & HV_CR4_SMAP) != 0 && (v->rflags & RFLAGS_AC) == 0)
			return walk_fault(w, PF_P, pf_error);
	}
	return 0;
}

static int entry_read(struct vcpu *v, gpa_t gpa, unsigned int size, uint64_t *out)
{
	const void *p = gmem_ptr(&v->vm->mem, gpa, size);

	/* Outside RAM, or absent: zeros, which is not present too. */
	if (p == NULL)
		return -RAY_EFAULT;
	*out = size == 8 ? *(const volatile uint64_t *)p : *(const volatile uint32_t *)p;
	return 0;
}

static void rights_and(struct walk *w, uint64_t e)
{
	w->writable = w->writable && (e & PTE_RW) != 0;
	w->user_page = w->user_page && (e & PTE_US) != 0;
	w->nx = w->nx || (e & PTE_NX) != 0;
}

/* Tables of 64-bit entries: four levels in long mode, three with PAE. */
static int walk_64(struct vcpu *v, struct walk *w, gpa_t *out, uint32_t *pf_error)
{
	bool lma = (w->p.efer & HV_EFER_LMA) != 0;
	uint64_t table = lma ? w->p.cr3 & PTE_ADDR : w->p.cr3 & 0xffffffe0u;
	int top = lma ? 3 : 2;

	for (int level = top;; level--) {
		unsigned int shift = PAGE_SHIFT + 9u * (unsigned int)level;
		uint64_t index = w->va >> shift & (level == 2 && !lma ? 3 : 511);
		uint64_t e;

		if (entry_read(v, GPA(table + index * 8), 8, &e) != 0)
			return walk_fault(w, 0, pf_error);
		if ((e & PTE_P) == 0)
			return walk_fault(w, 0, pf_error);
		/* A PAE page-directory-pointer entry carries no rights (SDM vol. 3, 4.4.1). */
		if (lma || level != 2)
			rights_and(w, e);
		if (level == 0 || (level < 3 && (lma || level != 2) && (e & PTE_PS) != 0)) {
			uint64_t mask = (1ull << shift) - 1;

			out->v = (e & PTE_ADDR & ~mask) | (w->va & mask);
			return 0;
		}
		if (level == 3 && (e & PTE_PS) != 0)
			return walk_fault(w, PF_P | PF_RSVD, pf_error);
		table = e & PTE_ADDR;
	}
}

/* Two levels of 32-bit entries, 4 MiB pages with PSE (SDM vol. 3, 4.3). */
static int walk_32(struct vcpu *v, struct walk *w, gpa_t *out, uint32_t *pf_error)
{
	uint64_t table = w->p.cr3 & 0xfffff000u;
	uint64_t e;

	if (entry_read(v, GPA(table + (w->va >> 22 & 1023) * 4), 4, &e) != 0 || (e & PTE_P) == 0)
		return walk_fault(w, 0, pf_error);
	rights_and(w, e);
	if ((e & PTE_PS) != 0 && (w->p.cr4 & HV_CR4_PSE) != 0) {
		/* Bits 13..20 are address bits 32..39 (PSE-36). */
		out->v = (e & 0xffc00000u) | ((e >> 13 & 0xff) << 32) | (w->va & 0x3fffff);
		return 0;
	}
	table = e & 0xfffff000u;
	if (entry_read(v, GPA(table + (w->va >> 12 & 1023) * 4), 4, &e) != 0 || (e & PTE_P) == 0)
		return walk_fault(w, 0, pf_error);
	rights_and(w, e);
	out->v = (e & 0xfffff000u) | (w->va & 0xfff);
	return 0;
}

static int translate(struct vcpu *v, struct walk *w, gpa_t *out, uint32_t *pf_error)
{
	int err;

	*pf_error = 0;
	if ((w->p.cr0 & HV_CR0_PG) == 0) {
		out->v = w->va & 0xffffffffu;
		return 0;
	}
	if ((w->p.efer & HV_EFER_LMA) == 0)
		w->va &= 0xffffffffu;
	if ((w->p.cr4 & HV_CR4_PAE) != 0)
		err = walk_64(v, w, out, pf_error);
	else
		err = walk_32(v, w, out, pf_error);
	return err != 0 ? err : walk_rights(v, w, pf_error);
}

int vcpu_gva_to_gpa(struct vcpu *v, gva_t gva, uint32_t access, bool user, gpa_t *out,
		    uint32_t *pf_error)
{
	struct walk w = { .va = gva.v, .access = access, .user = user, .writable = true,
			  .user_page = true };

	hv_backend->paging_get(v, &w.p);
	return translate(v, &w, out, pf_error);
}

/* Only from where the thread may wait for memory. */
static int write_present(struct vcpu *v, gpa_t gpa, const void *src, size_t n)
{
	int err;

	do {
		err = gmem_write(&v->vm->mem, gpa, src, n);
	} while (unlikely(err == -RAY_EAGAIN) && (err = vcpu_populate(v, gpa, n)) == 0);
	return err;
}

static int gva_copy(struct vcpu *v, gva_t gva, void *buf, size_t len, uint32_t access,
		    uint32_t *pf_error)
{
	struct walk w = { .access = access };
	char *p = buf;

	hv_backend->paging_get(v, &w.p);
	/* Real mode has no privilege levels; its CPL is 0. */
	w.user = w.p.cpl == 3;

	while (len > 0) {
		size_t n = MIN(len, PAGE_SIZE - (gva.v & (PAGE_SIZE - 1)));
		gpa_t gpa;

		w.va = gva.v;
		w.writable = w.user_page = true;
		w.nx = false;
		int err = translate(v, &w, &gpa, pf_error);

		if (err != 0)
			return err;
		if ((access & HV_ACCESS_WRITE) != 0)
			err = write_present(v, gpa, p, n);
		else
			err = gmem_read(&v->vm->mem, gpa, p, n);
		if (err != 0)
			return -RAY_EIO;
		p += n;
		gva.v += n;
		len -= n;
	}
	return 0;
}

int vcpu_gva_read(struct vcpu *v, gva_t gva, void *dst, size_t len, uint32_t *pf_error)
{
	return gva_copy(v, gva, dst, len, HV_ACCESS_READ, pf_error);
}

int vcpu_gva_write(struct vcpu *v, gva_t gva, const void *src, size_t len, uint32_t *pf_error)
{
	return gva_copy(v, gva, (void *)(uintptr_t)src, len, HV_ACCESS_WRITE, pf_error);
}

int vcpu_fetch(struct vcpu *v, gva_t gva, void *dst, size_t len, uint32_t *pf_error)
{
	return gva_copy(v, gva, dst, len, HV_ACCESS_EXEC, pf_error);
}

static bool walk_holds(const struct code_walk *w)
{
	for (unsigned int i = 0; i < CODE_WALK_LEVELS; i++)
		if (*w->at[i] != w->entry[i])
			return false;
	return true;
}

/* Note what is read on the way; a walk that ends early repeats its last step. */
static const uint8_t *code_walk(struct vcpu *v, uint64_t cr3, uint64_t linear, struct code_walk *w)
{
	const struct gmem *m = &v->vm->mem;
	uint64_t table = cr3 & PTE_ADDR, entry = 0, mask = 0;
	bool end = false;

	w->page = 0;
	for (unsigned int i = 0; i < CODE_WALK_LEVELS; i++) {
		unsigned int shift = PAGE_SHIFT + 9 * (CODE_WALK_LEVELS - 1 - i);

		if (end) {
			w->at[i] = w->at[i - 1];
		} else {
			w->at[i] = gmem_page_ptr(m, GPA(table + (linear >> shift & 511) * 8));
			if (w->at[i] == NULL)
				return NULL;
			entry = *w->at[i];
			if ((entry & PTE_P) == 0)
				return NULL;
			end = (entry & PTE_PS) != 0;
			mask = (1ull << shift) - 1;
			table = entry & PTE_ADDR;
		}
		w->entry[i] = entry;
	}
	w->code = gmem_page_ptr(m, GPA((table & ~mask) | (linear & mask & ~(PAGE_SIZE - 1))));
	if (w->code == NULL)
		return NULL;
	w->cr3 = cr3;
	w->page = linear >> PAGE_SHIFT << 1 | 1;
	return w->code + (linear & (PAGE_SIZE - 1));
}

const uint8_t *vcpu_code_ptr(struct vcpu *v, uint64_t cr3, uint64_t linear)
{
	struct code_walk *w = &v->code_walks[(linear >> PAGE_SHIFT) % CODE_WALKS];

	if (likely(w->page == (linear >> PAGE_SHIFT << 1 | 1) && w->cr3 == cr3 && walk_holds(w)))
		return w->code + (linear & (PAGE_SIZE - 1));
	return code_walk(v, cr3, linear, w);
}
