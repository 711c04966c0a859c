/* UNIT: hv/emulate.c hv/mov.c hv/exit_io.c hv/insn.c hv/decode.c hv/gwalk.c hv/event.c hv/access.c
 * hv/gbus.c hv/gmem.c hv/gmem_back.c hv/vcpu_mem.c hv/stage2.c tests/host/fake_backend.c
 */
/* PARSER: hv/emulate.c hv/insn.c hv/decode.c hv/gwalk.c hv/access.c */
// SPDX-License-Identifier: Apache-2.0
/*
 * A guest that aims any instruction, in any mode, with any registers and page tables, at a
 * device: decoding, the walk of its tables, emulation. Nothing outside guest memory and the
 * vCPU's registers may change, an instruction is done, refused or faults, and it moves RIP by
 * its own length. The input: mode and exit (2 bytes), CR0..CR4 bits, GPRs, then the code.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "hv/emulate.h"
#include "hv/exit_priv.h"
#include "hv/insn.h"
#include "tests/host/fake_hv.h"
#include "tests/host/fake_log.h"
#include "tests/host/fake_panic.h"

#define DEVICE 0xd0000000ull
#define CODE   0x1ff8ull /* crosses a page */
#define PML4   0x10000ull
#define HEADER (2 + 4 + GPR_COUNT * 8)

const struct hv_backend *hv_backend;
struct hv_caps hv_caps;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct vm *vm;
static struct vcpu *v;

uint64_t vlapic_base(const struct vcpu *vcpu)
{
	(void)vcpu;
	return 0xfee00900;
}

bool vlapic_mmio(struct vcpu *vcpu, uint32_t off, bool write, uint32_t *value, bool fast)
{
	(void)vcpu;
	if (off >= 0x1000)
		abort();
	if (!write)
		*value = off;
	return !fast || (off & 0x10) != 0;
}

void vcpu_request(struct vcpu *vcpu, uint64_t bits)
{
	vcpu->requests |= bits;
}

enum hv_disposition exit_unexpected(struct vcpu *vcpu, struct hv_exit *e)
{
	(void)vcpu;
	(void)e;
	return HV_STOP;
}

void vm_end(struct vm *m, enum vm_end how, const char *fmt, ...)
{
	(void)m;
	(void)how;
	(void)fmt;
}

static bool device(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)vcpu;
	if (a->size == 0 || a->size > 8 || a->offset >= r->len)
		abort();
	if (!a->write)
		a->data = 0x8877665544332211ull;
	return !fast || (a->offset & 8) != 0;
}

static struct gbus_range mmio = { .base = DEVICE, .len = 0x1000, .fn = device,
				  .flags = GBUS_F_FAST };
static struct gbus_range port = { .base = 0x1f0, .len = 8, .fn = device };

static void poke64(uint64_t gpa, uint64_t value)
{
	if (gmem_write(&vm->mem, GPA(gpa), &value, sizeof(value)) != 0)
		abort();
}

/* The first 2 MiB mapped to themselves, with rights that differ from page to page. */
static void tables(void)
{
	poke64(PML4, (PML4 + 0x1000) | 7);
	poke64(PML4 + 0x1000, (PML4 + 0x2000) | 7);
	poke64(PML4 + 0x2000, (PML4 + 0x3000) | 7);
	poke64(PML4 + 0x2008, DEVICE | 0x87);
	for (uint64_t i = 0; i < 512; i++)
		poke64(PML4 + 0x3000 + 8 * i, (i << 12) | (i < 0x100 ? 7 : i & 7) |
						      (i > 0x180 ? BIT(63) : 0));
}

static void prepare(const uint8_t *data)
{
	bool long64 = (data[0] & 3) == 2, paging = (data[0] & 4) || long64;
	struct hv_segment cs = { .limit = 0xffffffff,
				 .attr = long64 ? 0xa9b : data[0] & 1 ? 0xc9b : 0x9b };
	struct hv_segment ss = { .limit = 0xffffffff, .attr = (uint32_t)(0xc93 | (data[1] & 3) << 5) };

	memset(&v->inject, 0, sizeof(v->inject));
	fake_backend.vcpu_reset(v);
	memcpy(v->gpr, data + 6, sizeof(v->gpr));
	v->rip = CODE;
	v->rflags = (uint64_t)(data[5] << 8) | 2;
	if (data[5] & 0x80)
		v->rflags |= BIT(18);
	hv_backend->reg_set(v, HV_REG_CR3, PML4 | (data[2] & 8 ? 0x1000u * data[3] : 0));
	hv_backend->reg_set(v, HV_REG_CR4, (uint64_t)(data[2] & 1 ? HV_CR4_PAE : 0) |
						   (data[2] & 2 ? HV_CR4_SMAP : 0) |
						   (data[2] & 4 ? HV_CR4_SMEP : 0) |
						   (data[2] & 16 ? HV_CR4_PSE : 0) |
						   (long64 ? HV_CR4_PAE : 0));
	hv_backend->reg_set(v, HV_REG_EFER, long64 ? HV_EFER_LME | HV_EFER_LMA | HV_EFER_NXE : 0);
	hv_backend->reg_set(v, HV_REG_CR0, (data[0] & 3 || paging ? HV_CR0_PE : 0) |
						   (paging ? HV_CR0_PG : 0) |
						   (data[2] & 32 ? HV_CR0_WP : 0));
	hv_backend->seg_set(v, HV_SEG_CS, &cs);
	hv_backend->seg_set(v, HV_SEG_SS, &ss);
}

static void check(int err)
{
	uint64_t moved = v->rip - CODE;

	if (err != 0 && err != -RAY_ENOSYS)
		abort();
	if (err != 0 && moved != 0)
		abort();
	/* A repeated string instruction may stand still while it goes on. */
	if (moved > HV_INSN_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t code[HV_INSN_MAX + 1] = { 0 };
	struct hv_exit e = { .kind = HV_EXIT_STAGE2 };

	if (size < HEADER + 1)
		return 0;
	if (!vm) {
		vm = fake_hv_vm(MIB(4), 1);
		v = vm->vcpu[0];
		if (gbus_mmio_add(&vm->bus, &mmio) || gbus_port_add(&vm->bus, &port))
			abort();
	}
	tables();
	prepare(data);
	memcpy(code, data + HEADER, size - HEADER < sizeof(code) ? size - HEADER : sizeof(code));
	if (gmem_write(&vm->mem, GPA(CODE), code, sizeof(code)) != 0)
		abort();
	if (data[1] & 8) {
		e.kind = HV_EXIT_IO;
		e.u.io = (struct hv_exit_io){ .port = 0x1f0, .size = (uint8_t)(1u << (data[1] >> 4 & 3) % 3),
					      .in = data[1] & 0x40, .string = true,
					      .rep = data[1] & 0x80 };
		check(emulate_string_io(v, &e));
		return 0;
	}
	e.u.s2 = (struct hv_exit_stage2){ .gpa = GPA(DEVICE + (data[4] & 0xff8u) + (data[4] & 7u)),
					  .access = data[1] & 0x10 ? HV_ACCESS_WRITE : HV_ACCESS_READ };
	/* What the thread's way has taught, the exit handler's way knows. */
	if ((data[1] & 4) == 0 || exit_stage2_fast(v, &e) != HV_RESUME)
		check(emulate_mmio(v, &e, e.u.s2.gpa));
	else
		check(0);
	return 0;
}
