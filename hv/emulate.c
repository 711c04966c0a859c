/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/emulate.h"

#include <string.h>

#include "hv/insn.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "kernel/lib/err.h"

/* One emulation: the instruction, and where its device operand is. */
struct emu {
	struct vcpu *v;
	struct hv_exit *e;
	struct insn insn;
	gpa_t gpa;
};

static uint64_t size_mask(unsigned int size)
{
	return size == 8 ? ~0ull : (1ull << (8 * size)) - 1;
}

/* --- registers (SDM vol. 1, 3.4.1.1) --- */

/* Without REX, byte registers 4..7 are AH, CH, DH, BH. */
static bool is_high_byte(const struct insn *i, unsigned int reg, unsigned int size)
{
	return size == 1 && !i->has_rex && reg >= 4 && reg < 8;
}

static uint64_t gpr_read(const struct emu *m, unsigned int reg, unsigned int size)
{
	if (is_high_byte(&m->insn, reg, size))
		return m->v->gpr[reg - 4] >> 8 & 0xff;
	return m->v->gpr[reg] & size_mask(size);
}

static void gpr_write(const struct emu *m, unsigned int reg, unsigned int size, uint64_t value)
{
	uint64_t *r = &m->v->gpr[reg];

	if (is_high_byte(&m->insn, reg, size)) {
		r = &m->v->gpr[reg - 4];
		*r = (*r & ~0xff00ull) | (value & 0xff) << 8;
	} else if (size == 4) {
		*r = value & 0xffffffffu; /* 32-bit results clear the upper half */
	} else {
		*r = (*r & ~size_mask(size)) | (value & size_mask(size));
	}
}

/* A register used as an address or count, moved on within its width. */
static void gpr_add(const struct emu *m, unsigned int reg, int64_t delta)
{
	gpr_write(m, reg, m->insn.addrsize, m->v->gpr[reg] + (uint64_t)delta);
}

/* --- the device side --- */

static int mmio(struct emu *m, gpa_t gpa, unsigned int size, bool write, uint64_t *value)
{
	int err = vcpu_mmio_access(m->v, gpa, size, write, value);

	if (err == -RAY_EFAULT) { /* nobody there: floating bus */
		m->v->io_unknown++;
		if (!write)
			*value = size_mask(size);
		return 0;
	}
	return err;
}

static int done(struct emu *m)
{
	int err = vcpu_advance(m->v, m->e);

	(void)err; /* the length is known from decoding */
	return 0;
}

static int mov(struct emu *m, const struct mov_form *f)
{
	uint64_t value = f->store ? mov_form_value(f, m->v->gpr) : 0;
	int err = mmio(m, m->gpa, f->size, f->store, &value);

	if (err != 0)
		return err;
	if (!f->store)
		mov_form_load(f, m->v->gpr, value);
	return done(m);
}

/* --- arithmetic forms: AND, OR, XOR, ADD, SUB, CMP, TEST --- */

enum alu_op { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

#define FLAG_CF BIT(0)
#define FLAG_PF BIT(2)
#define FLAG_AF BIT(4)
#define FLAG_ZF BIT(6)
#define FLAG_SF BIT(7)
#define FLAG_OF BIT(11)
#define FLAGS_ALU (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

static uint64_t alu(struct emu *m, enum alu_op op, unsigned int size, uint64_t a, uint64_t b)
{
	uint64_t mask = size_mask(size);
	uint64_t sign = 1ull << (8 * size - 1);
	uint64_t carry_in = (op == ALU_ADC || op == ALU_SBB) ? m->v->rflags & FLAG_CF : 0;
	uint64_t r;
	uint64_t f = 0;

	a &= mask;
	b &= mask;
	switch (op) {
	case ALU_ADD:
	case ALU_ADC:
		r = (a + b + carry_in) & mask;
		f |= (r < a || (carry_in != 0 && r == a)) ? FLAG_CF : 0;
		f |= ((a ^ r) & (b ^ r) & sign) != 0 ? FLAG_OF : 0;
		f |= ((a ^ b ^ r) & 0x10) != 0 ? FLAG_AF : 0;
		break;
	case ALU_SUB:
	case ALU_SBB:
	case ALU_CMP:
		r = (a - b - carry_in) & mask;
		f |= (a < b || (carry_in != 0 && a == b)) ? FLAG_CF : 0;
		f |= ((a ^ b) & (a ^ r) & sign) != 0 ? FLAG_OF : 0;
		f |= ((a ^ b ^ r) & 0x10) != 0 ? FLAG_AF : 0;
		break;
	case ALU_AND:
		r = a & b;
		break;
	case ALU_OR:
		r = a | b;
		break;
	default:
		r = a ^ b;
		break;
	}
	f |= r == 0 ? FLAG_ZF : 0;
	f |= (r & sign) != 0 ? FLAG_SF : 0;
	f |= __builtin_parity((unsigned int)(r & 0xff)) == 0 ? FLAG_PF : 0;
	m->v->rflags = (m->v->rflags & ~FLAGS_ALU) | f;
	return r;
}

/* memory op= value */
static int alu_to_mem(struct emu *m, enum alu_op op, unsigned int size, uint64_t value)
{
	uint64_t a = 0;
	uint64_t flags = m->v->rflags;

	int err = mmio(m, m->gpa, size, false, &a);
	if (err != 0)
		return err;
	uint64_t r = alu(m, op, size, a, value);
	if (op != ALU_CMP)
		err = mmio(m, m->gpa, size, true, &r);
	if (err != 0) {
		m->v->rflags = flags;
		return err;
	}
	return done(m);
}

static int alu_from_mem(struct emu *m, enum alu_op op, unsigned int size, unsigned int reg)
{
	uint64_t b = 0;
	int err = mmio(m, m->gpa, size, false, &b);

	if (err != 0)
		return err;
	uint64_t r = alu(m, op, size, gpr_read(m, reg, size), b);
	if (op != ALU_CMP)
		gpr_write(m, reg, size, r);
	return done(m);
}

/* TEST is AND without a result. */
static int test_mem(struct emu *m, unsigned int size, uint64_t value)
{
	uint64_t a = 0;
	int err = mmio(m, m->gpa, size, false, &a);

	if (err != 0)
		return err;
	(void)alu(m, ALU_AND, size, a, value);
	return done(m);
}

static int xchg(struct emu *m, unsigned int size)
{
	uint64_t old = 0;
	uint64_t new = gpr_read(m, m->insn.reg, size);

	int err = mmio(m, m->gpa, size, false, &old);
	if (err == 0)
		err = mmio(m, m->gpa, size, true, &new);
	if (err != 0)
		return err;
	gpr_write(m, m->insn.reg, size, old);
	return done(m);
}

/* --- string forms: one element per call, the guest comes back for the next --- */

static gva_t string_address(struct emu *m, unsigned int reg, uint8_t seg)
{
	uint64_t off = m->v->gpr[reg] & size_mask(m->insn.addrsize);
	struct hv_segment s;

	/* Only FS and GS have a base in 64-bit mode (SDM vol. 1, 3.4.4). */
	if (m->insn.addrsize == 8 && seg != HV_SEG_FS && seg != HV_SEG_GS)
		return GVA(off);
	hv_backend->seg_get(m->v, (enum hv_seg)seg, &s);
	return GVA(s.base + off);
}

static uint8_t source_segment(const struct emu *m)
{
	return m->insn.seg == INSN_SEG_DEFAULT ? (uint8_t)HV_SEG_DS : m->insn.seg;
}

static int64_t string_step(const struct emu *m, unsigned int size)
{
	return (m->v->rflags & HV_RFLAGS_DF) != 0 ? -(int64_t)size : (int64_t)size;
}

static bool rep_is_over(const struct emu *m)
{
	return (m->insn.rep || m->insn.repne) &&
	       (m->v->gpr[GPR_RCX] & size_mask(m->insn.addrsize)) == 0;
}

/* After one element: step over the instruction when there is no REP or it has ended. */
static int rep_next(struct emu *m)
{
	if (!m->insn.rep && !m->insn.repne)
		return done(m);
	gpr_add(m, GPR_RCX, -1);
	return rep_is_over(m) ? done(m) : 0;
}

static int fault_or_stop(struct emu *m, gva_t at, int err, uint32_t pf)
{
	if (err == -RAY_EFAULT)
		vcpu_inject_pf(m->v, at.v, pf);
	return err == -RAY_EFAULT ? 0 : -RAY_ENOSYS;
}

static int stos(struct emu *m, unsigned int size)
{
	uint64_t value = gpr_read(m, GPR_RAX, size);
	int err;

	if (rep_is_over(m))
		return done(m);
	err = mmio(m, m->gpa, size, true, &value);
	if (err != 0)
		return err;
	gpr_add(m, GPR_RDI, string_step(m, size));
	return rep_next(m);
}

static int lods(struct emu *m, unsigned int size)
{
	uint64_t value = 0;
	int err;

	if (rep_is_over(m))
		return done(m);
	err = mmio(m, m->gpa, size, false, &value);
	if (err != 0)
		return err;
	gpr_write(m, GPR_RAX, size, value);
	gpr_add(m, GPR_RSI, string_step(m, size));
	return rep_next(m);
}

static int movs(struct emu *m, unsigned int size)
{
	gva_t from = string_address(m, GPR_RSI, source_segment(m));
	gva_t to = string_address(m, GPR_RDI, HV_SEG_ES);
	uint64_t value = 0;
	uint32_t pf;
	int err;

	if (rep_is_over(m))
		return done(m);
	if ((m->e->u.s2.access & HV_ACCESS_WRITE) != 0) {
		err = vcpu_gva_read(m->v, from, &value, size, &pf);
		if (err != 0)
			return fault_or_stop(m, from, err, pf);
		err = mmio(m, m->gpa, size, true, &value);
	} else {
		err = mmio(m, m->gpa, size, false, &value);
		if (err == 0) {
			err = vcpu_gva_write(m->v, to, &value, size, &pf);
			if (err != 0)
				return fault_or_stop(m, to, err, pf);
		}
	}
	if (err != 0)
		return err;
	gpr_add(m, GPR_RSI, string_step(m, size));
	gpr_add(m, GPR_RDI, string_step(m, size));
	return rep_next(m);
}

/* --- dispatch on the opcode (SDM vol. 2, appendix A) --- */

static int emulate_map1(struct emu *m)
{
	const struct insn *i = &m->insn;
	/* Bit 0 of most opcodes chooses byte or full operand. */
	unsigned int size = (i->opcode & 1) != 0 ? i->opsize : 1;

	if (i->opcode < 0x40 && (i->opcode & 7) < 4) {
		enum alu_op op = (enum alu_op)(i->opcode >> 3);

		if ((i->opcode & 2) != 0)
			return alu_from_mem(m, op, size, i->reg);
		return alu_to_mem(m, op, size, gpr_read(m, i->reg, size));
	}
	switch (i->opcode) {
	case 0x80:
	case 0x81:
	case 0x83:
		return alu_to_mem(m, (enum alu_op)(i->reg & 7), size, i->imm);
	case 0x84:
	case 0x85:
		return test_mem(m, size, gpr_read(m, i->reg, size));
	case 0x86:
	case 0x87:
		return xchg(m, size);
	case 0xa4:
	case 0xa5:
		return movs(m, size);
	case 0xaa:
	case 0xab:
		return stos(m, size);
	case 0xac:
	case 0xad:
		return lods(m, size);
	case 0xf6:
	case 0xf7:
		return (i->reg & 7) <= 1 ? test_mem(m, size, i->imm) : -RAY_ENOSYS;
	default:
		return -RAY_ENOSYS;
	}
}

/* A #PF of the fetch is queued: that is the outcome. Code outside RAM has none. */
static int fetch_failed(int err)
{
	return err == -RAY_EFAULT ? 0 : -RAY_ENOSYS;
}

int emulate_mmio(struct vcpu *v, struct hv_exit *e, gpa_t gpa)
{
	struct emu m = { .v = v, .e = e, .gpa = gpa };
	struct insn_bytes in;
	struct mov_form f;

	int err = vcpu_insn_fetch(v, e, &in);
	if (err != 0)
		return fetch_failed(err);
	if (vcpu_insn_decode(v, &in, &m.insn) != 0)
		return -RAY_ENOSYS;
	e->insn_len = m.insn.len;
	if (mov_form_of(&m.insn, &f)) {
		mov_form_key(&f, in.b);
		if (in.mode == INSN_MODE_64)
			v->mov_forms[emulate_mov_slot(v->rip)] = f;
		return mov(&m, &f);
	}
	return m.insn.map == INSN_MAP_1 ? emulate_map1(&m) : -RAY_ENOSYS;
}

int emulate_string_io(struct vcpu *v, struct hv_exit *e)
{
	struct emu m = { .v = v, .e = e };
	struct insn_bytes in;
	uint64_t value = 0;
	uint32_t pf;

	int err = vcpu_insn_fetch(v, e, &in);
	if (err != 0)
		return fetch_failed(err);
	if (vcpu_insn_decode(v, &in, &m.insn) != 0 || m.insn.map != INSN_MAP_1 ||
	    m.insn.opcode < 0x6c || m.insn.opcode > 0x6f)
		return -RAY_ENOSYS;
	e->insn_len = m.insn.len;
	if (rep_is_over(&m))
		return done(&m);
	bool in_port = m.insn.opcode < 0x6e;
	unsigned int size = (m.insn.opcode & 1) == 0 ? 1 : MIN(m.insn.opsize, 4);
	uint16_t port = (uint16_t)v->gpr[GPR_RDX];
	unsigned int reg = in_port ? GPR_RDI : GPR_RSI;
	gva_t at = string_address(&m, reg, in_port ? (uint8_t)HV_SEG_ES : source_segment(&m));

	if (in_port) {
		vcpu_port_access(v, port, size, false, &value);
		err = vcpu_gva_write(v, at, &value, size, &pf);
	} else {
		err = vcpu_gva_read(v, at, &value, size, &pf);
		if (err == 0)
			vcpu_port_access(v, port, size, true, &value);
	}
	if (err != 0)
		return fault_or_stop(&m, at, err, pf);
	gpr_add(&m, reg, string_step(&m, size));
	return rep_next(&m);
}
