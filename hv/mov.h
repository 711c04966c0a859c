/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The moves between a register and memory that nearly every device access is made of, decoded
 * once into what is left to do. Pure. A form is known again by the bytes of its instruction
 * in 64-bit code, never by where it stands.
 */
#ifndef RAYOS_HV_MOV_H
#define RAYOS_HV_MOV_H

#include "hv/decode.h"
#include "hv/regs.h"
#include "kernel/lib/types.h"

#define MOV_FORMS 8u

struct mov_form {
	uint64_t bytes[2]; /* of the instruction, zeros behind it */
	uint64_t mask[2];  /* ones over the instruction */
	uint64_t imm;      /* what is stored when use_imm */
	uint8_t len;       /* bytes of the instruction; 0: no form */
	uint8_t size;      /* bytes in memory */
	uint8_t reg;       /* enum hv_gpr */
	uint8_t shift;     /* 8: AH, CH, DH, BH */
	uint8_t reg_size;  /* loads: bytes of the register that change */
	bool store, use_imm, sign;
};

/** Whether @i is such a move, and its form but for bytes and mask. */
bool mov_form_of(const struct insn *i, struct mov_form *f);

/** Make @f known by @bytes, of which there are at least f->len. */
void mov_form_key(struct mov_form *f, const uint8_t *bytes);

/** Whether the sixteen bytes at @code begin with the form's instruction. They may be changing:
 *  each is read once. */
static inline bool mov_form_matches(const struct mov_form *f, const uint8_t *code)
{
	uint64_t lo, hi;

	__builtin_memcpy(&lo, code, sizeof(lo));
	__builtin_memcpy(&hi, code + sizeof(lo), sizeof(hi));
	return f->len != 0 &&
	       (((lo ^ f->bytes[0]) & f->mask[0]) | ((hi ^ f->bytes[1]) & f->mask[1])) == 0;
}

static inline uint64_t mov_size_mask(unsigned int size)
{
	return ~0ull >> (64 - 8 * size);
}

/** What a store writes. */
static inline uint64_t mov_form_value(const struct mov_form *f, const uint64_t gpr[GPR_COUNT])
{
	uint64_t value = f->use_imm ? f->imm : gpr[f->reg] >> f->shift;

	return value & mov_size_mask(f->size);
}

/** Put what a load has read into its register. */
void mov_form_load(const struct mov_form *f, uint64_t gpr[GPR_COUNT], uint64_t value);

#endif
