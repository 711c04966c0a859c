/* UNIT: kernel/mce.c */
// SPDX-License-Identifier: Apache-2.0
/* kernel/mce.c: the verdicts over bank contents as the manuals define them, and the handler
 * over a model of the registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/arch/cpu.h"
#include "kernel/arch/features.h"
#include "kernel/arch/msr_index.h"
#include "kernel/arch/trap.h"
#include "kernel/mce.h"
#include "tests/host/fake_log.h"

#define VAL   BIT(63)
#define UC    BIT(61)
#define EN    BIT(60)
#define ADDRV BIT(58)
#define PCC   BIT(57)
#define S     BIT(56)
#define AR    BIT(55)
#define TCC   BIT(55)
#define DEFER BIT(44)
#define RIPV  BIT(0)

static struct cpu_features features = { .mce = true, .mca = true };

const struct cpu_features *cpu_features(void)
{
	return &features;
}

static trap_nmi_fn handler;

void trap_mce_add(trap_nmi_fn fn)
{
	handler = fn;
}

static enum mce_verdict judge(uint64_t status, enum mce_kind kind)
{
	struct mce_bank b[2] = { { .status = 0 }, { .status = status, .addr = 0x12345678 } };
	uint64_t page = 0;
	enum mce_verdict v = mce_judge(b, 2, RIPV, kind, &page);

	assert_int_equal(page, v == MCE_PAGE ? 0x12345000 : 0);
	return v;
}

static void test_nothing_and_corrected(void **state)
{
	(void)state;
	assert_int_equal(judge(0, MCE_KIND_BASIC), MCE_CONTINUE);
	assert_int_equal(judge(~VAL, MCE_KIND_INTEL), MCE_CONTINUE);
	assert_int_equal(judge(VAL | EN | ADDRV, MCE_KIND_BASIC), MCE_CONTINUE);
}

static void test_uncorrected(void **state)
{
	(void)state;
	assert_int_equal(judge(VAL | UC | ADDRV, MCE_KIND_BASIC), MCE_FATAL);
	assert_int_equal(judge(VAL | UC | PCC | S | AR | ADDRV, MCE_KIND_INTEL), MCE_FATAL);
	assert_int_equal(judge(VAL | UC | PCC | ADDRV, MCE_KIND_AMD), MCE_FATAL);
	assert_int_equal(judge(VAL | UC, MCE_KIND_INTEL), MCE_CONTINUE);     /* UCNA */
	assert_int_equal(judge(VAL | UC | S, MCE_KIND_INTEL), MCE_CONTINUE); /* SRAO */
	assert_int_equal(judge(VAL | UC | S | AR | ADDRV, MCE_KIND_INTEL), MCE_PAGE);
	assert_int_equal(judge(VAL | UC | S | AR, MCE_KIND_INTEL), MCE_FATAL);
	assert_int_equal(judge(VAL | UC | ADDRV, MCE_KIND_AMD), MCE_PAGE);
	assert_int_equal(judge(VAL | UC | ADDRV | TCC, MCE_KIND_AMD), MCE_FATAL);
	assert_int_equal(judge(VAL | UC | ADDRV | DEFER, MCE_KIND_AMD), MCE_CONTINUE);
}

static void test_several_banks(void **state)
{
	const uint64_t lost = VAL | UC | S | AR | ADDRV;
	struct mce_bank b[3] = { { .status = lost, .addr = 0x5008 },
				 { .status = lost, .addr = 0x5fff } };
	uint64_t page = 0;

	(void)state;
	assert_int_equal(mce_judge(b, 3, RIPV, MCE_KIND_INTEL, &page), MCE_PAGE);
	assert_int_equal(page, 0x5000);
	b[1].addr = 0x6000;
	assert_int_equal(mce_judge(b, 3, RIPV, MCE_KIND_INTEL, &page), MCE_FATAL);
	b[1].addr = 0x5000;
	b[2].status = VAL | UC | PCC;
	assert_int_equal(mce_judge(b, 3, RIPV, MCE_KIND_INTEL, &page), MCE_FATAL);
}

static void test_no_way_back(void **state)
{
	struct mce_bank b = { .status = VAL };
	uint64_t page;

	(void)state;
	assert_int_equal(mce_judge(&b, 1, 0, MCE_KIND_INTEL, &page), MCE_FATAL);
	/* The interrupted code is a guest that will not go on: no way back is needed. */
	b = (struct mce_bank){ .status = VAL | UC | S | AR | ADDRV, .addr = 0x9000 };
	assert_int_equal(mce_judge(&b, 1, 0, MCE_KIND_INTEL, &page), MCE_PAGE);
}

static hpa_t asked;
static bool answer;

static bool page_hook(hpa_t page)
{
	asked = page;
	return answer;
}

#define BANK2_STATUS (MSR_MC0_STATUS + 2 * 4)

/* A machine check with this status in bank 2; whether the system lives on. */
static bool machine_check(uint64_t status, struct trap_frame *tf)
{
	wrmsr(MSR_MCG_STATUS, RIPV | BIT(2));
	wrmsr(BANK2_STATUS, status);
	wrmsr(MSR_MC0_ADDR + 2 * 4, 0x7000);
	asked = HPA(0);
	return handler(tf);
}

static void test_handler(void **state)
{
	const uint64_t lost = VAL | UC | S | AR | ADDRV;
	struct trap_frame host = { .vector = TRAP_MC };

	(void)state;
	wrmsr(MSR_MCG_CAP, 4 | BIT(8) | BIT(24));
	wrmsr(BANK2_STATUS, VAL); /* from before the boot */
	mce_init();
	mce_page_hook_set(page_hook);
	assert_non_null(handler);
	assert_int_equal(rdmsr(BANK2_STATUS), 0);
	assert_true(rdmsr(MSR_MCG_CTL) == UINT64_MAX);
	assert_true(rdmsr(MSR_MC0_CTL + 3 * 4) == UINT64_MAX);

	assert_true(machine_check(VAL | EN, &host));
	assert_int_equal(rdmsr(BANK2_STATUS), 0);
	assert_int_equal(rdmsr(MSR_MCG_STATUS), RIPV); /* ready for the next */

	answer = true;
	assert_true(machine_check(lost, NULL));
	assert_int_equal(asked.v, 0x7000);
	assert_false(machine_check(lost, &host)); /* host code met it */
	assert_int_equal(asked.v, 0);
	assert_int_equal(rdmsr(BANK2_STATUS), lost); /* left for whoever looks */
	answer = false;
	assert_false(machine_check(lost, NULL)); /* nobody's page */
	assert_false(machine_check(VAL | UC | PCC, NULL));
	assert_int_equal(mce_count(), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_and_corrected),
		cmocka_unit_test(test_uncorrected),
		cmocka_unit_test(test_several_banks),
		cmocka_unit_test(test_no_way_back),
		cmocka_unit_test(test_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
