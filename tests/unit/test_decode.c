/* UNIT: hv/decode.c */
// SPDX-License-Identifier: Apache-2.0
/* Lengths and forms of instructions that exit, prefixed ones included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/decode.h"
#include "hv/regs.h"
#include "kernel/lib/err.h"

static struct insn decode(enum insn_mode mode, const char *bytes, size_t n)
{
	struct insn i;

	assert_int_equal(insn_decode((const uint8_t *)bytes, n, mode, &i), 0);
	return i;
}
#define DECODE(mode, bytes) decode(mode, bytes, sizeof(bytes) - 1)

static void prefixed_exits_have_their_full_length(void **state)
{
	(void)state;
	assert_int_equal(DECODE(INSN_MODE_64, "\x0f\xa2").len, 2);
	assert_int_equal(DECODE(INSN_MODE_64, "\x66\x0f\xa2").len, 3);
	assert_int_equal(DECODE(INSN_MODE_64, "\x2e\x66\x48\x0f\xa2").len, 5);
	assert_int_equal(DECODE(INSN_MODE_32, "\x0f\x30").len, 2);
	assert_int_equal(DECODE(INSN_MODE_16, "\x67\xf4").len, 2);
	assert_int_equal(DECODE(INSN_MODE_64, "\x0f\x01\xd9").len, 3);
}

static void memory_forms(void **state)
{
	struct insn i;

	(void)state;
	/* mov %r9d, 0x10(%rax,%r10,4) */
	i = DECODE(INSN_MODE_64, "\x46\x89\x4c\x90\x10");
	assert_int_equal(i.opcode, 0x89);
	assert_int_equal(i.reg, GPR_R9);
	assert_int_equal(i.opsize, 4);
	assert_int_equal(i.addrsize, 8);
	assert_true(i.has_sib);
	assert_int_equal(i.index, GPR_R10);
	assert_int_equal(i.base, GPR_RAX);
	assert_int_equal(i.disp, 0x10);
	/* movq $-1, (%rdi): the immediate is sign-extended */
	i = DECODE(INSN_MODE_64, "\x48\xc7\x07\xff\xff\xff\xff");
	assert_int_equal(i.opsize, 8);
	assert_int_equal(i.imm, ~0ull);
	/* movzwl %gs:(%ebx), %eax in 64-bit mode */
	i = DECODE(INSN_MODE_64, "\x65\x67\x0f\xb7\x03");
	assert_int_equal(i.map, INSN_MAP_0F);
	assert_int_equal(i.seg, HV_SEG_GS);
	assert_int_equal(i.addrsize, 4);
	/* 16-bit code: operand and address sizes turn round */
	i = DECODE(INSN_MODE_16, "\x66\x67\x89\x03");
	assert_int_equal(i.opsize, 4);
	assert_int_equal(i.addrsize, 4);
	i = DECODE(INSN_MODE_64, "\xf3\x48\xab");
	assert_true(i.rep);
	assert_int_equal(i.opsize, 8);
}

static void damaged_bytes_are_refused(void **state)
{
	struct insn i;
	const uint8_t cut[] = { 0x48, 0xc7, 0x07 };
	const uint8_t nothing[] = { 0x0f, 0x04 };
	const uint8_t prefixes[15] = { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
				       0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66 };

	(void)state;
	assert_int_equal(insn_decode(cut, sizeof(cut), INSN_MODE_64, &i), -RAY_EAGAIN);
	assert_int_equal(insn_decode(cut, 0, INSN_MODE_64, &i), -RAY_EAGAIN);
	assert_int_equal(insn_decode(nothing, sizeof(nothing), INSN_MODE_64, &i), -RAY_EINVAL);
	assert_true(insn_decode(prefixes, sizeof(prefixes), INSN_MODE_64, &i) < 0);
}

static void plain_lengths_agree_with_the_decoder(void **state)
{
	static const struct {
		enum hv_exit_kind kind;
		uint8_t bytes[3];
		unsigned int len;
	} plain[] = {
		{ HV_EXIT_CPUID, { 0x0f, 0xa2, 0x90 }, 2 },
		{ HV_EXIT_MSR_READ, { 0x0f, 0x32, 0x90 }, 2 },
		{ HV_EXIT_MSR_WRITE, { 0x0f, 0x30, 0x90 }, 2 },
		{ HV_EXIT_CACHE, { 0x0f, 0x08, 0x90 }, 2 },
		{ HV_EXIT_CACHE, { 0x0f, 0x09, 0x90 }, 2 },
		{ HV_EXIT_XSETBV, { 0x0f, 0x01, 0xd1 }, 3 },
		{ HV_EXIT_HLT, { 0xf4, 0x90, 0x90 }, 1 },
		{ HV_EXIT_HYPERCALL, { 0x0f, 0x01, 0xd9 }, 3 },
		{ HV_EXIT_HYPERCALL, { 0x0f, 0x01, 0xc1 }, 3 },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(plain); k++) {
		const uint8_t *b = plain[k].bytes;
		uint32_t word = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16;

		assert_int_equal(insn_len_plain(plain[k].kind, word), plain[k].len);
		assert_int_equal(decode(INSN_MODE_64, (const char *)b, 3).len, plain[k].len);
	}
	assert_int_equal(insn_len_plain(HV_EXIT_CPUID, 0xa20f66), 0);
	assert_int_equal(insn_len_plain(HV_EXIT_IO, 0xa20f), 0);
	assert_int_equal(insn_len_plain(HV_EXIT_IO, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixed_exits_have_their_full_length),
		cmocka_unit_test(memory_forms),
		cmocka_unit_test(damaged_bytes_are_refused),
		cmocka_unit_test(plain_lengths_agree_with_the_decoder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
