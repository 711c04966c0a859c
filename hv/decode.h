/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instruction decoding for exits the hardware does not describe: lengths, and the form of an
 * instruction that touched a device. Owns: the glue to Zydis (minimal mode). Pure: bytes in,
 * description out; knows neither registers nor memory.
 * Trust: the bytes are the guest's; every byte sequence is accepted or refused, none trusted.
 */
#ifndef RAYOS_HV_DECODE_H
#define RAYOS_HV_DECODE_H

#include "hv/exit.h"
#include "kernel/lib/types.h"

enum insn_mode { INSN_MODE_16, INSN_MODE_32, INSN_MODE_64 };

enum insn_map { INSN_MAP_1, INSN_MAP_0F, INSN_MAP_0F38, INSN_MAP_0F3A, INSN_MAP_OTHER };

/* Segment override, in enum hv_seg order; INSN_SEG_DEFAULT when there is none. */
#define INSN_SEG_DEFAULT 0xffu

struct insn {
	uint8_t len;       /* bytes, 1..15 */
	uint8_t map;       /* enum insn_map */
	uint8_t opcode;
	uint8_t opsize;    /* bytes: 2, 4, 8 (not counting byte opcodes) */
	uint8_t addrsize;  /* bytes: 2, 4, 8 */
	uint8_t seg;       /* enum hv_seg of an override or INSN_SEG_DEFAULT */
	bool rep, repne, lock;
	bool has_modrm, has_sib;
	bool has_rex;
	uint8_t mod, reg, rm;        /* reg and rm with their REX bits */
	uint8_t scale, index, base;  /* with REX bits; index 4 = none */
	uint8_t disp_size;           /* bytes; 0 = none */
	int64_t disp;
	uint64_t imm;                /* sign-extended where the encoding is signed */
};

/**
 * Decode one instruction.
 * @bytes, @n  what follows the instruction pointer, n <= 15
 * Context: any. Returns: 0, -RAY_EAGAIN (more bytes needed), -RAY_EINVAL (not an instruction).
 */
int __must_check insn_decode(const uint8_t *bytes, size_t n, enum insn_mode mode, struct insn *out);

/* The unprefixed form an exit is nearly always made of: (first four bytes & mask) == value. */
struct insn_plain {
	uint32_t mask, value;
	uint8_t len; /* bytes; 0: no such form */
};
extern const struct insn_plain insn_plain[HV_EXIT_KIND_COUNT];

/**
 * Length of the usual form, so that the usual case needs no decoder.
 * @word  the first four bytes, little-endian
 * Returns: bytes, or 0 when the bytes are something else.
 */
static inline unsigned int insn_len_plain(enum hv_exit_kind kind, uint32_t word)
{
	const struct insn_plain *p = &insn_plain[kind];

	return (word & p->mask) == p->value ? p->len : 0;
}

#endif
