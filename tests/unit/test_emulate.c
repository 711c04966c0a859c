/* UNIT: hv/emulate.c hv/mov.c hv/exit_io.c hv/insn.c hv/decode.c hv/gwalk.c hv/event.c hv/access.c
 * hv/gbus.c hv/gmem.c hv/gmem_back.c hv/vcpu_mem.c hv/stage2.c tests/host/fake_backend.c
 */
// SPDX-License-Identifier: Apache-2.0
/* Instructions that touch devices, run against a recording device; the guest's page tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "hv/emulate.h"
#include "hv/exit_priv.h"
#include "hv/insn.h"
#include "tests/host/fake_hv.h"
#include "tests/host/fake_log.h"
#include "tests/host/fake_panic.h"

const struct hv_backend *hv_backend;
struct hv_caps hv_caps;

#define DEVICE 0xd0000000ull
#define CODE   0x1000ull
#define PML4   0x10000ull

static struct vm *vm;
static struct vcpu *v;
static uint64_t reg_value;
static unsigned int reads, writes, last_size;
static uint32_t last_offset;
static bool refuse_fast;
static enum vm_end ended;

/* --- what hv/ core expects of its neighbours --- */

uint64_t vlapic_base(const struct vcpu *vcpu)
{
	(void)vcpu;
	return 0xfee00900;
}

static uint32_t lapic_written;

bool vlapic_mmio(struct vcpu *vcpu, uint32_t off, bool write, uint32_t *value, bool fast)
{
	(void)vcpu;
	(void)fast;
	if (write)
		lapic_written = *value;
	else
		*value = 0x50014 + off;
	return true;
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
	(void)fmt;
	ended = how;
}

static bool device(struct gbus_range *r, struct vcpu *vcpu, struct gbus_access *a, bool fast)
{
	(void)r;
	(void)vcpu;
	if (fast && refuse_fast)
		return false;
	last_size = a->size;
	last_offset = a->offset;
	if (a->write) {
		writes++;
		reg_value = a->data;
	} else {
		reads++;
		a->data = reg_value;
	}
	return true;
}

static struct gbus_range mmio = { .base = DEVICE, .len = 0x1000, .fn = device, .flags = GBUS_F_FAST };
static struct gbus_range port = { .base = 0x1f0, .len = 8, .fn = device };

/* --- a 64-bit guest: identity map of the first 2 MiB and a page that faults --- */

static void poke64(uint64_t gpa, uint64_t value)
{
	assert_int_equal(gmem_write(&vm->mem, GPA(gpa), &value, sizeof(value)), 0);
}

static void long_mode(void)
{
	struct hv_segment cs = { .limit = 0xffffffff, .attr = 0xa9b };
	struct hv_segment ss = { .limit = 0xffffffff, .attr = 0xc93 };

	poke64(PML4, (PML4 + 0x1000) | 7);
	poke64(PML4 + 0x1000, (PML4 + 0x2000) | 7);
	poke64(PML4 + 0x2000, (PML4 + 0x3000) | 7);
	for (uint64_t i = 0; i < 512; i++)
		poke64(PML4 + 0x3000 + 8 * i, (i << 12) | 7);
	hv_backend->reg_set(v, HV_REG_CR3, PML4);
	hv_backend->reg_set(v, HV_REG_CR4, HV_CR4_PAE);
	hv_backend->reg_set(v, HV_REG_EFER, HV_EFER_LME | HV_EFER_LMA | HV_EFER_NXE);
	hv_backend->reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_PG | HV_CR0_WP);
	hv_backend->seg_set(v, HV_SEG_CS, &cs);
	hv_backend->seg_set(v, HV_SEG_SS, &ss);
}

static int setup(void **state)
{
	(void)state;
	fake_script(NULL, 0);
	vm = fake_hv_vm(MIB(4), 1);
	v = vm->vcpu[0];
	assert_int_equal(gbus_mmio_add(&vm->bus, &mmio), 0);
	assert_int_equal(gbus_port_add(&vm->bus, &port), 0);
	long_mode();
	reads = writes = 0;
	reg_value = 0;
	refuse_fast = false;
	ended = VM_END_NONE;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_hv_vm_free(vm);
	return 0;
}

static int run(const char *code, size_t n, uint32_t access)
{
	struct hv_exit e = { .kind = HV_EXIT_STAGE2, .u.s2 = { .gpa = GPA(DEVICE + 8), .access = access } };

	assert_int_equal(gmem_write(&vm->mem, GPA(CODE), code, n), 0);
	v->rip = CODE;
	return emulate_mmio(v, &e, e.u.s2.gpa);
}
#define RUN(code, access) run(code, sizeof(code) - 1, access)
#define LOAD  HV_ACCESS_READ
#define STORE HV_ACCESS_WRITE

static void moves(void **state)
{
	(void)state;
	v->gpr[GPR_RAX] = 0x1122334455667788;
	assert_int_equal(RUN("\x89\x03", STORE), 0); /* mov %eax, (%rbx) */
	assert_int_equal(reg_value, 0x55667788);
	assert_int_equal(last_size, 4);
	assert_int_equal(last_offset, 8);
	assert_int_equal(v->rip, CODE + 2);
	assert_int_equal(RUN("\x88\x23", STORE), 0); /* mov %ah, (%rbx) */
	assert_int_equal(reg_value, 0x77);
	assert_int_equal(RUN("\xc7\x03\x04\x03\x02\x01", STORE), 0);
	assert_int_equal(reg_value, 0x01020304);
	reg_value = 0x80;
	assert_int_equal(RUN("\x8a\x23", LOAD), 0); /* mov (%rbx), %ah */
	assert_int_equal(v->gpr[GPR_RAX], 0x1122334455668088);
	assert_int_equal(RUN("\x0f\xb6\x03", LOAD), 0); /* movzbl */
	assert_int_equal(v->gpr[GPR_RAX], 0x80);
	assert_int_equal(RUN("\x48\x0f\xbe\x03", LOAD), 0); /* movsbq */
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffffffffff80);
	reg_value = 0x80000001;
	assert_int_equal(RUN("\x48\x63\x03", LOAD), 0); /* movslq */
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffff80000001);
	assert_int_equal(RUN("\x66\x8b\x03", LOAD), 0); /* 16 bits leave the rest */
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffff80000001);
	assert_int_equal(last_size, 2);
}

#define CF 1u
#define ZF 0x40u
#define SF 0x80u

static void arithmetic(void **state)
{
	(void)state;
	reg_value = 0xf0;
	v->gpr[GPR_RAX] = 0x0f;
	v->rflags = 2 | CF;
	assert_int_equal(RUN("\x09\x03", STORE), 0); /* or %eax, (%rbx) */
	assert_int_equal(reg_value, 0xff);
	assert_int_equal(v->rflags & (CF | ZF | SF), 0);
	assert_int_equal(RUN("\x83\x23\x01", STORE), 0); /* andl $1 */
	assert_int_equal(reg_value, 1);
	writes = 0;
	assert_int_equal(RUN("\x83\x3b\x02", LOAD), 0); /* cmpl $2 */
	assert_int_equal(v->rflags & (CF | ZF), CF);
	assert_int_equal(RUN("\xf7\x03\x01\x00\x00\x00", LOAD), 0); /* testl $1 */
	assert_int_equal(v->rflags & ZF, 0);
	assert_int_equal(writes, 0);
	v->gpr[GPR_RAX] = 5;
	assert_int_equal(RUN("\x2b\x03", LOAD), 0); /* sub (%rbx), %eax */
	assert_int_equal(v->gpr[GPR_RAX], 4);
	v->rflags |= CF;
	assert_int_equal(RUN("\x13\x03", LOAD), 0); /* adc */
	assert_int_equal(v->gpr[GPR_RAX], 6);
	assert_int_equal(RUN("\x87\x03", STORE), 0); /* xchg */
	assert_int_equal(reg_value, 6);
	assert_int_equal(v->gpr[GPR_RAX], 1);
}

static void strings(void **state)
{
	uint32_t word = 0;

	(void)state;
	v->gpr[GPR_RAX] = 0xaabbccdd;
	v->gpr[GPR_RDI] = DEVICE + 8;
	v->gpr[GPR_RCX] = 2;
	v->rflags = 2;
	assert_int_equal(RUN("\xf3\xab", STORE), 0); /* rep stosl, one element at a time */
	assert_int_equal(v->rip, CODE);
	assert_int_equal(v->gpr[GPR_RCX], 1);
	assert_int_equal(v->gpr[GPR_RDI], DEVICE + 12);
	assert_int_equal(RUN("\xf3\xab", STORE), 0);
	assert_int_equal(v->rip, CODE + 2);
	assert_int_equal(reg_value, 0xaabbccdd);
	/* movsl from the device to RAM, downwards */
	v->gpr[GPR_RSI] = DEVICE + 8;
	v->gpr[GPR_RDI] = 0x3000;
	v->rflags = 2 | HV_RFLAGS_DF;
	assert_int_equal(RUN("\xa5", LOAD), 0);
	assert_int_equal(gmem_read(&vm->mem, GPA(0x3000), &word, 4), 0);
	assert_int_equal(word, 0xaabbccdd);
	assert_int_equal(v->gpr[GPR_RDI], 0x2ffc);
	/* movsl into the device from a page that is not there: #PF, nothing written */
	writes = 0;
	v->gpr[GPR_RSI] = MIB(3);
	assert_int_equal(RUN("\xa5", STORE), 0);
	assert_int_equal(writes, 0);
	assert_true(v->inject.valid);
	assert_int_equal(v->inject.vector, HV_VEC_PF);
	assert_int_equal(hv_backend->reg_get(v, HV_REG_CR2), MIB(3));
	v->inject.valid = false;
}

/* The exit handler's way; true: done without the thread. */
static bool run_fast(uint64_t gpa, uint32_t access)
{
	struct hv_exit e = { .kind = HV_EXIT_STAGE2, .u.s2 = { .gpa = GPA(gpa), .access = access } };

	v->rip = CODE;
	return exit_stage2_fast(v, &e) == HV_RESUME;
}

static void a_move_met_before_needs_no_decoder(void **state)
{
	(void)state;
	v->gpr[GPR_RAX] = 0x1122334455667788;
	assert_false(run_fast(DEVICE + 8, STORE)); /* zeros are no move */
	assert_int_equal(RUN("\x89\x03", STORE), 0);
	assert_true(run_fast(DEVICE + 0x10, STORE));
	assert_int_equal(v->rip, CODE + 2);
	assert_int_equal(last_offset, 0x10);
	assert_int_equal(reg_value, 0x55667788);
	/* Neither the next page nor what lies across the window's end. */
	assert_false(run_fast(DEVICE + 0x1000, STORE));
	assert_false(run_fast(DEVICE + 0xffd, STORE));
	assert_true(run_fast(DEVICE + 0xffc, STORE));
	/* A load did not execute these bytes. */
	assert_false(run_fast(DEVICE + 8, LOAD));
	/* Other bytes in the same place, sign extension, high byte. */
	assert_int_equal(gmem_write(&vm->mem, GPA(CODE), "\x0f\xbe\x03", 3), 0);
	assert_false(run_fast(DEVICE + 8, LOAD));
	reg_value = 0x80;
	assert_int_equal(RUN("\x0f\xbe\x03", LOAD), 0);
	v->gpr[GPR_RAX] = ~0ull;
	assert_true(run_fast(DEVICE + 8, LOAD));
	assert_int_equal(v->gpr[GPR_RAX], 0xffffff80);
	assert_int_equal(v->rip, CODE + 3);
	assert_int_equal(RUN("\x8a\x23", LOAD), 0); /* mov (%rbx), %ah */
	v->gpr[GPR_RAX] = ~0ull;
	assert_true(run_fast(DEVICE + 8, LOAD));
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffffffff80ff);
}

static void a_hit_ends_with_the_range(void **state)
{
	(void)state;
	assert_int_equal(RUN("\x89\x03", STORE), 0);
	assert_true(run_fast(DEVICE + 8, STORE));
	gbus_mmio_del(&vm->bus, &mmio);
	writes = 0;
	assert_false(run_fast(DEVICE + 8, STORE));
	assert_int_equal(writes, 0);
	assert_int_equal(gbus_mmio_add(&vm->bus, &mmio), 0);
}

static void code_is_found_anew_when_tables_change(void **state)
{
	(void)state;
	assert_int_equal(RUN("\x89\x03", STORE), 0);
	assert_true(run_fast(DEVICE + 8, STORE));
	/* The same linear page now shows other bytes. */
	assert_int_equal(gmem_write(&vm->mem, GPA(0x7000), "\x90\x90", 2), 0);
	poke64(PML4 + 0x3000 + 8 * (CODE >> 12), 0x7000 | 7);
	assert_false(run_fast(DEVICE + 8, STORE));
	poke64(PML4 + 0x3000 + 8 * (CODE >> 12), CODE | 7);
	assert_true(run_fast(DEVICE + 8, STORE));
	/* The same through another root. */
	poke64(PML4 + 0x8000, (PML4 + 0x9000) | 7);
	poke64(PML4 + 0x9000, (PML4 + 0xa000) | 7);
	poke64(PML4 + 0xa000, 0x200000 | 0x87);
	hv_backend->reg_set(v, HV_REG_CR3, PML4 + 0x8000);
	assert_false(run_fast(DEVICE + 8, STORE));
	assert_int_equal(gmem_write(&vm->mem, GPA(0x200000 + CODE), "\x89\x03", 2), 0);
	assert_true(run_fast(DEVICE + 8, STORE));
	hv_backend->reg_set(v, HV_REG_CR3, PML4 + 0xb000);
	assert_false(run_fast(DEVICE + 8, STORE));
}

static void fast_path_changes_nothing_when_refused(void **state)
{
	(void)state;
	v->gpr[GPR_RAX] = 1;
	assert_int_equal(RUN("\x89\x03", STORE), 0);
	writes = 0;
	refuse_fast = true;
	assert_false(run_fast(DEVICE + 8, STORE));
	assert_int_equal(v->rip, CODE);
	assert_int_equal(writes, 0);
	assert_true(run_fast(0xfee00030, STORE)); /* the xAPIC's page needs no hit */
	assert_int_equal(lapic_written, 1);
}

static void odd_forms_are_refused(void **state)
{
	(void)state;
	assert_int_equal(RUN("\x0f\x11\x03", STORE), -RAY_ENOSYS); /* movups */
	assert_int_equal(RUN("\xff\x33", LOAD), -RAY_ENOSYS);      /* push */
	assert_int_equal(RUN("\xc4\xe1\x78\x11\x03", STORE), -RAY_ENOSYS);
	assert_int_equal(reads + writes, 0);
	/* code outside RAM */
	struct hv_exit e = { .kind = HV_EXIT_STAGE2, .u.s2 = { .gpa = GPA(DEVICE) } };
	poke64(PML4 + 0x3000 + 8 * 100, DEVICE | 7);
	v->rip = 100 << 12;
	assert_int_equal(emulate_mmio(v, &e, e.u.s2.gpa), -RAY_ENOSYS);
}

static void nobody_there_reads_as_ones(void **state)
{
	struct hv_exit e = { .kind = HV_EXIT_STAGE2, .u.s2 = { .gpa = GPA(0xe0000000) } };

	(void)state;
	assert_int_equal(gmem_write(&vm->mem, GPA(CODE), "\x8b\x03", 2), 0);
	v->rip = CODE;
	assert_int_equal(emulate_mmio(v, &e, e.u.s2.gpa), 0);
	assert_int_equal(v->gpr[GPR_RAX], 0xffffffff);
	assert_int_equal(v->io_unknown, 1);
	e.u.s2.gpa = GPA(0xfee00030);
	v->rip = CODE;
	e.insn_len = 0;
	assert_int_equal(emulate_mmio(v, &e, e.u.s2.gpa), 0);
	assert_int_equal(v->gpr[GPR_RAX], 0x50044);
}

/* Linear page 200 is the first of the second chunk, which is given back. */
static void absent_memory(void **state)
{
	const struct gmem_range r = { GPA(MIB(2)), MIB(2) };
	uint8_t bytes[4] = { 1, 1, 1, 1 };
	uint32_t pf;
	gpa_t gpa;

	(void)state;
	poke64(PML4 + 0x3000 + 8 * 200, MIB(2) | 7);
	poke64(PML4 + 0x2000 + 8, MIB(2) | 7); /* a page table there */
	v->mode = VCPU_AWAY;
	assert_int_equal(gmem_release(vm, &r, 1), MIB(2));
	v->mode = VCPU_OUTSIDE;
	assert_int_equal(vcpu_gva_read(v, GVA(200 << 12), bytes, sizeof(bytes), &pf), 0);
	assert_int_equal(bytes[0] | bytes[3], 0);
	/* No entry is present in a table of zeros. */
	assert_int_equal(vcpu_gva_to_gpa(v, GVA(MIB(2)), HV_ACCESS_READ, false, &gpa, &pf), -RAY_EFAULT);
	assert_int_equal(pf, 0);
	assert_true(gmem_absent(&vm->mem, GPA(MIB(2)), 1)); /* reading brings nothing */
	reg_value = 0x5a;
	v->gpr[GPR_RDI] = 200 << 12;
	assert_int_equal(RUN("\xa4", LOAD), 0); /* movsb */
	assert_int_equal(gmem_read(&vm->mem, GPA(MIB(2)), bytes, 1), 0);
	assert_int_equal(bytes[0], 0x5a);
	assert_int_equal(reads, 1);
	assert_int_equal(v->mode, VCPU_OUTSIDE);
}

static void string_ports(void **state)
{
	struct hv_exit e = { .kind = HV_EXIT_IO };
	uint16_t words[2] = { 0x1234, 0x5678 };

	(void)state;
	assert_int_equal(gmem_write(&vm->mem, GPA(CODE), "\xf3\x66\x6f", 3), 0); /* rep outsw */
	assert_int_equal(gmem_write(&vm->mem, GPA(0x3000), words, 4), 0);
	v->rip = CODE;
	v->gpr[GPR_RDX] = 0x1f0;
	v->gpr[GPR_RSI] = 0x3000;
	v->gpr[GPR_RCX] = 2;
	assert_int_equal(emulate_string_io(v, &e), 0);
	assert_int_equal(reg_value, 0x1234);
	assert_int_equal(emulate_string_io(v, &e), 0);
	assert_int_equal(reg_value, 0x5678);
	assert_int_equal(v->rip, CODE + 3);
	assert_int_equal(gmem_write(&vm->mem, GPA(CODE), "\x6c", 1), 0); /* insb */
	e = (struct hv_exit){ .kind = HV_EXIT_IO };
	v->rip = CODE;
	v->gpr[GPR_RDI] = 0x3000;
	assert_int_equal(emulate_string_io(v, &e), 0);
	assert_int_equal(v->gpr[GPR_RDI], 0x3001);
	assert_int_equal(gmem_read(&vm->mem, GPA(0x3000), words, 1), 0);
	assert_int_equal(words[0] & 0xff, 0x78);
}

/* --- page walks --- */

static int walk(uint64_t va, uint32_t access, bool user, uint64_t *gpa, uint32_t *pf)
{
	gpa_t out = GPA(0);
	int err = vcpu_gva_to_gpa(v, GVA(va), access, user, &out, pf);

	*gpa = out.v;
	return err;
}

static void walks_check_rights(void **state)
{
	uint64_t gpa;
	uint32_t pf;

	(void)state;
	assert_int_equal(walk(0x5123, LOAD, true, &gpa, &pf), 0);
	assert_int_equal(gpa, 0x5123);
	assert_int_equal(walk(MIB(2), LOAD, false, &gpa, &pf), -RAY_EFAULT);
	assert_int_equal(pf, 0);
	poke64(PML4 + 0x3000 + 8 * 6, 0x6000 | 1); /* supervisor, read-only */
	assert_int_equal(walk(0x6000, LOAD, true, &gpa, &pf), -RAY_EFAULT);
	assert_int_equal(pf, 5);
	assert_int_equal(walk(0x6000, STORE, false, &gpa, &pf), -RAY_EFAULT);
	assert_int_equal(pf, 3);
	hv_backend->reg_set(v, HV_REG_CR0, HV_CR0_PE | HV_CR0_PG);
	assert_int_equal(walk(0x6000, STORE, false, &gpa, &pf), 0);
	poke64(PML4 + 0x3000 + 8 * 7, 0x7000 | 7 | BIT(63));
	assert_int_equal(walk(0x7000, HV_ACCESS_EXEC, true, &gpa, &pf), -RAY_EFAULT);
	assert_int_equal(pf, 0x15);
	hv_backend->reg_set(v, HV_REG_CR4, HV_CR4_PAE | HV_CR4_SMEP | HV_CR4_SMAP);
	assert_int_equal(walk(0x5000, HV_ACCESS_EXEC, false, &gpa, &pf), -RAY_EFAULT);
	assert_int_equal(walk(0x5000, LOAD, false, &gpa, &pf), -RAY_EFAULT);
	v->rflags |= BIT(18);
	assert_int_equal(walk(0x5000, LOAD, false, &gpa, &pf), 0);
	/* large pages */
	poke64(PML4 + 0x2000 + 8, 0x200000 | 0x87);
	assert_int_equal(walk(MIB(2) + 0x12345, LOAD, false, &gpa, &pf), 0);
	assert_int_equal(gpa, 0x212345);
	poke64(PML4 + 0x1000 + 8, 0x87);
	assert_int_equal(walk(GIB(1) + 0x12345, LOAD, false, &gpa, &pf), 0);
	assert_int_equal(gpa, 0x12345);
	/* tables outside RAM end in a fault, not in the host's memory */
	poke64(PML4 + 8, 0x7ffffffff000ull | 7);
	assert_int_equal(walk(BIT(39), LOAD, false, &gpa, &pf), -RAY_EFAULT);
	poke64(PML4 + 16, PML4 | 0x87);
	assert_int_equal(walk(2 * BIT(39), LOAD, false, &gpa, &pf), -RAY_EFAULT);
	assert_int_equal(pf & 9, 9);
}

static void walks_in_32_bit_modes(void **state)
{
	uint32_t pde = 0x20000 | 7, pte = 0x9000 | 7, big = 0x00400000 | 0x87;
	uint64_t gpa;
	uint32_t pf;

	(void)state;
	hv_backend->reg_set(v, HV_REG_EFER, 0);
	hv_backend->reg_set(v, HV_REG_CR4, HV_CR4_PSE);
	hv_backend->reg_set(v, HV_REG_CR3, 0x30000);
	assert_int_equal(gmem_write(&vm->mem, GPA(0x30000 + 4), &pde, 4), 0);
	assert_int_equal(gmem_write(&vm->mem, GPA(0x20000 + 4), &pte, 4), 0);
	assert_int_equal(gmem_write(&vm->mem, GPA(0x30000 + 8), &big, 4), 0);
	assert_int_equal(walk(0x401234, STORE, true, &gpa, &pf), 0);
	assert_int_equal(gpa, 0x9234);
	assert_int_equal(walk(0x812345, STORE, true, &gpa, &pf), 0);
	assert_int_equal(gpa, 0x412345);
	assert_int_equal(walk(0xc00000, STORE, true, &gpa, &pf), -RAY_EFAULT);
	assert_int_equal(pf, 6);
	/* PAE: directory pointers carry no rights */
	hv_backend->reg_set(v, HV_REG_CR4, HV_CR4_PAE);
	hv_backend->reg_set(v, HV_REG_CR3, 0x40020);
	poke64(0x40020, 0x41000 | 1);
	poke64(0x41000, 0x42000 | 7);
	poke64(0x42000 + 8 * 3, 0x8000 | 7);
	assert_int_equal(walk(0x3456, STORE, true, &gpa, &pf), 0);
	assert_int_equal(gpa, 0x8456);
	hv_backend->reg_set(v, HV_REG_CR0, HV_CR0_PE);
	assert_int_equal(walk(0x123456789, STORE, true, &gpa, &pf), 0);
	assert_int_equal(gpa, 0x23456789);
}

static void exceptions_combine(void **state)
{
	(void)state;
	vcpu_inject_gp(v);
	vcpu_inject_gp(v);
	assert_int_equal(v->inject.vector, HV_VEC_DF);
	vcpu_inject_pf(v, 5, 2);
	assert_int_equal(ended, VM_END_CRASH);
	v->inject.valid = false;
	v->reinject = (struct hv_event){ .valid = true, .type = HV_EVENT_EXCEPTION, .vector = HV_VEC_PF };
	vcpu_inject_pf(v, 5, 2);
	assert_int_equal(v->inject.vector, HV_VEC_DF);
	v->inject.valid = false;
	vcpu_inject_ud(v);
	vcpu_inject_gp(v);
	assert_int_equal(v->inject.vector, HV_VEC_GP);
}

static void lengths_come_from_the_code(void **state)
{
	struct hv_exit e = { .kind = HV_EXIT_CPUID };

	(void)state;
	assert_int_equal(gmem_write(&vm->mem, GPA(CODE), "\x66\x0f\xa2", 3), 0);
	v->rip = CODE;
	hv_backend->reg_set(v, HV_REG_INTR_SHADOW, 1);
	e.shadow = true;
	assert_int_equal(vcpu_advance(v, &e), 0);
	assert_int_equal(v->rip, CODE + 3);
	assert_int_equal(hv_backend->reg_get(v, HV_REG_INTR_SHADOW), 0);
	/* changed code is decoded anew, at the page's end too */
	e.insn_len = 0;
	assert_int_equal(gmem_write(&vm->mem, GPA(0x1ffffe), "\x0f\xa2", 2), 0);
	v->rip = 0x1ffffe;
	assert_int_equal(vcpu_advance(v, &e), 0);
	assert_int_equal(v->rip, 0x200000);
	e.insn_len = 0;
	assert_int_equal(vcpu_advance(v, &e), -RAY_EFAULT);
	assert_int_equal(v->inject.vector, HV_VEC_PF);
	assert_int_equal(v->inject.error & 0x10, 0x10);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(moves),
		T(arithmetic),
		T(strings),
		T(a_move_met_before_needs_no_decoder),
		T(a_hit_ends_with_the_range),
		T(code_is_found_anew_when_tables_change),
		T(fast_path_changes_nothing_when_refused),
		T(odd_forms_are_refused),
		T(nobody_there_reads_as_ones),
		T(absent_memory),
		T(string_ports),
		T(walks_check_rights),
		T(walks_in_32_bit_modes),
		T(exceptions_combine),
		T(lengths_come_from_the_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
