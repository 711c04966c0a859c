/* SPDX-License-Identifier: Apache-2.0 */
#include "hv/decode.h"

#include <Zydis/Decoder.h>

#include "hv/regs.h"
#include "kernel/lib/err.h"

static uint8_t map_of(const ZydisDecodedInstruction *z)
{
	if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return INSN_MAP_OTHER;
	switch (z->opcode_map) {
	case ZYDIS_OPCODE_MAP_DEFAULT:
		return INSN_MAP_1;
	case ZYDIS_OPCODE_MAP_0F:
		return INSN_MAP_0F;
	case ZYDIS_OPCODE_MAP_0F38:
		return INSN_MAP_0F38;
	case ZYDIS_OPCODE_MAP_0F3A:
		return INSN_MAP_0F3A;
	default:
		return INSN_MAP_OTHER;
	}
}

struct prefixes {
	bool op16, addr;
	uint8_t rex;
};

/* SDM vol. 2, 2.1.1 and 2.2.1. */
static void prefixes_read(const ZydisDecodedInstruction *z, enum insn_mode mode, struct insn *out,
			  struct prefixes *p)
{
	for (unsigned int i = 0; i < z->raw.prefix_count; i++) {
		uint8_t b = z->raw.prefixes[i].value;

		switch (b) {
		case 0x66:
			p->op16 = true;
			break;
		case 0x67:
			p->addr = true;
			break;
		case 0xf0:
			out->lock = true;
			break;
		case 0xf2:
			out->repne = true;
			break;
		case 0xf3:
			out->rep = true;
			break;
		case 0x26:
			out->seg = HV_SEG_ES;
			break;
		case 0x2e:
			out->seg = HV_SEG_CS;
			break;
		case 0x36:
			out->seg = HV_SEG_SS;
			break;
		case 0x3e:
			out->seg = HV_SEG_DS;
			break;
		case 0x64:
			out->seg = HV_SEG_FS;
			break;
		case 0x65:
			out->seg = HV_SEG_GS;
			break;
		default:
			if (mode == INSN_MODE_64 && (b & 0xf0) == 0x40)
				p->rex = b;
			break;
		}
	}
}

static void sizes_set(enum insn_mode mode, const struct prefixes *p, struct insn *out)
{
	bool is16 = mode == INSN_MODE_16;

	if ((p->rex & 8) != 0)
		out->opsize = 8;
	else
		out->opsize = is16 != p->op16 ? 2 : 4;
	if (mode == INSN_MODE_64)
		out->addrsize = p->addr ? 4 : 8;
	else
		out->addrsize = is16 != p->addr ? 2 : 4;
}

static void modrm_set(const ZydisDecodedInstruction *z, const struct prefixes *p, struct insn *out)
{
	out->mod = z->raw.modrm.mod;
	out->reg = (uint8_t)(z->raw.modrm.reg | ((p->rex & 4) << 1));
	out->rm = z->raw.modrm.rm;
	out->has_sib = out->addrsize != 2 && out->mod != 3 && out->rm == 4;
	if (out->has_sib) {
		out->scale = z->raw.sib.scale;
		out->index = (uint8_t)(z->raw.sib.index | ((p->rex & 2) << 2));
		out->base = z->raw.sib.base;
	}
	/* REX.B extends base or rm; the escapes "rm == 4" and "base == 5" look at three bits. */
	if ((p->rex & 1) != 0) {
		if (out->has_sib)
			out->base |= 8;
		else
			out->rm |= 8;
	}
}

int insn_decode(const uint8_t *bytes, size_t n, enum insn_mode mode, struct insn *out)
{
	static const struct {
		ZydisMachineMode machine;
		ZydisStackWidth stack;
	} modes[] = {
		[INSN_MODE_16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
		[INSN_MODE_32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		[INSN_MODE_64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
	};
	ZydisDecoder decoder;
	ZydisDecodedInstruction z;
	struct prefixes p = { 0 };

	*out = (struct insn){ .seg = INSN_SEG_DEFAULT };
	if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, modes[mode].machine, modes[mode].stack)))
		return -RAY_EINVAL;
	ZyanStatus status = ZydisDecoderDecodeInstruction(&decoder, ZYAN_NULL, bytes, n, &z);
	if (status == ZYDIS_STATUS_NO_MORE_DATA)
		return -RAY_EAGAIN;
	if (!ZYAN_SUCCESS(status))
		return -RAY_EINVAL;

	out->len = z.length;
	out->map = map_of(&z);
	out->opcode = z.opcode;
	prefixes_read(&z, mode, out, &p);
	out->has_rex = p.rex != 0;
	sizes_set(mode, &p, out);
	out->has_modrm = (z.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0;
	if (out->has_modrm)
		modrm_set(&z, &p, out);
	out->disp_size = z.raw.disp.size / 8;
	out->disp = z.raw.disp.value;
	out->imm = z.raw.imm[0].is_signed ? (uint64_t)z.raw.imm[0].value.s : z.raw.imm[0].value.u;
	return 0;
}

/* SDM vol. 2. VMCALL is 0F 01 C1, VMMCALL 0F 01 D9; what lies between them has their length. */
const struct insn_plain insn_plain[HV_EXIT_KIND_COUNT] = {
	[HV_EXIT_CPUID] = { 0xffff, 0xa20f, 2 },
	[HV_EXIT_MSR_READ] = { 0xffff, 0x320f, 2 },
	[HV_EXIT_MSR_WRITE] = { 0xffff, 0x300f, 2 },
	[HV_EXIT_HLT] = { 0xff, 0xf4, 1 },
	[HV_EXIT_HYPERCALL] = { 0xe7ffff, 0xc1010f, 3 },
	[HV_EXIT_CACHE] = { 0xfeff, 0x080f, 2 },
	[HV_EXIT_XSETBV] = { 0xffffff, 0xd1010f, 3 },
};
