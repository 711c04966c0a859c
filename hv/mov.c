/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/mov.h"

#include <string.h>

static void reg_set(const struct insn *i, struct mov_form *f, unsigned int reg, unsigned int size)
{
	/* Without REX, byte registers 4..7 are AH, CH, DH, BH (SDM vol. 1, 3.4.1.1). */
	bool high = size == 1 && !i->has_rex && reg >= 4 && reg < 8;

	f->reg = (uint8_t)(high ? reg - 4 : reg);
	f->shift = high ? 8 : 0;
}

static bool store_form(const struct insn *i, struct mov_form *f, unsigned int reg, unsigned int size)
{
	f->store = true;
	f->size = (uint8_t)size;
	reg_set(i, f, reg, size);
	return true;
}

static bool load_form(const struct insn *i, struct mov_form *f, unsigned int reg, unsigned int size,
		      unsigned int reg_size)
{
	f->size = (uint8_t)size;
	f->reg_size = (uint8_t)reg_size;
	reg_set(i, f, reg, reg_size);
	return true;
}

static bool map1_form(const struct insn *i, struct mov_form *f)
{
	/* Bit 0 of these opcodes chooses byte or full operand. */
	unsigned int size = (i->opcode & 1) != 0 ? i->opsize : 1;

	switch (i->opcode) {
	case 0x88:
	case 0x89:
		return store_form(i, f, i->reg, size);
	case 0xa2:
	case 0xa3:
		return store_form(i, f, GPR_RAX, size);
	case 0xc6:
	case 0xc7:
		f->use_imm = true;
		f->imm = i->imm;
		return (i->reg & 7) == 0 && store_form(i, f, 0, size);
	case 0x8a:
	case 0x8b:
		return load_form(i, f, i->reg, size, size);
	case 0xa0:
	case 0xa1:
		return load_form(i, f, GPR_RAX, size, size);
	case 0x63: /* MOVSXD */
		f->sign = true;
		return i->opsize == 8 && load_form(i, f, i->reg, 4, 8);
	default:
		return false;
	}
}

bool mov_form_of(const struct insn *i, struct mov_form *f)
{
	*f = (struct mov_form){ .len = i->len };
	if (i->map == INSN_MAP_1)
		return map1_form(i, f);
	if (i->map != INSN_MAP_0F)
		return false;
	/* MOVZX is B6 and B7, MOVSX BE and BF. */
	f->sign = (i->opcode & 8) != 0;
	return (i->opcode & ~9u) == 0xb6 && load_form(i, f, i->reg, (i->opcode & 1) + 1u, i->opsize);
}

void mov_form_key(struct mov_form *f, const uint8_t *bytes)
{
	uint8_t mask[sizeof(f->mask)] = { 0 };

	memset(mask, 0xff, f->len);
	memcpy(f->mask, mask, sizeof(f->mask));
	memset(f->bytes, 0, sizeof(f->bytes));
	memcpy(f->bytes, bytes, f->len);
}

void mov_form_load(const struct mov_form *f, uint64_t gpr[GPR_COUNT], uint64_t value)
{
	uint64_t mask = mov_size_mask(f->reg_size) << f->shift;

	value &= mov_size_mask(f->size);
	if (f->sign && (value >> (8 * f->size - 1) & 1) != 0)
		value |= ~mov_size_mask(f->size);
	/* 32-bit results clear the upper half. */
	if (f->reg_size == 4)
		gpr[f->reg] = (uint32_t)value;
	else
		gpr[f->reg] = (gpr[f->reg] & ~mask) | (value << f->shift & mask);
}
