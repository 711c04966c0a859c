// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "kernel/acpi/acpi.h"
#include "kernel/acpi/tables.h"
#include "kernel/arch/guarded.h"
#include "kernel/selftest.h"
#include "kernel/time/time.h"

static void test_tables(struct selftest *t)
{
	const struct acpi_table_list *l = acpi_tables();

	for (uint32_t i = 0; i < l->count; i++) {
		const struct acpi_table *a = &l->t[i];

		if (memcmp(a->sig, "FACS", 4) == 0)
			continue;
		SELFTEST_CHECK(t, acpi_checksum(a->data, a->len) == 0);
		SELFTEST_CHECK(t, memcmp(a->data, a->sig, 4) == 0);
	}
}
SELFTEST(acpi_tables, test_tables);

static void test_namespace(struct selftest *t)
{
	enum acpi_state s = acpi_wait(time_now() + 30000000000ull);

	SELFTEST_CHECK(t, s == (acpi_rsdp_hpa().v != 0 ? ACPI_STATE_READY : ACPI_STATE_ABSENT));
}
SELFTEST(acpi_namespace, test_namespace);

static void fault(void *arg)
{
	/* Not canonical: #GP on any machine. */
	*(volatile uint64_t *)arg = 1;
}

static void no_fault(void *arg)
{
	*(int *)arg = 1;
}

/* What broken AML may do to its interpreter, and that it goes on afterwards. */
static void test_contained(struct selftest *t)
{
	int ran = 0;

	SELFTEST_CHECK(t, !guarded_call(fault, (void *)0x8000000000000000ull));
	SELFTEST_CHECK(t, !guarded_call(fault, (void *)0));
	SELFTEST_CHECK(t, guarded_call(no_fault, &ran));
	SELFTEST_CHECK(t, ran == 1);
}
SELFTEST(acpi_contained, test_contained);
