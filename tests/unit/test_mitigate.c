/* UNIT: kernel/arch/mitigate.c */
// SPDX-License-Identifier: Apache-2.0
/* kernel/arch/mitigate.c: what is chosen for CPUs of several kinds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/arch/features.h"
#include "kernel/arch/mitigate.h"

static struct mitigations choose(struct cpu_features f, enum mitigate_mode mode)
{
	struct mitigations m;

	mitigations_choose(&f, mode, &m);
	return m;
}

static bool on(const struct mitigations *m, enum mitigation which)
{
	assert_int_equal((m->on >> which) & 1, m->state[which] == MITIGATION_ON);
	return m->state[which] == MITIGATION_ON;
}

static void test_affected_intel(void **state)
{
	struct mitigations m = choose((struct cpu_features){ .vendor = "GenuineIntel",
							     .spec_ctrl = true,
							     .ibpb = true,
							     .md_clear = true,
							     .l1d_flush = true },
				      MITIGATE_AUTO);

	(void)state;
	for (int i = 0; i < MITIGATION_COUNT; i++)
		assert_true(on(&m, (enum mitigation)i));
	assert_int_equal(m.host_spec_ctrl, 1);
}

static void test_fixed_intel(void **state)
{
	struct mitigations m = choose((struct cpu_features){ .vendor = "GenuineIntel",
							     .spec_ctrl = true,
							     .ibpb = true,
							     .md_clear = true,
							     .l1d_flush = true,
							     .arch_caps = true,
							     .arch_capabilities = 0x2b },
				      MITIGATE_AUTO);

	(void)state;
	assert_int_equal(m.state[MITIGATE_L1D_FLUSH], MITIGATION_NOT_NEEDED);
	assert_int_equal(m.state[MITIGATE_VERW], MITIGATION_NOT_NEEDED);
	assert_true(on(&m, MITIGATE_IBRS));
	assert_int_equal(m.host_spec_ctrl, 1);
	/* MDS_NO, but stale data in fill buffers is cleared by VERW. */
	m = choose((struct cpu_features){ .vendor = "GenuineIntel",
					  .md_clear = true,
					  .arch_capabilities = 0x2b | BIT(17) },
		   MITIGATE_AUTO);
	assert_true(on(&m, MITIGATE_VERW));
}

static void test_no_microcode(void **state)
{
	struct mitigations m = choose((struct cpu_features){ .vendor = "GenuineIntel" }, MITIGATE_AUTO);

	(void)state;
	assert_int_equal(m.on, 1u << MITIGATE_RSB_FILL);
	assert_int_equal(m.state[MITIGATE_IBPB], MITIGATION_UNAVAILABLE);
	assert_int_equal(m.state[MITIGATE_VERW], MITIGATION_UNAVAILABLE);
	assert_int_equal(m.host_spec_ctrl, 0);
}

static void test_amd(void **state)
{
	struct cpu_features f = { .vendor = "AuthenticAMD", .ibpb = true, .spec_ctrl = true,
				  .auto_ibrs = true };
	struct mitigations m = choose(f, MITIGATE_AUTO);

	(void)state;
	assert_int_equal(m.state[MITIGATE_VERW], MITIGATION_NOT_NEEDED);
	assert_int_equal(m.state[MITIGATE_L1D_FLUSH], MITIGATION_NOT_NEEDED);
	assert_true(m.auto_ibrs);
	assert_int_equal(m.host_spec_ctrl, 0);
	f.auto_ibrs = false;
	m = choose(f, MITIGATE_AUTO);
	assert_false(m.auto_ibrs);
	assert_int_equal(m.host_spec_ctrl, 1);
}

/* Everything the CPU offers, whether it says that it needs it or not. */
static void test_all(void **state)
{
	struct cpu_features f = { .vendor = "GenuineIntel",
				  .spec_ctrl = true,
				  .md_clear = true,
				  .arch_caps = true,
				  .arch_capabilities = 0x2b };
	struct mitigations m = choose(f, MITIGATE_ALL);

	(void)state;
	assert_true(on(&m, MITIGATE_VERW));
	assert_int_equal(m.state[MITIGATE_L1D_FLUSH], MITIGATION_NOT_NEEDED);
	assert_int_equal(m.state[MITIGATE_IBPB], MITIGATION_UNAVAILABLE);
}

static void test_guest_spec_ctrl(void **state)
{
	(void)state;
	mitigations.host_spec_ctrl = 1;
	assert_int_equal(mitigate_guest_spec_ctrl(0), 1);
	assert_int_equal(mitigate_guest_spec_ctrl(4), 5);
	mitigations.host_spec_ctrl = 0;
	assert_int_equal(mitigate_guest_spec_ctrl(4), 4);
}

static void test_off(void **state)
{
	struct mitigations m = choose((struct cpu_features){ .vendor = "AuthenticAMD",
							     .ibpb = true,
							     .spec_ctrl = true,
							     .auto_ibrs = true },
				      MITIGATE_OFF);

	(void)state;
	assert_int_equal(m.on, 0);
	assert_int_equal(m.state[MITIGATE_RSB_FILL], MITIGATION_OFF);
	assert_false(m.auto_ibrs);
	assert_int_equal(m.host_spec_ctrl, 0);
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < MITIGATION_COUNT; i++)
		assert_non_null(mitigation_name((enum mitigation)i));
	assert_string_equal(mitigation_state_name(MITIGATION_NOT_NEEDED), "not-needed");
	assert_string_equal(mitigate_mode_name(MITIGATE_ALL), "on");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_affected_intel), cmocka_unit_test(test_fixed_intel),
		cmocka_unit_test(test_no_microcode),   cmocka_unit_test(test_amd),
		cmocka_unit_test(test_off),	       cmocka_unit_test(test_names),
		cmocka_unit_test(test_all),	       cmocka_unit_test(test_guest_spec_ctrl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
